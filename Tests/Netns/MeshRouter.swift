import EUI64
import Foundation
import NetworkAddresses
import WireGuardTypes

/// A router of the field in a network namespace of its own, with WireGuard and VXLAN, on a cable to the gateway:
///
/// ```
///   10.1.0.NUMBER  vxN ── wgN  10.99.NUMBER.2 ──veth── 10.99.NUMBER.1  gateway
/// ```
final class MeshRouter {
    let gateway: GatewayFixture
    let number: Int
    let key: String
    let namespace: String
    let wireGuard: String
    private let vxlan: String
    private let process: Daemon

    init(_ gateway: GatewayFixture, _ number: Int) throws {
        self.gateway = gateway
        self.number = number
        namespace = "\(gateway.namespace)r\(number)"
        wireGuard = "\(gateway.domains[0].wireGuard)r\(number)"
        vxlan = "vx\(number)"
        try Command.check("ip netns add \(namespace)")
        let cable = "cable\(number)"
        try Command.check("ip -n \(namespace) link add eth0 type veth peer name \(cable) netns \(gateway.namespace)")
        for (place, end, last) in [(namespace, "eth0", 2), (gateway.namespace, cable, 1)] {
            try Command.check("ip -n \(place) address add 10.99.\(number).\(last)/24 dev \(end)")
            try Command.check("ip -n \(place) link set \(end) up")
        }
        process = try Daemon(
            ["ip", "netns", "exec", namespace, "env", "LOG_LEVEL=error", "wireguard-go", "-f", wireGuard],
            log: "\(gateway.folder)/\(wireGuard).log"
        )
        let name = wireGuard
        try wait(for: "the socket of \(name)") { (try? Command.check("wg show \(name)")) != nil }
        let file = "\(gateway.folder)/\(wireGuard).key"
        try Command.check("wg genkey").write(toFile: file, atomically: true, encoding: .utf8)
        chmod(file, 0o600)
        try Command.check("wg set \(wireGuard) private-key \(file)")
        key = try Command.check("wg show \(wireGuard) public-key").trimmingCharacters(in: .newlines)
        try Command.check("ip -n \(namespace) link set \(wireGuard) addrgenmode none")
        try Command.check("ip -n \(namespace) link set \(wireGuard) up")
    }

    deinit {
        end()
        _ = try? Command.run("ip", ["netns", "delete", namespace])
        unlink("/var/run/wireguard/\(wireGuard).sock")
    }

    /// Falls silent for ever.
    func end() { process.end(with: SIGTERM) }

    func address(_ profile: AddressProfile) -> String {
        "\(profile.linkLocalAddress(of: PublicKey(text: key)!))"
    }

    func mac(_ profile: AddressProfile) -> String { "\(profile.mac(of: PublicKey(text: key)!))" }

    /// The entry of the gateway's flood list by which broadcasts come here.
    func floodEntry(_ profile: AddressProfile) -> String {
        "00:00:00:00:00:00 dst \(address(profile)) via \(gateway.domains[0].wireGuard) self permanent"
    }

    /// Takes the address of a profile, and no other, as firmware of that profile does when it starts.
    func use(_ profile: AddressProfile) throws {
        _ = try Command.run("ip", ["-n", namespace, "link", "delete", vxlan])
        try Command.check("ip -n \(namespace) address flush dev \(wireGuard)")
        try Command.check("ip -n \(namespace) address add \(address(profile))/64 dev \(wireGuard) nodad")
        try Command.check(
            "ip -n \(namespace) link add \(vxlan) type vxlan id 1 dstport 8472 local \(address(profile)) "
                + "remote \(GatewayFixture.gatewayAddress) dev \(wireGuard)"
        )
        try Command.check("ip -n \(namespace) link set \(vxlan) address \(mac(profile)) mtu 1280 up")
        try Command.check("ip -n \(namespace) address add 10.1.0.\(number)/24 dev \(vxlan)")
    }

    /// Lets WireGuard shake hands with the gateway's.
    func connect() throws {
        let port = try Command.check("wg show \(gateway.domains[0].wireGuard) listen-port")
            .trimmingCharacters(in: .newlines)
        try Command.check(
            "wg set \(wireGuard) peer \(try gateway.ownKey()) endpoint 10.99.\(number).1:\(port) "
                + "allowed-ips \(GatewayFixture.gatewayAddress)/128 persistent-keepalive 1"
        )
    }

    /// Pings the gateway through VXLAN, one every hundredth of a second.
    func ping(_ count: Int) throws -> Command.Result {
        let ping = ["ping", "-n", "-q", "-c", "\(count)", "-i", "0.01", "-W", "1", "10.1.0.254"]
        return try Command.run("ip", ["netns", "exec", namespace] + ping)
    }

    /// The same in the background.
    func pinging(_ count: Int) throws -> Daemon {
        try Daemon(
            ["ip", "netns", "exec", namespace, "ping", "-n", "-q", "-c", "\(count)", "-i", "0.01", "10.1.0.254"],
            log: "\(gateway.folder)/ping\(UUID().uuidString).log"
        )
    }

    /// The time of the gateway's last handshake with this router: one for each session.
    var lastHandshake: String? {
        get throws {
            try Command.check("wg show \(gateway.domains[0].wireGuard) latest-handshakes").split(separator: "\n")
                .first { $0.hasPrefix(key) }.map { String($0.split(separator: "\t")[1]) }
        }
    }
}
