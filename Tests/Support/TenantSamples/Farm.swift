internal import NetworkAddresses
public import TenantModel

/// Machines as they are met: a farm with a public leg, a public one, and hidden ones in two LANs behind routers that both
/// use the same addresses.
public enum Farm {
    /// Its own namespace is hidden, and its leg is public by both families.
    public static let exit: Node = {
        var result = Node(name: node("exit"), ipv4: Reachability(.hidden))
        result.legs = [
            PublicLeg(
                .macvlan(parent: nic("eth1"), mac: nil),
                ipv4: PublicLeg.IPv4(address: prefix4("198.51.100.10/24"), gateway: v4("198.51.100.1")),
                ipv6: PublicLeg.IPv6(address: prefix6("2001:db8:1100::10/64"), gateway: v6("fe80::1"))
            )
        ]
        return result
    }()

    public static func publicNode(_ name: String, _ number: Int) -> Node {
        Node(
            name: node(name),
            ipv4: Reachability(.public, addresses: [.v4(v4("198.51.100.\(number)"))]),
            ipv6: Reachability(.public, addresses: [.v6(v6("2001:db8:1100::\(number)"))])
        )
    }

    /// Behind a router with NAT, with IPv4 only.
    public static func hiddenNode(_ name: String, lan: String? = nil, _ number: Int) -> Node {
        Node(
            name: node(name),
            lan: lan.map { LANAttachment(place($0), interface: nic("eth0")) },
            ipv4: Reachability(.hidden, addresses: lan == nil ? [] : [.v4(v4("192.168.1.\(number)"))])
        )
    }

    /// A network of all these nodes.
    public static func document(_ nodes: [Node], exit: Exit? = Exit(node: exit.name)) -> TenantDocument {
        var network = TenantNetwork(name: network("acme"), allocations: [0], exit: exit)
        for (index, node) in nodes.enumerated() { network.members.append(Member(node: node.name, key: key(index))) }
        return TenantDocument(allocations: [.sample], nodes: nodes, networks: [network])
    }

    /// The example of the documents: an exit, a public node, one hidden node in a LAN of its own, and two in another.
    public static let example = document([
        exit, publicNode("public", 30), hiddenNode("cellar", lan: "one", 20), hiddenNode("flat", lan: "two", 20),
        hiddenNode("attic", lan: "two", 21),
    ])
}
