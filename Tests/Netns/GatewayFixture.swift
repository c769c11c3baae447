import EUI64
import Foundation
import Glibc
import NetworkAddresses
import Synchronization
import Testing
import WireGuardTypes

/// A gateway as an operator would run it, in a network namespace of its own:
///
/// ```
///   test ──TCP 127.0.0.1──▶ kexd (nobody) ──Unix socket──▶ kex-handler ─┬─ UAPI ────▶ wireguard-go  wgN
///                                                       (in namespace)  └─ netlink ─▶ VXLAN         vxN
/// ```
///
/// The listener needs no network of the gateway, so it stays outside, as it does under systemd.
final class GatewayFixture {
    let namespace: String
    let folder: String
    let domains: [Domain]
    private let unlimitedSources: String
    private(set) var handler: Daemon?
    private(set) var listener: Daemon?
    private(set) var port: UInt16 = 0
    /// `kex-http`, and where it listens.
    private(set) var httpListener: Daemon?
    private(set) var httpPort: UInt16 = 0
    /// Lines of the section `[Bus]`; `nil` if the gateway is alone.
    private let bus: String?
    private let remote: [String]
    private(set) var mqtt: Daemon?
    /// The processes of the WireGuard interfaces, in the order in which they were started.
    private(set) var devices: [Daemon] = []
    private let handlerRuns = Atomic<Int>(0)

    struct Domain {
        let name: String
        let wireGuard: String
        let vxlan: String
        var settings = ""
    }

    static let gatewayAddress = "fe80::5757:bb:1"
    private static let count = Atomic<Int>(0)

    /// - Parameters:
    ///   - settings: lines for each domain's section.
    ///   - prohibited: content of the file of prohibited keys.
    ///   - unlimited: sources that stand for many routers: by default that of the tests.
    ///   - bus: lines of the section `[Bus]`.
    ///   - remote: domains in which it has no gateway.
    init(
        domains names: [String] = ["ffww01"],
        settings: String = "",
        prohibited: String = "",
        unlimited: String = "127.0.0.0/8",
        bus: String? = nil,
        remote: [String] = []
    ) throws {
        unlimitedSources = unlimited
        self.bus = bus
        self.remote = remote
        guard getuid() == 0 else { throw Failure("this test makes network namespaces and needs root") }
        let number = Self.count.add(1, ordering: .relaxed).newValue
        let unique = "\(getpid() % 100_000)x\(number)"
        namespace = "kex\(unique)"
        folder = "/run/kex-test-\(unique)"
        domains = names.enumerated().map { index, name in
            Domain(name: name, wireGuard: "wg\(unique)\(index)", vxlan: "vx\(unique)\(index)", settings: settings)
        }
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try prohibited.write(toFile: "\(folder)/prohibited", atomically: true, encoding: .utf8)
        try configuration.write(toFile: "\(folder)/kex.conf", atomically: true, encoding: .utf8)
        try Command.check("ip netns add \(namespace)")
        try Command.check("ip -n \(namespace) link set lo up")
        for domain in domains { try makeDevices(of: domain) }
    }

    deinit {
        listener?.end(with: SIGKILL)
        httpListener?.end(with: SIGKILL)
        mqtt?.end(with: SIGKILL)
        handler?.end(with: SIGKILL)
        for device in devices { device.end(with: SIGTERM) }
        _ = try? Command.run("ip", ["netns", "delete", namespace])
        for domain in domains { unlink("/var/run/wireguard/\(domain.wireGuard).sock") }
        try? FileManager.default.removeItem(atPath: folder)
    }

    private var configuration: String {
        """
        [Gateway]
        HandlerSocket=\(folder)/handler.sock
        ControlSocket=\(folder)/control.sock
        StateDirectory=\(folder)/state
        ProhibitedKeys=\(folder)/prohibited
        UnlimitedSources=\(unlimitedSources)
        ExternalName=gw01.example.net

        """ + (bus.map { "[Bus]\nSocket=\(folder)/bus.sock\n\($0)\n" } ?? "")
            + domains.map { domain in
                "[Domain \(domain.name)]\nWireGuard=\(domain.wireGuard)\nVXLAN=\(domain.vxlan)\n\(domain.settings)\n"
            }.joined() + remote.map { "[Domain \($0)]\n" }.joined()
    }

    // MARK: - Interfaces

    func makeDevices(of domain: Domain) throws {
        try makeWireGuard(domain)
        try makeVXLAN(domain)
    }

    func makeWireGuard(_ domain: Domain, address: String = gatewayAddress) throws {
        let device = try Daemon(
            ["ip", "netns", "exec", namespace, "env", "LOG_LEVEL=error", "wireguard-go", "-f", domain.wireGuard],
            log: "\(folder)/\(domain.wireGuard).log"
        )
        devices.append(device)
        try wait(for: "the socket of \(domain.wireGuard)") {
            (try? Command.check("wg show \(domain.wireGuard)")) != nil
        }
        let key = "\(folder)/\(domain.wireGuard).key"
        try Command.check("wg genkey").write(toFile: key, atomically: true, encoding: .utf8)
        chmod(key, 0o600)
        try Command.check("wg set \(domain.wireGuard) listen-port 0 private-key \(key)")
        try Command.check("ip -n \(namespace) link set \(domain.wireGuard) addrgenmode none")
        try Command.check("ip -n \(namespace) link set \(domain.wireGuard) up")
        try Command.check("ip -n \(namespace) address add \(address)/64 dev \(domain.wireGuard) nodad")
    }

    func makeVXLAN(_ domain: Domain, over wireGuard: String? = nil, options: String = "") throws {
        let index = domains.firstIndex { $0.name == domain.name } ?? 0
        try Command.check(
            "ip -n \(namespace) link add \(domain.vxlan) type vxlan id \(index + 1) dstport \(8472 + index) "
                + "local \(Self.gatewayAddress) dev \(wireGuard ?? domain.wireGuard) \(options)"
        )
        try Command.check("ip -n \(namespace) link set \(domain.vxlan) mtu 1280 up")
    }

    /// Takes both interfaces of the domain away; the VXLAN interface goes with the one that it runs over.
    func removeDevices(of domain: Domain) throws {
        guard let device = devices.last(where: { $0.arguments.contains(domain.wireGuard) }) else { return }
        device.end(with: SIGTERM)
        devices.removeAll { $0 === device }
        // One of the same name cannot be made before.
        for name in [domain.vxlan, domain.wireGuard] {
            try wait(for: "the end of \(name)") {
                try Command.run("ip", ["-n", namespace, "link", "show", name]).status != 0
            }
        }
    }

    /// A WireGuard interface of a router's own, in the gateway's namespace: all that a handshake takes.
    ///
    /// - Returns: its public key.
    func makeRouter(_ number: Int) throws -> String {
        let router = Domain(
            name: "router",
            wireGuard: "\(domains[0].wireGuard)r\(number)",
            vxlan: "none",
            settings: ""
        )
        try makeWireGuard(router, address: "fe80::\(number + 1000)")
        let key = try Command.check("wg show \(router.wireGuard) public-key").trimmingCharacters(in: .newlines)
        // Its own address instead: the only one that the gateway takes from it.
        let own = AddressProfile.eui64.linkLocalAddress(of: PublicKey(text: key)!)
        try Command.check("ip -n \(namespace) address add \(own)/64 dev \(router.wireGuard) nodad")
        try Command.check("ip -n \(namespace) address del fe80::\(number + 1000)/64 dev \(router.wireGuard)")
        return key
    }

    /// A router that registered and shook hands; returns its public key.
    func makeConnectedRouter(_ number: Int) throws -> String {
        let key = try makeRouter(number)
        guard try register(key) == "" else { throw Failure("router \(number) is not in") }
        try connectRouter(number)
        try handler?.waitFor(Regex<Substring>(verbatim: "first sign of life of \(key)"))
        return key
    }

    /// Lets a router shake hands with the domain's WireGuard as it is now.
    func connectRouter(_ number: Int) throws {
        let port = try Command.check("wg show \(domains[0].wireGuard) listen-port")
            .trimmingCharacters(in: .newlines)
        let router = "\(domains[0].wireGuard)r\(number)"
        try Command.check(
            "wg set \(router) peer \(try ownKey()) endpoint 127.0.0.1:\(port) "
                + "allowed-ips \(Self.gatewayAddress)/128 persistent-keepalive 1"
        )
    }

    /// Sends a broadcast from a router through the tunnel, as its VXLAN interface would.
    func sendFrame(fromRouter number: Int) throws {
        // RFC 7348, section 5: a flag, and VNI 1; then a frame of an experimental type, from a MAC of its own.
        let header = #"\x08\x00\x00\x00\x00\x00\x01\x00"#
        let frame =
            #"\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x99\x88\xb5"# + String(repeating: #"\x00"#, count: 46)
        let interface = "\(domains[0].wireGuard)r\(number)"
        let command = "printf '\(header)\(frame)' > '/dev/udp/\(Self.gatewayAddress)%\(interface)/8472'"
        let result = try Command.run("ip", ["netns", "exec", namespace, "bash", "-c", command])
        guard result.status == 0 else { throw Failure("\(result.errors)") }
    }

    /// Seconds since the gateway's last handshake with a router; `nil` if there was none.
    func handshakeAge(ofRouter number: Int) throws -> Int? {
        let key = try Command.check("wg show \(domains[0].wireGuard)r\(number) public-key").trimmingCharacters(
            in: .newlines
        )
        let lines = try Command.check("wg show \(domains[0].wireGuard) latest-handshakes").split(separator: "\n")
        guard let line = lines.first(where: { $0.hasPrefix(key) }), let time = Int(line.split(separator: "\t")[1]),
            time > 0
        else { return nil }
        return Int(Date().timeIntervalSince1970) - time
    }

    // MARK: - Programs

    /// Starts the handler and waits until it is ready. The listener's user may connect.
    ///
    /// - Parameter arguments: beside the configuration.
    func startHandler(_ arguments: String...) throws {
        let run = handlerRuns.add(1, ordering: .relaxed).newValue
        let handler = try Daemon(
            ["ip", "netns", "exec", namespace, Command.path(of: "kex-handler"), "--config", "\(folder)/kex.conf"]
                + arguments,
            log: "\(folder)/handler\(run).log"
        )
        self.handler = handler
        try handler.waitFor(#/ready: /#)
        chown("\(folder)/handler.sock", 0, Self.nobody)
    }

    /// Group and user `nobody` and `nogroup` of Debian.
    private static let nobody: UInt32 = 65534

    /// A copy of a program, with its own libraries, where users who may not enter root's home can run it.
    func publicCopy(of program: String) throws -> String {
        let original = Command.path(of: program)
        let own = try Command.check("ldd \(original)").split(separator: "\n").compactMap { line in
            line.split(separator: " ").first { $0.hasPrefix("/") && !$0.hasPrefix("/lib") && !$0.hasPrefix("/usr/lib") }
        }
        try Command.check("mkdir -p \(folder)/programs")
        try Command.check("install -m 755 \(original) \(own.joined(separator: " ")) \(folder)/programs")
        return "\(folder)/programs/\(program)"
    }

    /// Starts the listener without any right, as systemd would.
    func startListener(on address: String = "127.0.0.1:0") throws {
        (listener, port) = try startFrontDoor("kexd", on: address)
    }

    /// Starts the HTTP listener in the same way.
    func startHTTPListener() throws {
        (httpListener, httpPort) = try startFrontDoor("kex-http")
    }

    /// Starts the program for the bus, outside of the namespace, where the broker is.
    ///
    /// - Parameter environment: variables, each with its value.
    func startMQTT(environment: [String] = []) throws {
        let program = Command.path(of: "kex-mqtt")
        let words = ["env"] + environment + [program, "--config", "\(folder)/kex.conf"]
        let mqtt = try Daemon(words, log: "\(folder)/kex-mqtt.log")
        self.mqtt = mqtt
        try mqtt.waitFor(#/ready: /#)
        chown("\(folder)/bus.sock", 0, Self.nobody)
    }

    private func startFrontDoor(
        _ program: String,
        on address: String = "127.0.0.1:0"
    ) throws -> (Daemon, port: UInt16) {
        let daemon = try Daemon(
            [
                "setpriv", "--reuid=\(Self.nobody)", "--regid=\(Self.nobody)", "--clear-groups", "--inh-caps=-all",
                "--bounding-set=-all", "--no-new-privs", "env", "LD_LIBRARY_PATH=\(folder)/programs",
                try publicCopy(of: program), "--config", "\(folder)/kex.conf", "--listen", address,
            ],
            log: "\(folder)/\(program).log"
        )
        return (daemon, UInt16(try daemon.waitFor(#/listening on \S+:(\d+)/#).1) ?? 0)
    }

    /// Both, for tests that need no more.
    static func running(
        domains: [String] = ["ffww01"],
        settings: String = "",
        prohibited: String = "",
        unlimited: String = "127.0.0.0/8"
    ) throws -> GatewayFixture {
        let gateway = try GatewayFixture(
            domains: domains,
            settings: settings,
            prohibited: prohibited,
            unlimited: unlimited
        )
        try gateway.startHandler()
        try gateway.startListener()
        return gateway
    }

    /// One exchange as a router makes it; returns the reply.
    ///
    /// - Parameter source: last byte of its own address, in 127.0.0.0/24.
    func register(_ key: String, domain: String = "ffww01", source: UInt8 = 1) throws -> String {
        let client = try TCPClient(port: port, source: source)
        try client.send("\(domain)\n\(key)\n")
        return try client.reply()
    }

    func cleanup(_ arguments: String...) throws -> Command.Result {
        try Command.run(Command.path(of: "kex-cleanup"), ["--config", "\(folder)/kex.conf"] + arguments)
    }

    // MARK: - What the kernel says

    /// Public keys and allowed IPs, as `wg show` lists them.
    func peers(of domain: Int = 0) throws -> [String: String] {
        let lines = try Command.check("wg show \(domains[domain].wireGuard) allowed-ips").split(separator: "\n")
        return Dictionary(
            uniqueKeysWithValues: lines.map { line in
                let parts = line.split(separator: "\t")
                return (String(parts[0]), String(parts[1]))
            }
        )
    }

    /// The permanent entries, as `bridge fdb show` lists them.
    func fdb(of domain: Int = 0) throws -> Set<String> {
        let vxlan = domains[domain].vxlan
        let lines = try Command.check("bridge -n \(namespace) fdb show dev \(vxlan)").split(separator: "\n")
        return Set(lines.filter { $0.contains("permanent") }.map { $0.trimmingCharacters(in: .whitespaces) })
    }

    func ownKey(of domain: Int = 0) throws -> String {
        try Command.check("wg show \(domains[domain].wireGuard) public-key").trimmingCharacters(in: .newlines)
    }
}
