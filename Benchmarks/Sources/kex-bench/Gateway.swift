import Foundation
import Glibc

/// Who runs WireGuard.
enum Backend: String, CaseIterable {
    case userspace, kernel
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
        case .userspace:
            device = try Program(
                ["env", "LOG_LEVEL=error", "wireguard-go", "-f", wireGuard],
                log: "\(Workplace.folder)/\(wireGuard).log"
            )
            let deadline = now() + 20
            while (try? sh("wg show \(wireGuard)")) == nil {
                guard now() < deadline else { throw Failure("wireguard-go does not come up") }
                usleep(2000)
            }
        }
        let key = try Workplace.write(try sh("wg genkey") + "\n", to: "\(wireGuard).key")
        chmod(key, 0o600)
        try sh("wg set \(wireGuard) listen-port 0 private-key \(key)")
        try sh("ip link set \(wireGuard) addrgenmode none")
        try sh("ip link set \(wireGuard) up")
        try sh("ip address add fe80::5757:bb:1/64 dev \(wireGuard) nodad")
        try sh(
            "ip link add \(vxlan) type vxlan id \(number) dstport \(8472 + number) local fe80::5757:bb:1 dev \(wireGuard)"
        )
        try sh("ip link set \(vxlan) mtu 1280 up")
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

    func peerCount() throws -> Int { try sh("wg show \(wireGuard) peers").split(separator: "\n").count }
}

/// A gateway as an operator would run it, all on loopback of one network namespace.
final class Gateway {
    let name: String
    let domains: [(name: String, interfaces: Interfaces)]
    private(set) var handler: Program?
    private(set) var listener: Program?
    private(set) var port = 0
    private let folder: String
    private var runs = 0
    var settings: String
    /// What the programs are started with: a profiler.
    var wrapper: (String) -> [String] = { _ in [] }

    /// - Parameter settings: lines for the section of each domain.
    init(_ name: String, domains count: Int = 1, _ backend: Backend, settings: String = "") throws {
        self.name = name
        self.settings = settings
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

            """
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
        runs += 1
        let start = now()
        let program = try Program(
            wrapper("kexd") + ["kexd", "--config", "\(folder)/kex.conf", "--listen", "127.0.0.1:0"],
            log: "\(folder)/kexd\(runs).log"
        )
        listener = program
        let address = try program.wait(for: "listening on 127.0.0.1:")
        let seconds = now() - start
        port = Int(address.prefix { $0.isNumber }) ?? 0
        return seconds
    }

    func stopHandler() {
        handler?.end()
        handler = nil
    }

    func stop() {
        listener?.end()
        listener = nil
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
