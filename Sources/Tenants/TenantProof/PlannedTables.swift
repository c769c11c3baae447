internal import NetworkAddresses
public import TenantModel
public import TenantPlan

extension NodeTables {
    /// The tables of a node that has what the plan says.
    ///
    /// - Parameter node: what the document says of the machine. Where its own namespace has the socket of WireGuard, the
    ///   machine is taken to reach the internet in the families that it speaks.
    public init(_ plan: NodePlan, node: Node) {
        self.init(node: plan.name, namespaces: plan.namespaces.map { NamespaceTables($0, node: node) })
    }
}

extension NamespaceTables {
    init(_ plan: NamespacePlan, node: Node) {
        let network: NetworkName? = if case .network(let name) = plan.role { name } else { nil }
        self.init(
            name: plan.name,
            network: network,
            nics: plan.nics.map(NicTable.init),
            routes: plan.routes,
            firewall: plan.firewall,
            forwardsIPv4: plan.forwards,
            forwardsIPv6: plan.forwards,
            relays: plan.relays
        )
        if plan.role == .host, node.legs.isEmpty { addUplink(node) }
    }

    /// What leads outside is the machine's own, and in no plan.
    private mutating func addUplink(_ node: Node) {
        var uplink = NicTable(Uplink.name, .outside)
        for family in AddressFamily.allCases {
            guard let reachability = node.ownReachability(family) else { continue }
            uplink.addresses.append((reachability.addresses.first ?? Uplink.address(family)).host)
            switch family {
            case .ipv4: routes.append(Route(.everyIPv4, .nic(Uplink.name, hop: nil)))
            case .ipv6: routes.append(Route(.everyIPv6, .nic(Uplink.name, hop: nil)))
            }
        }
        nics.append(uplink)
    }
}

/// The nic by which a machine without legs reaches the internet.
enum Uplink {
    /// No interface is called so.
    static let name = "(uplink)"

    /// Stands for the one that a hidden machine has and the document does not tell. Sources: RFC 7600, section 4.8; RFC
    /// 5180, section 8.
    static func address(_ family: AddressFamily) -> IPPrefix.Address {
        switch family {
        case .ipv4: .v4(IPv4Address(value: 192 << 24 | 8))
        case .ipv6: .v6(IPv6Address(high: 0x2001_0002_0000_0000, low: 8))
        }
    }
}

extension NicTable {
    init(_ nic: Nic) {
        let kind: Kind =
            switch nic.kind {
            case .wireGuard(let wireGuard):
                .wireGuard(
                    WireGuardTable(
                        key: wireGuard.key,
                        port: wireGuard.port,
                        birth: nic.birth,
                        peers: wireGuard.peers.map { peer in
                            WireGuardTable.Peer(
                                key: peer.key,
                                endpoint: peer.endpoint,
                                keepalive: peer.keepalive,
                                allowedIPs: peer.allowedIPs
                            )
                        }
                    )
                )
            case .vxlan(let vxlan): .vxlan(vxlan)
            case .bridge: .other
            case .inside: .inside
            case .transit(let namespace): .transit(namespace: namespace, nic: nic.name)
            case .outside: .outside
            }
        self.init(nic.name, kind, addresses: nic.addresses)
    }
}
