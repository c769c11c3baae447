import Foundation
import Glibc
import Keys
import NetworkAddresses
import Synchronization
import WireGuardTypes

/// Machines on one LAN, each in a network namespace of its own, with a WireGuard interface that wireguard-go runs. The
/// first is the hub of the others:
///
/// ```
///   hub ──── switch ──── a          192.0.2.0/24 outside, 10.9.0.0/24 in the tunnel
///               └─────── b
/// ```
final class DirectLinkFixture {
    let folder: String
    private let unique: String
    private let switchNamespace: String
    private(set) var machines: [Machine] = []

    private static let count = Atomic<Int>(0)

    /// One machine.
    final class Machine {
        let name: String
        let namespace: String
        let interface: String
        let number: Int
        let key = PrivateKey()
        fileprivate let folder: String
        private var wireGuard: Daemon?
        private(set) var keeper: Daemon?

        fileprivate init(_ name: String, number: Int, unique: String, folder: String) throws {
            self.name = name
            self.number = number
            namespace = "kl\(unique)\(name)"
            interface = "wl\(unique)\(number)"
            self.folder = "\(folder)/\(name)"
            try FileManager.default.createDirectory(atPath: self.folder, withIntermediateDirectories: true)
            try Command.check("ip netns add \(namespace)")
            try Command.check("ip -n \(namespace) link set lo up")
        }

        deinit {
            keeper?.end(with: SIGKILL)
            wireGuard?.end(with: SIGTERM)
            _ = try? Command.run("ip", ["netns", "delete", namespace])
            unlink("/var/run/wireguard/\(interface).sock")
        }

        /// Address outside, and in the tunnel.
        var outside: String { "192.0.2.\(number)" }
        var inside: String { "10.9.0.\(number)" }

        func ip(_ arguments: String) throws { try Command.check("ip -n \(namespace) \(arguments)") }

        func makeWireGuard() throws {
            let words = ["ip", "netns", "exec", namespace, "env", "LOG_LEVEL=error", "wireguard-go", "-f", interface]
            wireGuard = try Daemon(words, log: "\(folder)/wireguard-go.log")
            try wait(for: "the socket of \(interface)") { (try? wg("show \(interface)")) != nil }
        }

        func endWireGuard() {
            wireGuard?.end(with: SIGTERM)
            wireGuard = nil
        }

        /// Gives the interface its key and address, and sets it up.
        func configure(port: Int = 51820) throws {
            let path = "\(folder)/key"
            try "\(Data(key.bytes).base64EncodedString())\n".write(toFile: path, atomically: true, encoding: .utf8)
            try wg("set \(interface) private-key \(path) listen-port \(port)")
            try ip("address add \(inside)/24 dev \(interface)")
            try ip("link set \(interface) up")
        }

        @discardableResult
        func wg(_ arguments: String) throws -> String { try Command.check("wg \(arguments)") }

        /// Peers as WireGuard has them: what `wg show IFACE allowed-ips` says.
        func peers() throws -> [PublicKey: Set<String>] {
            var peers: [PublicKey: Set<String>] = [:]
            for line in try wg("show \(interface) allowed-ips").split(separator: "\n") {
                let words = line.split { $0 == "\t" || $0 == " " }
                if let first = words.first, let key = PublicKey(text: first) {
                    peers[key] = Set(words.dropFirst().map(String.init).filter { $0 != "(none)" })
                }
            }
            return peers
        }

        func endpoint(of other: Machine) throws -> String? {
            try wg("show \(interface) endpoints").split(separator: "\n")
                .first { $0.hasPrefix(other.key.publicKey.description) }
                .flatMap { $0.split(separator: "\t").last.map(String.init) }
        }

        /// When the session with another was made, in seconds since 1970.
        func handshake(with other: Machine) throws -> Int? {
            try wg("show \(interface) latest-handshakes").split(separator: "\n")
                .first { $0.hasPrefix(other.key.publicKey.description) }
                .flatMap { $0.split(separator: "\t").last.flatMap { Int($0) } }
        }

        /// How many of so many echoes come back, a tenth of a second apart.
        func pings(_ other: Machine, count: Int) throws -> Int {
            let words = ["netns", "exec", namespace, "ping", "-q", "-n", "-i", "0.1", "-W", "1", "-c", "\(count)"]
            let result = try Command.run("ip", words + [other.inside])
            return result.output.firstMatch(of: #/(\d+) received/#).flatMap { Int($0.1) } ?? 0
        }

        // MARK: - kex-link

        private func arguments(_ command: [String]) -> [String] {
            ["ip", "netns", "exec", namespace, Command.path(of: "kex-link")] + command
                + ["--runtime-directory", "\(folder)/run"]
        }

        /// - Parameter configuration: the interface's file; `nil` for none.
        func startKeeper(configuration: String? = nil, gateway: String? = nil) throws {
            var words = ["run", interface, "--gateway-config", "\(folder)/kex.conf"]
            if let configuration {
                try configuration.write(toFile: "\(folder)/link.conf", atomically: true, encoding: .utf8)
                words += ["--config", "\(folder)/link.conf"]
            }
            if let gateway { try gateway.write(toFile: "\(folder)/kex.conf", atomically: true, encoding: .utf8) }
            keeper = try Daemon(arguments(words), log: "\(folder)/kex-link.log")
        }

        func run(_ command: String...) throws -> Command.Result {
            let words = arguments(command)
            return try Command.run(words[0], Array(words.dropFirst()))
        }

        /// The number of the member's process; `nil` if there is none.
        func member() throws -> Int32? {
            guard let keeper else { return nil }
            let path = "/proc/\(keeper.processIdentifier)/task/\(keeper.processIdentifier)/children"
            return try String(contentsOfFile: path, encoding: .utf8).split(separator: " ").first.flatMap { Int32($0) }
        }

        /// What the member says of the others, by their keys.
        func status() throws -> [PublicKey: [String: Any]] {
            let result = try run("status", interface, "--json")
            let object = try JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any]
            var members: [PublicKey: [String: Any]] = [:]
            for member in object?["members"] as? [[String: Any]] ?? [] {
                if let key = (member["key"] as? String).flatMap({ PublicKey(text: $0) }) { members[key] = member }
            }
            return members
        }

        /// Keys that the keeper has marked.
        func marks() -> Set<PublicKey> {
            let text = (try? String(contentsOfFile: "\(folder)/run/\(interface).peers", encoding: .utf8)) ?? ""
            return Set(text.split(separator: "\n").compactMap { PublicKey(text: $0) })
        }
    }

    init(_ names: [String]) throws {
        guard getuid() == 0 else { throw Failure("this test makes network namespaces and needs root") }
        let number = Self.count.add(1, ordering: .relaxed).newValue
        unique = "\(getpid() % 10_000)x\(number)"
        folder = "/run/kex-link-test-\(unique)"
        switchNamespace = "kl\(unique)switch"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try Command.check("ip netns add \(switchNamespace)")
        try Command.check("ip -n \(switchNamespace) link add br0 type bridge")
        try Command.check("ip -n \(switchNamespace) link set br0 up")
        for (index, name) in names.enumerated() {
            let machine = try Machine(name, number: index + 1, unique: unique, folder: folder)
            machines.append(machine)
            let end = "eth0 netns \(machine.namespace)"
            try Command.check("ip -n \(switchNamespace) link add p\(index) type veth peer name \(end)")
            try Command.check("ip -n \(switchNamespace) link set p\(index) master br0 up")
            try machine.ip("address add \(machine.outside)/24 dev eth0")
            try machine.ip("link set eth0 up")
            try machine.makeWireGuard()
            try machine.configure()
        }
        try introduce()
    }

    deinit {
        machines = []
        _ = try? Command.run("ip", ["netns", "delete", switchNamespace])
        try? FileManager.default.removeItem(atPath: folder)
    }

    var hub: Machine { machines[0] }
    var leaves: ArraySlice<Machine> { machines.dropFirst() }

    subscript(name: String) -> Machine { machines.first { $0.name == name }! }

    /// Tells the hub of the others, and the others of the hub, as their operators do.
    private func introduce() throws {
        try Command.check("ip netns exec \(hub.namespace) sysctl -q net.ipv4.ip_forward=1")
        for leaf in leaves {
            try hub.wg("set \(hub.interface) peer \(leaf.key.publicKey) allowed-ips \(leaf.inside)/32")
            let way = "endpoint \(hub.outside):51820 persistent-keepalive 25"
            try leaf.wg("set \(leaf.interface) peer \(hub.key.publicKey) allowed-ips 10.9.0.0/24 \(way)")
        }
    }

    /// Cuts the ways of some machines to each other outside, or opens them again. Those to others stay. A route would not
    /// do: wireguard-go names the interface with each packet, and such a packet takes no notice of a blackhole.
    func setCut(_ isCut: Bool, _ machines: Machine...) throws {
        for machine in machines {
            let port = "p\(machine.number - 1)"
            let words = "isolated \(isCut ? "on" : "off")"
            try Command.check("ip netns exec \(switchNamespace) bridge link set dev \(port) \(words)")
        }
    }
}

extension Daemon {
    /// Waits until the output has this text.
    func waitFor(_ text: String) throws {
        try wait(for: "\"\(text)\" in: \(output)") {
            guard isRunning else { throw Failure("ended with \(status ?? -1): \(output)") }
            return output.contains(text)
        }
    }
}
