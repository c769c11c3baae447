/// The tables of a document with the keys that each may have. The schema for editors has the same.
package enum DocumentTable: String, CaseIterable {
    case document
    case allocation
    case node
    case lan
    case reachabilityIPv4
    case reachabilityIPv6
    case leg
    case vlan
    case macvlan
    case veth
    case legIPv4
    case legIPv6
    case network
    case member
    case vxlan
    case exit
    case exitInterface
    case exitIPv4
    case exitIPv6
    case forward
    case allow

    package var keys: [String] {
        switch self {
        case .document: ["format", "allocations", "nodes", "networks"]
        case .allocation: ["prefix", "number", "gateway", "site", "reserve"]
        case .node: ["site", "lan", "ipv4", "ipv6", "legs", "may_be_exit", "wireguard_limit", "host_name"]
        case .lan: ["name", "interface", "direct"]
        case .reachabilityIPv4, .reachabilityIPv6: ["hidden", "public"]
        case .leg: Self.kinds + ["ipv4", "ipv6"]
        case .vlan: ["parent", "id"]
        case .macvlan: ["parent", "mac"]
        case .veth: ["bridge"]
        case .legIPv4, .legIPv6: ["address", "gateway"]
        case .network:
            ["version", "allocations", "members", "exit", "ipv4", "hidden_pairs", "vxlan", "mtu"]
        case .member: ["key", "device", "prefix", "static", "ipv4", "port", "allow"]
        case .vxlan: ["lan", "trust", "members", "group", "id"]
        case .exit: ["node", "default_route", "interface", "ipv4", "ipv6", "forwards", "allow"]
        case .exitInterface: Self.kinds
        case .exitIPv4, .exitIPv6: ["address", "gateway", "metric", "nat"]
        case .forward: ["port", "protocol", "to", "address"]
        case .allow: ["to", "protocol", "ports", "from"]
        }
    }

    /// What a leg can stand on. Exactly one of them is there.
    private static let kinds = ["nic", "vlan", "macvlan", "veth", "existing"]

    /// What a mistake calls it.
    package var name: String {
        switch self {
        case .document: "the document"
        case .allocation: "an allocation"
        case .node: "a node"
        case .lan: "lan"
        case .reachabilityIPv4: "ipv4 of a node"
        case .reachabilityIPv6: "ipv6 of a node"
        case .leg: "a leg"
        case .vlan: "vlan"
        case .macvlan: "macvlan"
        case .veth: "veth"
        case .legIPv4: "ipv4 of a leg"
        case .legIPv6: "ipv6 of a leg"
        case .network: "a network"
        case .member: "a member"
        case .vxlan: "a segment of vxlan"
        case .exit: "exit"
        case .exitInterface: "interface of an exit"
        case .exitIPv4: "ipv4 of an exit"
        case .exitIPv6: "ipv6 of an exit"
        case .forward: "a forward"
        case .allow: "an allow rule"
        }
    }
}
