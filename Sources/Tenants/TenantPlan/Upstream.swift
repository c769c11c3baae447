public import NetworkAddresses
public import TenantModel

/// A route that the router of a site needs, so that answers find a member.
public struct UpstreamRoute: Hashable, Sendable {
    public var member: MemberID
    public var destination: IPv6Prefix
    /// An address of the exit that is on the router's link.
    public var via: IPv6Address

    /// All that networks need whose exits do not translate IPv6: in the order of the document.
    ///
    /// An exit with a nic of its own has the address there. Otherwise it is that of the namespace with its WireGuard.
    public static func all(_ networks: [ResolvedNetwork]) -> [UpstreamRoute] {
        networks.flatMap { network -> [UpstreamRoute] in
            guard let exit = network.network.exit, let resource = network.exit, let ipv6 = exit.ipv6,
                ipv6.translation == .none, let via = address(network, exit, resource)
            else { return [] }
            return network.resources.map { member in
                UpstreamRoute(member: member.id, destination: member.segment.prefix, via: via)
            }
        }
    }

    private static func address(_ network: ResolvedNetwork, _ exit: Exit, _ resource: Resource) -> IPv6Address? {
        switch ExitSide.ofIPv6(exit, resource) {
        case .ownNic: return network.exitIPv6?.address
        case .transit:
            guard case .v6(let address)? = resource.birth.ipv6?.addresses.first else { return nil }
            return address
        }
    }
}

/// What reads the routes.
public enum UpstreamForm: String, Hashable, Sendable, CaseIterable {
    /// Commands of iproute2.
    case iproute2
    /// Lines for `vtysh` in configuration mode. Source: docs.frrouting.org, "Static", `ipv6 route PREFIX GATEWAY`.
    case frr
    /// A protocol of BIRD 2. Source: bird.network.cz, user's guide, section 6.14.
    case bird

    public func text(_ routes: [UpstreamRoute]) -> String {
        let lines: [String]
        switch self {
        case .iproute2:
            lines = routes.map { "ip -6 route replace \($0.destination) via \($0.via)  # \($0.member)" }
        case .frr: lines = routes.flatMap { ["! \($0.member)", "ipv6 route \($0.destination) \($0.via)"] }
        case .bird:
            lines =
                ["protocol static tenants {", "    ipv6;"]
                + routes.map { "    route \($0.destination) via \($0.via);  # \($0.member)" } + ["}"]
        }
        return lines.map { $0 + "\n" }.joined()
    }
}
