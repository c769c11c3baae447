internal import NetworkAddresses
internal import TenantModel

/// Collects what a node has of all networks.
struct NodePlanner {
    let node: Node
    let kind: Member.Kind
    private var host = NamespacePlan(name: nil, role: .host)
    private var legs: [NamespacePlan]
    private var ports: [[UInt16]]
    private var networks: [NamespacePlan] = []

    init(_ node: Node, kind: Member.Kind) {
        self.node = node
        self.kind = kind
        legs = node.legs.indices.map { Self.leg($0, node.legs[$0]) }
        ports = Array(repeating: [], count: node.legs.count)
    }

    private static func leg(_ index: Int, _ leg: PublicLeg) -> NamespacePlan {
        var nic = Nic(NodeNames.publicNic, .outside(ExitSide.outside(leg.kind)))
        var plan = NamespacePlan(name: NodeNames.publicNamespace(index), role: .leg(index))
        if let ipv6 = leg.ipv6 {
            nic.addresses.append(ipv6.address.ipPrefix)
            plan.routes.append(Route(.everyIPv6, .nic(nic.name, hop: .v6(ipv6.gateway))))
        }
        if let ipv4 = leg.ipv4 {
            nic.addresses.append(ipv4.address.ipPrefix)
            plan.routes.append(Route(.everyIPv4, .nic(nic.name, hop: .v4(ipv4.gateway))))
        }
        plan.nics = [nic]
        return plan
    }

    mutating func add(_ resource: Resource, _ namespace: NamespacePlan) {
        networks.append(namespace)
        guard kind == .node else { return }
        host.nics.append(Nic(resource.names.bridge, .bridge))
        if let leg = resource.birth.leg, ports.indices.contains(leg) { ports[leg].append(resource.listenPort) }
    }

    /// Lets an exit add to the namespace where its WireGuard is born.
    mutating func extendBirth(of resource: Resource, _ change: (inout NamespacePlan) -> Void) {
        if let leg = resource.birth.leg, legs.indices.contains(leg) { change(&legs[leg]) } else { change(&host) }
    }

    func plan() -> NodePlan {
        guard kind == .node else { return NodePlan(name: node.name, kind: kind, namespaces: networks) }
        var host = host
        ExitPlanner.share(&host)
        let legs = legs.indices.compactMap { index -> NamespacePlan? in
            guard !ports[index].isEmpty else { return nil }
            var leg = self.legs[index]
            leg.firewall.forwardPolicy = .drop
            leg.firewall.inputPolicy = .drop
            leg.firewall.input = Self.input(ports[index] + leg.relays.map(\.port))
            ExitPlanner.share(&leg)
            return leg
        }
        return NodePlan(name: node.name, kind: kind, namespaces: [host] + legs + networks)
    }

    /// Nothing is for a namespace with a public address but what WireGuard and the relay listen for.
    private static func input(_ ports: [UInt16]) -> [FilterRule] {
        [
            FilterRule(.accept, state: .established),
            FilterRule(.accept, transport: .icmp),
            FilterRule(.accept, transport: .icmpv6),
            FilterRule(.accept, transport: .udp, ports: ranges(ports)),
        ]
    }

    /// Numbers as ranges, with neighbours joined.
    static func ranges(_ ports: [UInt16]) -> [ClosedRange<UInt16>] {
        ports.sorted().reduce(into: []) { ranges, port in
            guard let last = ranges.last, last.upperBound == port || last.upperBound + 1 == port
            else { return ranges.append(port...port) }
            ranges[ranges.count - 1] = last.lowerBound...port
        }
    }
}
