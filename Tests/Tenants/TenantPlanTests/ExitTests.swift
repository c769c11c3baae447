import NetworkAddresses
import TenantModel
import TenantPlan
import TenantSamples
import Testing

@Suite("The exit of a network") struct ExitTests {
    private func plan(_ nodes: [Node] = [Farm.exit, Farm.hiddenNode("cellar", 1)], exit: Exit) throws -> Plan {
        let plan = Plan(Farm.document(nodes, exit: exit).resolved())
        #expect(plan.mistakes.isEmpty, "\(plan.mistakes)")
        return plan
    }

    private func room(_ plan: Plan, _ role: NamespacePlan.Role) throws -> NamespacePlan {
        try #require(plan[node("exit")]?.namespaces.first { $0.role == role })
    }

    private static let own = ExitIPv4Address(address: prefix4("198.51.100.11/24"), gateway: v4("198.51.100.1"))

    @Test("has a nic of its own beside that of the leg, with its addresses, default routes, translation and forwards")
    func ownNic() throws {
        let forward = PortForward(transport: .tcp, port: 8080, target: v4("10.1.1.5"), targetPort: 80)
        let plan = try plan(exit: Exit(node: node("exit"), ipv4: .own(Self.own), forwards: [forward]))
        let room = try room(plan, .network(network("acme")))
        let nic = try #require(room.nics.first { $0.name == "pub-0100-0" })
        #expect(nic.kind == .outside(.macvlan(parent: "eth1", namespace: nil, mac: nil)))
        let addresses = ["2a02:1807:1100::100/64", "fe80::100:1/64", "198.51.100.11/24"]
        #expect(nic.addresses == addresses.map(prefix))
        #expect(room.routes.contains(Route(.everyIPv6, .nic("pub-0100-0", hop: .v6(v6("fe80::1"))))))
        #expect(room.routes.contains(Route(.everyIPv4, .nic("pub-0100-0", hop: .v4(v4("198.51.100.1"))))))
        #expect(
            room.firewall.translations == [SourceRule(to: "pub-0100-0", source: .everyIPv4, becomes: .masquerade)]
        )
        #expect(
            room.firewall.forwards == [
                DestinationRule(
                    from: "pub-0100-0",
                    address: v4("198.51.100.11"),
                    transport: .tcp,
                    port: 8080,
                    target: v4("10.1.1.5"),
                    targetPort: 80
                )
            ]
        )
        #expect(room.firewall.forward.contains(FilterRule(.reject, from: "pub-0100-0", to: "pub-0100-0")))
        #expect(!room.nics.contains { $0.name.hasPrefix("nat-") })
    }

    static let legs: [(PublicLeg.Kind, Nic.Kind)] = [
        (.macvlan(parent: nic("eth1"), mac: nil), .outside(.macvlan(parent: "eth1", namespace: nil, mac: nil))),
        (.veth(bridge: nic("br0")), .outside(.veth(bridge: "br0"))),
        (
            .vlan(parent: nic("eth1"), identifier: 7),
            .outside(.macvlan(parent: "public", namespace: "tn-public", mac: nil))
        ),
        (.nic(nic("eth1")), .outside(.macvlan(parent: "public", namespace: "tn-public", mac: nil))),
    ]

    @Test("stands beside a leg of every kind that has room for a second nic", arguments: legs.indices)
    func beside(row: Int) throws {
        var exit = Farm.exit
        exit.legs[0].kind = Self.legs[row].0
        let plan = try plan([exit, Farm.hiddenNode("cellar", 1)], exit: Exit(node: exit.name))
        let room = try room(plan, .network(network("acme")))
        #expect(room.nics.first { $0.name == "pub-0100-0" }?.kind == Self.legs[row].1)
    }

    @Test("leaves by IPv6 through the namespace of its WireGuard where there is no second nic")
    func transit() throws {
        for isTunnel in [true, false] {
            var exit = Farm.exit
            exit.legs[0].kind = .existing(nic("gre1"))
            if !isTunnel {
                exit = Farm.publicNode("exit", 10)
            }
            let plan = try plan([exit, Farm.hiddenNode("cellar", 1)], exit: Exit(node: exit.name))
            let inner = try room(plan, .network(network("acme")))
            let outer = try room(plan, isTunnel ? .leg(0) : .host)
            #expect(inner.routes.contains(Route(.everyIPv6, .nic("nat-0100-0", hop: .v6(v6("fe80::1"))))))
            let back = IPPrefix.Address.v6(v6("fe80::100:1"))
            #expect(outer.routes.contains(Route(prefix("2a02:1807:1100:101::/64"), .nic("nat-0100-0", hop: back))))
            #expect(outer.forwards)
        }
    }

    @Test("shares an address with another network with the same addresses inside: both are translated twice")
    func shared() throws {
        var document = Farm.document([Farm.exit, Farm.hiddenNode("cellar", 1)])
        document.networks[0].members[1].ipv4 = prefix4("10.9.9.0/24")
        let forward = PortForward(transport: .tcp, port: 8080, target: v4("10.9.9.5"), targetPort: 80)
        document.networks[0].exit = Exit(node: node("exit"), ipv4: .shared, forwards: [forward])
        var other = document.networks[0]
        other.name = network("birch")
        other.members = [
            Member(node: node("exit"), key: key(10)),
            Member(node: node("cellar"), key: key(11), ipv4: prefix4("10.9.9.0/24")),
        ]
        other.exit?.forwards[0].port = 8081
        document.networks.append(other)
        let plan = Plan(document.resolved())
        #expect(plan.mistakes.isEmpty)
        let outer = try room(plan, .leg(0))
        let first = Transit.address(port: 16640)
        let second = Transit.address(port: 16642)
        #expect(outer.firewall.forwards.map(\.target) == [first, second])
        #expect(outer.firewall.translations.count == 1)
        let forbidden = outer.firewall.forward.firstIndex { $0.verdict == .drop }
        #expect(forbidden == 2)
        for (name, own) in [("acme", first), ("birch", second)] {
            let inner = try room(plan, .network(network(name)))
            #expect(inner.firewall.translations.map(\.becomes) == [.address(own)])
            #expect(inner.firewall.forwards.map(\.address) == [own])
            #expect(outer.routes.contains { $0.destination == prefix("\(own)/32") })
        }
    }

    @Test("says at once that prefixes of members that left are unreachable")
    func tombstones() throws {
        let networks = Farm.example.resolved()
        let gone = prefix("2a02:1807:1100:999::/64")
        let plan = Plan(networks, withdrawn: [network("acme"): [gone]])
        #expect(try room(plan, .network(network("acme"))).routes.contains(Route(gone, .unreachable)))
        let others = plan.nodes.filter { $0.name != node("exit") }.flatMap(\.namespaces)
        #expect(!others.contains { $0.routes.contains { $0.destination == gone } })
    }
}
