import LinkMember
import NetworkAddresses
import Time
import WireGuardTypes

/// A hub and machines that have it as their peer, as the operator configured them.
public final class VirtualMesh {
    public let clock = VirtualClock()
    public let underlay: Underlay
    public let hub: VirtualMachine
    public private(set) var machines: [VirtualMachine] = []

    /// - Parameter hubDelay: one way from the hub to the middle of the internet.
    public init(hubDelay: Duration = .milliseconds(1), hubPort: UInt16 = 51_820) {
        underlay = Underlay(clock)
        let site = underlay.site("hub", .none, delay: hubDelay)
        hub = VirtualMachine(
            "hub",
            at: "198.51.100.1",
            tunnel: "10.9.0.1",
            in: site,
            underlay,
            listenPort: hubPort
        )
        hub.forwards = true
    }

    /// A machine in a site of its own, or in that of another one.
    public func machine(
        _ name: String,
        _ kind: NATKind,
        beside other: VirtualMachine? = nil,
        delay: Duration = .milliseconds(2),
        listenPort: UInt16 = 51_820
    ) -> VirtualMachine {
        let number = machines.count + 2
        let (high, low) = (number / 256, number % 256)
        let outside = kind == .none ? nil : "198.51.\(100 + high).\(low)"
        let site = other?.site ?? underlay.site(name, kind, address: outside, delay: delay)
        let network = siteNumber(site)
        let address =
            site.kind == .none
            ? "203.0.\(113 + high).\(low)" : "172.\(16 + network / 256).\(network % 256).\(number % 254 + 1)"
        let machine = VirtualMachine(
            name,
            at: address,
            tunnel: "10.9.\(number / 250).\(number % 250 + 1)",
            in: site,
            underlay,
            listenPort: listenPort
        )
        machines.append(machine)
        // As in the file of wg-quick: the hub for everybody, and the machine alone at the hub.
        machine.wireGuard.apply([
            .add(
                PeerSettings(
                    publicKey: hub.key,
                    allowedIPs: [IPPrefix(.v4(IPv4Address("10.9.0.0")!), length: 16)!],
                    endpoint: hub.endpoint,
                    persistentKeepalive: 25
                )
            )
        ])
        hub.wireGuard.apply([
            .add(
                PeerSettings(
                    publicKey: machine.key,
                    allowedIPs: [IPPrefix(.v4(machine.tunnelAddress), length: 32)!]
                )
            )
        ])
        return machine
    }

    private func siteNumber(_ site: Site) -> Int {
        underlay.sites.firstIndex { $0 === site } ?? 0
    }

    /// Whether traffic of both goes directly.
    public func isDirect(_ one: VirtualMachine, _ other: VirtualMachine) -> Bool {
        isDirectWay(one, other) && isDirectWay(other, one)
    }

    private func isDirectWay(_ one: VirtualMachine, _ other: VirtualMachine) -> Bool {
        if case .direct = one.status()[other.key]?.way { return true }
        return false
    }

    public func isRelayed(_ one: VirtualMachine, _ other: VirtualMachine) -> Bool {
        for (from, to) in [(one, other), (other, one)] {
            guard case .relayed = from.status()[to.key]?.way else { return false }
        }
        return true
    }
}
