public import NetworkAddresses
public import TenantModel
public import TenantPlan

/// What a machine must have to be a member, where no plan is applied: without namespaces, bridges and firewall.
public struct ExportedMember: Hashable, Sendable {
    public let id: MemberID
    public let version: UInt32
    /// What the interface is called in the plan, and what the file should be called.
    public let interface: String
    public let wireGuard: WireGuardNic
    public let mtu: UInt16?
    /// Those of the interface, and as single addresses those that the plan has on the nic inside.
    public let addresses: [IPPrefix]
    /// Into the interface, and to nobody.
    public let routes: [Route]
    public let forwards: Bool
    /// What the plan has and a file cannot say: a line each.
    public let omissions: [String]

    /// Returns `nil` if the node has nothing in that network.
    public init?(_ id: MemberID, of plan: Plan) {
        guard let node = plan[id.node], let network = plan.networks.first(where: { $0.name == id.network }),
            let namespace = node.namespaces.first(where: { $0.role == .network(id.network) })
        else { return nil }
        var found: (nic: Nic, wireGuard: WireGuardNic)?
        var inside: [IPPrefix] = []
        var omissions: [String] = []
        for nic in namespace.nics {
            switch nic.kind {
            case .wireGuard(let wireGuard): found = (nic, wireGuard)
            case .inside: inside += nic.addresses
            case .vxlan: omissions.append("\(nic.name): those in the same LAN are reached by VXLAN only")
            case .outside, .transit:
                omissions.append("\(nic.name): the way out of an exit, with its firewall and its NAT")
            case .bridge: break
            }
        }
        guard let (nic, wireGuard) = found else { return nil }
        self.id = id
        version = network.version
        interface = nic.name
        mtu = nic.mtu
        self.wireGuard = wireGuard
        addresses = nic.addresses + inside.compactMap(Self.single).filter { !nic.addresses.contains($0) }
        routes = namespace.routes.filter { $0.nic == nil || $0.nic == nic.name }
        forwards = namespace.forwards
        if let birth = nic.birth, let leg = node.namespaces.first(where: { $0.name == birth }) {
            omissions += leg.relays.filter { $0.member.network == id.network }
                .map { "port \($0.port), which leads to \($0.member.node)" }
        }
        self.omissions = omissions
    }

    /// The address of a nic inside, without the network behind it. The gateway of what lives there is of no use here.
    private static func single(_ prefix: IPPrefix) -> IPPrefix? {
        switch prefix.address {
        case .v4(let address): IPPrefix(.v4(address), length: 32)
        case .v6(let address): address.isLinkLocal ? nil : IPPrefix(host: address)
        }
    }

    /// A line for the head of each form.
    var title: String { "\(id), version \(version), written by kex-net export" }

    /// The addresses that mean something outside of links.
    var globalAddresses: [IPPrefix] { addresses.filter { $0.length == 32 || $0.length == 128 } }

    /// What is for everybody else.
    static func isDefault(_ route: Route) -> Bool { route.destination.length == 0 }
}

extension IPPrefix {
    var isV6: Bool { if case .v6 = address { true } else { false } }

    /// Addresses of links, which are the next hops of routes and nothing else.
    var isOfLink: Bool {
        switch address {
        case .v6(let address): address.isLinkLocal
        case .v4(let address): address.value >> 16 == 100 << 8 | 64
        }
    }
}
