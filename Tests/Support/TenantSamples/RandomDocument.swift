internal import NetworkAddresses
public import TenantModel

extension TenantDocument {
    /// A document with 2 to 12 nodes and one or two networks over them: every mix of hidden and public, families, LANs,
    /// legs, devices, exits and ways out. Only some of them can be built.
    public static func random(_ chance: inout Chance) -> TenantDocument {
        let count = 2 + chance.below(11)
        var document = TenantDocument(allocations: [.sample])
        for index in 0..<count { document.nodes.append(.random(index, &chance)) }
        for index in 0..<(chance.oneIn(4) ? 2 : 1) {
            document.networks.append(document.randomNetwork(index, &chance))
        }
        return document
    }

    private func randomNetwork(_ index: Int, _ chance: inout Chance) -> TenantNetwork {
        var result = TenantNetwork(name: network("net\(index)"), allocations: [0])
        for (number, node) in nodes.enumerated() where index == 0 || !chance.oneIn(3) {
            result.members.append(Member(node: node.name, key: key(index * 100 + number)))
        }
        for number in 0..<chance.below(3) where chance.oneIn(3) {
            let name = node("device\(index)-\(number)")
            result.members.append(Member(node: name, kind: .device, key: key(index * 100 + 50 + number)))
        }
        result.hasIPv4 = !chance.oneIn(5)
        result.hiddenPairs = chance.oneIn(2) ? .relay : .exit
        for lan in ["lan0", "lan1"] where chance.oneIn(3) {
            let mates = result.members.count { member in
                nodes.contains { $0.name == member.node && $0.lan?.lan == place(lan) && $0.lan?.isDirect ?? false }
            }
            guard mates > 1 else { continue }
            let group: VXLANSegment.Delivery = .group(.v4(v4("239.1.2.3")))
            result.vxlans.append(
                VXLANSegment(lan: place(lan), delivery: chance.oneIn(2) ? .peers : group, identifier: nil)
            )
        }
        let publics = result.members.filter { member in
            nodes.contains { node in
                node.name == member.node && AddressFamily.allCases.contains { node.birth.isPublic($0) }
            }
        }
        if let hub = publics.randomElement(using: &chance), !chance.oneIn(5) {
            result.exit = randomExit(hub, index, result, &chance)
        }
        return result
    }

    private func randomExit(
        _ hub: Member,
        _ index: Int,
        _ network: TenantNetwork,
        _ chance: inout Chance
    ) -> Exit {
        var exit = Exit(node: hub.node, isDefaultRoute: !chance.oneIn(3))
        guard let machine = nodes.first(where: { $0.name == hub.node }) else { return exit }
        if chance.oneIn(4) { exit.interface = .macvlan(parent: nic("eth7"), mac: nil) }
        var isOwnNic = exit.interface != nil
        if let leg = machine.legs.first, !isOwnNic {
            if case .existing = leg.kind {} else { isOwnNic = true }
        }
        if network.hasIPv4 {
            switch chance.below(3) {
            case 0 where isOwnNic:
                let translation: ExitIPv4Address.Translation =
                    chance.oneIn(2) ? .masquerade : .source(v4("203.0.113.\(100 + index)"))
                exit.ipv4 = .own(
                    ExitIPv4Address(
                        address: prefix4("203.0.113.\(100 + index)/24"),
                        gateway: v4("203.0.113.1"),
                        translation: translation
                    )
                )
            case 1 where machine.birth.speaks(.ipv4): exit.ipv4 = .shared
            default: break
            }
        }
        if chance.oneIn(4) { exit.ipv6 = nil }
        return exit
    }

    /// Adds port forwards and allow rules, for which the addresses inside must be known.
    public mutating func addOpenings(_ chance: inout Chance) {
        let resolved = resolved()
        for index in networks.indices {
            guard var exit = networks[index].exit else { continue }
            let resources = resolved[index].resources
            let canForward =
                switch exit.ipv4 {
                case .own?: true
                case .shared?: resolved[index].exit?.birth.isPublic(.ipv4) ?? false
                case nil: false
                }
            if canForward, let target = resources.randomElement(using: &chance), let ipv4 = target.ipv4 {
                let host = ipv4.masked.address.value | (target.kind == .device ? 1 : 5)
                exit.forwards = [
                    PortForward(
                        transport: chance.oneIn(2) ? .tcp : .udp,
                        port: UInt16(8000 + index),
                        target: IPv4Address(value: host),
                        targetPort: 80
                    )
                ]
            }
            if exit.ipv6 != nil, chance.oneIn(2), let target = resources.randomElement(using: &chance) {
                exit.allow = [AllowRule(destination: target.segment.prefix, transport: .tcp, ports: [443...443])]
            }
            networks[index].exit = exit
        }
    }
}

extension Node {
    static func random(_ index: Int, _ chance: inout Chance) -> Node {
        var result = Node(name: node("n\(index)"))
        let kind = chance.below(10)
        let isHidden = chance.oneIn(2)
        // 0 to 4 both families, 5 to 7 IPv4 only, 8 and 9 IPv6 only.
        if kind < 8 {
            result.ipv4 =
                !isHidden && !chance.oneIn(4)
                ? Reachability(.public, addresses: [.v4(v4("198.51.100.\(10 + index)"))]) : Reachability(.hidden)
        }
        if kind < 5 || kind > 7 {
            result.ipv6 =
                !isHidden && !chance.oneIn(4)
                ? Reachability(.public, addresses: [.v6(v6("2001:db8:a::\(10 + index)"))]) : Reachability(.hidden)
        }
        if !chance.oneIn(3) {
            let lan = chance.below(2)
            result.lan = LANAttachment(place("lan\(lan)"), interface: nic("eth0"), isDirect: !chance.oneIn(6))
            // Behind both routers the same addresses.
            if result.ipv4?.kind == .hidden { result.ipv4?.addresses = [.v4(v4("192.168.1.\(10 + index)"))] }
            if result.ipv6?.kind == .hidden, chance.oneIn(2) {
                result.ipv6?.addresses = [.v6(v6("fd00:\(lan)::\(10 + index)"))]
            }
        }
        if chance.oneIn(5) { result.legs = [.random(index, &chance)] }
        return result
    }
}

extension PublicLeg {
    static func random(_ index: Int, _ chance: inout Chance) -> PublicLeg {
        let kinds: [Kind] = [
            .nic(nic("eth1")), .vlan(parent: nic("eth1"), identifier: 7), .macvlan(parent: nic("eth1"), mac: nil),
            .veth(bridge: nic("br0")), .existing(nic("gre1")),
        ]
        var leg = PublicLeg(kinds[chance.below(kinds.count)])
        let families = chance.below(3)
        if families != 0 {
            leg.ipv4 = IPv4(address: prefix4("198.51.100.\(110 + index)/24"), gateway: v4("198.51.100.1"))
        }
        if families != 1 {
            leg.ipv6 = IPv6(address: prefix6("2001:db8:a::\(110 + index)/64"), gateway: v6("fe80::1"))
        }
        return leg
    }
}
