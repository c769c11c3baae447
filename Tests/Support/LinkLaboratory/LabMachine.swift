import CLinux
import Foundation
import Glibc

/// A machine of the laboratory: a network namespace, and perhaps WireGuard in it.
public final class LabMachine {
    public let name: String
    public let namespace: String
    /// `nil` for a hub.
    public private(set) var site: LabSite?
    /// In its own network.
    public private(set) var address = ""
    public private(set) var address6: String?
    /// The WireGuard interface, which no other machine has the name of: wireguard-go's sockets are in one folder.
    public let interface: String
    /// Text of the keys of WireGuard.
    public private(set) var privateKey = ""
    public private(set) var publicKey = ""
    public private(set) var port: UInt16 = 0
    private var addresses: [String] = []
    /// wireguard-go, while it runs.
    public private(set) var device: LabProcess?
    let laboratory: LinkLaboratory

    /// Where the machine is on the internet.
    public var publicAddress: String { site.map { $0.kind.translates ? $0.wanAddress : address } ?? address }
    public var publicAddresses: [String] { [publicAddress] + (address6.map { [$0] } ?? []) }
    var ownAddresses: [String] { [address] + (address6.map { [$0] } ?? []) }
    /// For files of this machine.
    public var folder: String { "\(laboratory.folder)/\(name)" }

    init(_ name: String, in laboratory: LinkLaboratory, number: Int) throws {
        self.name = name
        self.laboratory = laboratory
        namespace = "kl\(laboratory.id)m\(number)"
        interface = "wg\(laboratory.id)m\(number)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try laboratory.makeNamespace(namespace)
    }

    func setUp(address: String, gateway: String, v6: String, _ gateway6: String, site: LabSite?) throws {
        self.address = address
        self.site = site
        try laboratory.shell(
            """
            ip netns exec \(namespace) sh -ec '
                ip link set lo up
                ip link set eth0 up
                ip address add \(address)/24 dev eth0
                ip route add default via \(gateway)
            '
            """
        )
        guard laboratory.hasIPv6 else { return }
        address6 = v6
        try laboratory.shell(
            """
            ip -n \(namespace) address add \(v6)/64 dev eth0 nodad
            ip -n \(namespace) -6 route add default via \(gateway6)
            """
        )
    }

    /// Goes to another network, as from a cable to a mobile network: for a moment there is no way at all.
    public func move(to site: LabSite) throws {
        // The other end goes too.
        try shell("ip link del eth0")
        try site.takeIn(self)
    }

    // MARK: - Programs

    /// Runs a script on the machine with `sh -e`.
    @discardableResult
    public func shell(_ script: String, mayFail: Bool = false) throws -> LabResult {
        let result = try run(["sh", mayFail ? "-c" : "-ec", script])
        guard mayFail || result.status == 0 else {
            throw LabFailure("\(name): \(script)\nended with \(result.status): \(result.errors)")
        }
        return result
    }

    /// Runs a program on the machine to its end.
    public func run(_ words: [String]) throws -> LabResult {
        try laboratory.run(["ip", "netns", "exec", namespace] + words)
    }

    /// Starts a program on the machine. Its output goes to a file of its name; several starts go to the same.
    public func start(_ words: [String], log: String? = nil) throws -> LabProcess {
        let program = (words.first { !$0.contains("=") && $0 != "env" } ?? "program") as NSString
        return try LabProcess(
            ["ip", "netns", "exec", namespace] + words,
            log: "\(folder)/\(log ?? program.lastPathComponent).log"
        )
    }

    /// Does something on the machine in this process, such as opening sockets, which stay there. Not to be waited in.
    public func inside<Result: ~Copyable>(_ body: () throws -> Result) throws -> Result {
        let (here, there) = (
            open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC),
            open("/run/netns/\(namespace)", O_RDONLY | O_CLOEXEC)
        )
        defer {
            close(here)
            close(there)
        }
        guard here >= 0, there >= 0, setns(there, CLONE_NEWNET) == 0 else { throw LabFailure("cannot go to \(name)") }
        // Another test would go on in the wrong place.
        defer { precondition(setns(here, CLONE_NEWNET) == 0, "cannot come back from \(name)") }
        return try body()
    }

    // MARK: - WireGuard

    /// Makes the WireGuard interface, with a new key.
    ///
    /// - Parameters:
    ///   - addresses: of the interface, with prefix lengths.
    ///   - key: a private key instead of a new one, as `wg genkey` prints it.
    public func startWireGuard(addresses: [String], port: UInt16 = 51820, key: String? = nil) throws {
        self.port = port
        privateKey = try key ?? word("wg genkey")
        let file = "\(folder)/private.key"
        try "\(privateKey)\n".write(toFile: file, atomically: true, encoding: .utf8)
        chmod(file, 0o600)
        publicKey = try word("wg pubkey <\(file)")
        self.addresses = addresses
        try startDevice(file)
    }

    /// Ends WireGuard, and with it all sessions and peers.
    public func stopWireGuard() {
        device?.end(with: SIGTERM)
        device = nil
        unlink("/run/wireguard/\(interface).sock")
    }

    /// Starts WireGuard anew with the key that it had. It has no peers.
    public func restartWireGuard() throws {
        stopWireGuard()
        try startDevice("\(folder)/private.key")
    }

    private func startDevice(_ file: String) throws {
        // No other process has the socket of this name, or this one would speak to that.
        guard access("/run/wireguard/\(interface).sock", F_OK) != 0 else { throw LabFailure("\(interface) is taken") }
        let process = try start(["env", "LOG_LEVEL=error", "wireguard-go", "-f", interface], log: "wireguard-go")
        device = laboratory.keep(process, socket: "/run/wireguard/\(interface).sock")
        try waitUntil("wireguard-go of \(name) answers") {
            try run(["wg", "show", interface]).status == 0
        }
        try shell("wg set \(interface) listen-port \(port) private-key \(file)")
        for address in addresses { try shell("ip address add \(address) dev \(interface)") }
        try shell("ip link set \(interface) up")
    }

    /// Adds a peer.
    public func addPeer(_ peer: LabMachine, allowedIPs: [String], keepalive: Int = 0, withEndpoint: Bool = true) throws
    {
        let endpoint = withEndpoint ? "endpoint \(peer.publicAddress):\(peer.port)" : ""
        let keepalive = keepalive == 0 ? "" : "persistent-keepalive \(keepalive)"
        let list = allowedIPs.joined(separator: ",")
        try shell("wg set \(interface) peer \(peer.publicKey) allowed-ips '\(list)' \(endpoint) \(keepalive)")
        for prefix in allowedIPs where !prefix.hasPrefix("fe80:") {
            try shell("ip route replace \(prefix) dev \(interface)")
        }
    }

    /// What the device says of a peer, `nil` if it has none.
    public func peer(_ other: LabMachine) throws -> LabPeer? {
        let lines = try shell("wg show \(interface) dump").output.split(separator: "\n").dropFirst()
        return lines.lazy.compactMap { LabPeer($0) }.first { $0.publicKey == other.publicKey }
    }

    private func word(_ script: String) throws -> String {
        try shell(script).output.trimmingCharacters(in: .whitespacesAndNewlines)
    }
}

/// A line of `wg show INTERFACE dump`.
public struct LabPeer: Sendable {
    public let publicKey: String
    /// `nil` if none is known.
    public let endpoint: String?
    public let allowedIPs: Set<String>
    /// Seconds since 1970, 0 if there was none.
    public let lastHandshake: Int
    public let receivedBytes: Int
    public let sentBytes: Int

    init?(_ line: Substring) {
        let fields = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
        guard fields.count == 8, let handshake = Int(fields[4]), let received = Int(fields[5]),
            let sent = Int(fields[6])
        else { return nil }
        publicKey = fields[0]
        endpoint = fields[2] == "(none)" ? nil : fields[2]
        allowedIPs = fields[3] == "(none)" ? [] : Set(fields[3].split(separator: ",").map(String.init))
        lastHandshake = handshake
        receivedBytes = received
        sentBytes = sent
    }
}
