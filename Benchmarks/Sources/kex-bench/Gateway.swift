import Foundation
import Glibc

/// Who runs WireGuard.
enum Backend: String, CaseIterable {
    case userspace, kernel
    /// A program that answers as WireGuard would, and does nothing else.
    case scripted
}

/// WireGuard and VXLAN interfaces of one domain.
final class Interfaces {
    let wireGuard: String
    let vxlan: String
    private let backend: Backend
    private let number: Int
    private var device: Program?
    nonisolated(unsafe) private static var count = 0

    init(_ backend: Backend) throws {
        self.backend = backend
        Self.count += 1
        number = Self.count
        wireGuard = "w\(Workplace.tag)\(String(number, radix: 36))"
        vxlan = "x\(Workplace.tag)\(String(number, radix: 36))"
        try make()
    }

    deinit { try? remove() }

    private func make() throws {
        switch backend {
        case .kernel: try sh("ip link add \(wireGuard) type wireguard")
        case .scripted:
            try sh("ip tuntap add mode tun name \(wireGuard)")
            try FileManager.default.createDirectory(atPath: "/var/run/wireguard", withIntermediateDirectories: true)
            device = try Program(["scripted-wireguard", wireGuard], log: "\(Workplace.folder)/\(wireGuard).log")
            let deadline = now() + 20
            while access("/var/run/wireguard/\(wireGuard).sock", F_OK) != 0 {
                guard now() < deadline else { throw Failure("no scripted WireGuard") }
                usleep(2000)
            }
        case .userspace:
            device = try Program(
                ["env", "LOG_LEVEL=error", "wireguard-go", "-f", wireGuard],
                log: "\(Workplace.folder)/\(wireGuard).log"
            )
            let deadline = now() + 20
            while (try? sh("wg show \(wireGuard)")) == nil {
                guard now() < deadline else { throw Failure("wireguard-go does not come up: \(device?.output ?? "")") }
                usleep(2000)
            }
        }
        if backend != .scripted { try setUp() }
        try sh("ip link set \(wireGuard) addrgenmode none")
        try sh("ip link set \(wireGuard) up")
        try sh("ip address add fe80::5757:bb:1/64 dev \(wireGuard) nodad")
        try sh(
            "ip link add \(vxlan) type vxlan id \(number) dstport \(8472 + number) local fe80::5757:bb:1 dev \(wireGuard)"
        )
        // Without an address of its own: one that becomes usable a second later is news to the handler.
        try sh("ip link set \(vxlan) mtu 1280 addrgenmode none up")
    }

    private func setUp() throws {
        let key = try Workplace.write(try sh("wg genkey") + "\n", to: "\(wireGuard).key")
        chmod(key, 0o600)
        try sh("wg set \(wireGuard) listen-port 0 private-key \(key)")
    }

    private func remove() throws {
        // One by one the kernel would take 16 ms a peer.
        if backend == .kernel {
            let empty = try Workplace.write("[Interface]\n", to: "empty")
            try sh("wg setconf \(wireGuard) \(empty)")
            try sh("ip link delete \(vxlan)")
            try sh("ip link delete \(wireGuard)")
            return
        }
        try sh("ip link delete \(vxlan)")
        device?.end()
        device = nil
        if backend == .scripted {
            try sh("ip link delete \(wireGuard)")
            unlink("/var/run/wireguard/\(wireGuard).sock")
        }
        let deadline = now() + 20
        while (try? sh("ip link show \(wireGuard)")) != nil, now() < deadline { usleep(2000) }
    }

    /// Empty ones of the same names.
    func renew() throws {
        try remove()
        try make()
    }

    func publicKey() throws -> String { try sh("wg show \(wireGuard) public-key") }

    func listenPort() throws -> String { try sh("wg show \(wireGuard) listen-port") }

    func peers() throws -> Set<String> {
        Set(try sh("wg show \(wireGuard) peers").split(separator: "\n").map(String.init))
    }

    func peerCount() throws -> Int { try sh("wg show \(wireGuard) peers").split(separator: "\n").count }
}

/// A gateway as an operator would run it, all on loopback of one network namespace.
final class Gateway {
    let name: String
    let domains: [(name: String, interfaces: Interfaces)]
    private(set) var handler: Program?
    private(set) var listener: Program?
    private(set) var port = 0
    private(set) var httpListener: Program?
    private(set) var httpPort = 0
    private(set) var mqtt: Program?
    private let folder: String
    private var runs = 0
    /// Lines for the section of each domain, and for the gateway's own.
    var settings: String
    private let ownSettings: String
    /// `nil` for a gateway that is alone.
    private let broker: Broker?
    /// What the programs are started with: a profiler.
    var wrapper: (String) -> [String] = { _ in [] }

    /// - Parameters:
    ///   - settings: lines for the section of each domain.
    ///   - own: lines for the gateway's own section.
    ///   - broker: over which it shares its routers with others.
    init(
        _ name: String,
        domains count: Int = 1,
        _ backend: Backend,
        settings: String = "",
        own: String = "",
        broker: Broker? = nil
    ) throws {
        self.name = name
        self.settings = settings
        ownSettings = own
        self.broker = broker
        folder = "\(Workplace.folder)/\(name)"
        try FileManager.default.createDirectory(atPath: "\(folder)/state", withIntermediateDirectories: true)
        domains = try (0..<count).map { number in
            (String(format: "ffww%03d", number), try Interfaces(backend))
        }
        try "".write(toFile: "\(folder)/prohibited", atomically: false, encoding: .utf8)
    }

    deinit { stop() }

    var stateFolder: String { "\(folder)/state" }

    func configure() throws {
        var text = """
            [Gateway]
            HandlerSocket=\(folder)/handler.sock
            ControlSocket=\(folder)/control.sock
            StateDirectory=\(folder)/state
            ProhibitedKeys=\(folder)/prohibited
            ExternalName=gw.example.net
            \(ownSettings)

            """
        if let broker { text += "[Bus]\nBroker=127.0.0.1:\(broker.port)\nName=\(name)\nSocket=\(folder)/bus.sock\n" }
        for domain in domains {
            text += "[Domain \(domain.name)]\nWireGuard=\(domain.interfaces.wireGuard)\n"
            text += "VXLAN=\(domain.interfaces.vxlan)\nMaximumPeers=65536\n"
            text += settings.replacingOccurrences(of: "DOMAIN", with: domain.name) + "\n"
        }
        try text.write(toFile: "\(folder)/kex.conf", atomically: false, encoding: .utf8)
    }

    func start() throws {
        try startHandler()
        try startListener()
    }

    /// - Returns: seconds from the program's start until it is ready.
    @discardableResult
    func startHandler() throws -> Double {
        try configure()
        runs += 1
        let start = now()
        let program = try Program(
            wrapper("kex-handler") + ["kex-handler", "--config", "\(folder)/kex.conf"],
            log: "\(folder)/handler\(runs).log"
        )
        handler = program
        try program.wait(for: "ready: ")
        return now() - start
    }

    /// - Returns: seconds from the program's start until it listens.
    @discardableResult
    func startListener() throws -> Double {
        let start = now()
        (listener, port) = try startFrontDoor("kexd")
        return now() - start
    }

    func startHTTPListener() throws { (httpListener, httpPort) = try startFrontDoor("kex-http") }

    private func startFrontDoor(_ name: String) throws -> (Program, port: Int) {
        runs += 1
        let program = try Program(
            wrapper(name) + [name, "--config", "\(folder)/kex.conf", "--listen", "127.0.0.1:0"],
            log: "\(folder)/\(name)\(runs).log"
        )
        let address = try program.wait(for: "listening on 127.0.0.1:")
        return (program, Int(address.prefix { $0.isNumber }) ?? 0)
    }

    /// Starts the program for the bus, and does not wait for it.
    func startMQTT() throws {
        runs += 1
        mqtt = try Program(
            wrapper("kex-mqtt") + ["kex-mqtt", "--config", "\(folder)/kex.conf"],
            log: "\(folder)/kex-mqtt\(runs).log"
        )
    }

    func stopHandler() {
        handler?.end()
        handler = nil
    }

    func stop() {
        listener?.end()
        listener = nil
        httpListener?.end()
        httpListener = nil
        mqtt?.end()
        mqtt = nil
        stopHandler()
    }

    @discardableResult
    func cleanup() throws -> Outcome { try run("kex-cleanup", "--config", "\(folder)/kex.conf") }

    /// Lets its memory be that of so many routers that were heard of just now.
    func remember(_ count: Int, seed: Int) throws {
        for (index, domain) in domains.enumerated() {
            try run("kex-crowd", "remember", stateFolder, domain.name, "\(seed + index)", "\(count)")
        }
    }
}

/// A mosquitto with the limits that it has by itself, beside what is asked for.
final class Broker {
    let port: Int
    private let program: Program
    nonisolated(unsafe) private static var count = 0

    init(_ lines: String = "") throws {
        Self.count += 1
        port = 30_000 + Int(getpid()) % 2000 * 8 + Self.count
        let name = "mosquitto\(Self.count)"
        let text = "user root\nlistener \(port) 127.0.0.1\nallow_anonymous true\n\(lines)\n"
        program = try Program(
            ["/usr/sbin/mosquitto", "-c", try Workplace.write(text, to: "\(name).conf")],
            log: "\(Workplace.folder)/\(name).log"
        )
        try program.wait(for: " running")
    }

    /// Waits until it has kept notes of so many routers, and how many they are.
    func waitForNotes(of count: Int) throws {
        for (topic, count) in [("kex/+/router/+", count), ("kex/+/count/+", 1)] {
            try run("mosquitto_sub", "-p", "\(port)", "-t", topic, "-C", "\(count)", "-W", "120", "-F", "x")
        }
        sleep(2)  // a count may be followed by another one, but not later than this
    }
}

/// The server that only does what must be done.
final class Ceiling {
    let program: Program
    let port: Int

    init(domains: [String]) throws {
        program = try Program(["ceiling"] + domains, log: "\(Workplace.folder)/ceiling.log")
        let deadline = now() + 10
        while !program.output.hasSuffix("\n"), now() < deadline { usleep(1000) }
        guard let port = Int(program.output.split(separator: " ").first ?? "") else { throw Failure("no ceiling") }
        self.port = port
    }
}
