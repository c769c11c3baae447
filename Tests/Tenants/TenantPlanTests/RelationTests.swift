import NetworkAddresses
import TenantModel
import TenantPlan
import TenantSamples
import Testing

@Suite("The relation of a pair") struct RelationTests {
    /// Rows are local, columns remote.
    struct Cell: CustomTestStringConvertible, Sendable {
        let local, remote: String
        let kind: Relation.Kind
        let hasEndpoint: Bool?

        init(_ local: String, _ remote: String, _ kind: Relation.Kind, endpoint: Bool? = nil) {
            self.local = local
            self.remote = remote
            self.kind = kind
            hasEndpoint = endpoint
        }

        var testDescription: String { "\(local) → \(remote)" }
    }

    static let cells = [
        Cell("exit", "public", .twoWay, endpoint: true),
        Cell("exit", "cellar", .dialled, endpoint: false),
        Cell("exit", "flat", .dialled, endpoint: false),
        Cell("public", "exit", .twoWay, endpoint: true),
        Cell("public", "other", .twoWay, endpoint: true),
        Cell("public", "cellar", .dialled, endpoint: false),
        Cell("public", "flat", .dialled, endpoint: false),
        Cell("cellar", "exit", .dials, endpoint: true),
        Cell("cellar", "public", .dials, endpoint: true),
        Cell("cellar", "shed", .lan, endpoint: true),
        Cell("cellar", "flat", .throughExit),
        Cell("flat", "exit", .dials, endpoint: true),
        Cell("flat", "public", .dials, endpoint: true),
        Cell("flat", "cellar", .throughExit),
        Cell("flat", "attic", .lan, endpoint: true),
    ]

    static let document = Farm.document([
        Farm.exit, Farm.publicNode("public", 30), Farm.publicNode("other", 31),
        Farm.hiddenNode("cellar", lan: "one", 20), Farm.hiddenNode("shed", lan: "one", 21),
        Farm.hiddenNode("flat", lan: "two", 20), Farm.hiddenNode("attic", lan: "two", 21),
    ])

    @Test("is that of the table, and so is the stanza", arguments: cells)
    func table(cell: Cell) throws {
        let plan = Plan(Self.document.resolved())
        #expect(plan.mistakes.isEmpty)
        #expect(plan.relation(cell.local, cell.remote)?.kind == cell.kind)
        #expect(plan.relation(cell.remote, cell.local)?.mirrored.kind == cell.kind)
        let peer = try #require(plan.wireGuard(cell.local)).peers.first { $0.node == node(cell.remote) }
        #expect(peer.map { $0.endpoint != nil } == cell.hasEndpoint)
        #expect(peer?.keepalive ?? 20 == 20)
    }

    @Test("gives each the peers that the example has: three for a hidden one, two and the hidden ones for the others")
    func counts() throws {
        let document = Farm.document([
            Farm.exit, Farm.publicNode("public", 30), Farm.publicNode("other", 31), Farm.hiddenNode("a", lan: "a", 1),
            Farm.hiddenNode("b", lan: "b", 1), Farm.hiddenNode("c", lan: "c", 1),
        ])
        let plan = Plan(document.resolved())
        for name in ["exit", "public", "other"] { #expect(plan.wireGuard(name)?.peers.count == 5) }
        for name in ["a", "b", "c"] { #expect(plan.wireGuard(name)?.peers.count == 3) }
    }

    @Test("is none in the LAN where a socket is in the namespace of a leg, and the rules of the document know that")
    func legInLAN() {
        var mate = Farm.hiddenNode("mate", lan: "farm", 12)
        mate.legs = [PublicLeg(.existing(nic("he6")), ipv6: Farm.exit.legs[0].ipv6)]
        let host = Farm.hiddenNode("host", lan: "farm", 11)
        // One speaks IPv4 only, and the other one's leg IPv6 only.
        let document = Farm.document([host, mate], exit: nil)
        #expect(Plan(document.resolved()).relation("host", "mate")?.kind == .apart)
        #expect(document.mistakes().contains { $0.reason.contains("cannot reach each other without an exit") })
    }

    struct Families: CustomTestStringConvertible, Sendable {
        let one, other: (v4: Reachability.Kind?, v6: Reachability.Kind?)
        let kind: Relation.Kind
        var family: AddressFamily?
        var testDescription: String { "\(one) and \(other)" }
    }

    static let families = [
        Families(one: (.public, .public), other: (.public, .public), kind: .twoWay, family: .ipv6),
        Families(one: (.public, nil), other: (.public, .public), kind: .twoWay, family: .ipv4),
        Families(one: (.public, .hidden), other: (.public, .public), kind: .twoWay, family: .ipv4),
        Families(one: (.hidden, .hidden), other: (.public, .public), kind: .dials, family: .ipv6),
        Families(one: (.hidden, nil), other: (.public, .public), kind: .dials, family: .ipv4),
        Families(one: (nil, .hidden), other: (.public, .public), kind: .dials, family: .ipv6),
        // Each is public where the other is hidden: the newer family decides.
        Families(one: (.public, .hidden), other: (.hidden, .public), kind: .dials, family: .ipv6),
        Families(one: (.hidden, .public), other: (.public, .hidden), kind: .dialled, family: .ipv6),
        Families(one: (.hidden, .public), other: (.hidden, nil), kind: .throughExit),
        // What one speaks the other does not.
        Families(one: (.hidden, nil), other: (nil, .public), kind: .throughExit),
        Families(one: (.public, nil), other: (nil, .public), kind: .throughExit),
        Families(one: (.hidden, .hidden), other: (.hidden, .hidden), kind: .throughExit),
    ]

    @Test("is decided in a family that both speak, IPv6 first", arguments: families)
    func family(row: Families) {
        func machine(_ name: String, _ speech: (v4: Reachability.Kind?, v6: Reachability.Kind?), _ number: Int) -> Node
        {
            Node(
                name: node(name),
                ipv4: speech.v4.map {
                    Reachability($0, addresses: $0 == .public ? [.v4(v4("198.51.100.\(number)"))] : [])
                },
                ipv6: speech.v6.map {
                    Reachability($0, addresses: $0 == .public ? [.v6(v6("2001:db8::\(number)"))] : [])
                }
            )
        }
        let document = Farm.document([Farm.exit, machine("one", row.one, 1), machine("other", row.other, 2)])
        let relation = Plan(document.resolved()).relation("one", "other")
        #expect(relation?.kind == row.kind)
        #expect(relation?.family == row.family)
    }

    @Test("is a session over the exit's ports where the network says so, in a family that all three share")
    func relayed() throws {
        var document = Farm.example
        document.networks[0].hiddenPairs = .relay
        let networks = document.resolved()
        let plan = Plan(networks)
        #expect(plan.mistakes.isEmpty)
        #expect(plan.relation("cellar", "flat") == .relayed(.ipv4, .bothHidden))
        let flat = try #require(networks[0].resources.first { $0.id.node == node("flat") })
        let port = try #require(flat.relayPort)
        let peer = try #require(plan.wireGuard("cellar")?.peers.first { $0.node == node("flat") })
        #expect(peer.endpoint == .v4(v4("198.51.100.10"), port: port))
        #expect(peer.isRelayed)
        #expect(peer.allowedIPs.contains(flat.segment.prefix.ipPrefix))
        let room = try #require(plan[node("exit")]?.namespaces.first { $0.name == "tn-public" })
        #expect(room.relays.contains(RelayPort(port: port, member: flat.id)))
        #expect(room.firewall.input.contains { $0.ports.contains { $0.contains(port) } })
    }

    @Test("through the exit the other's prefixes are of the exit's stanza, and there is no other stanza")
    func throughExit() throws {
        var document = Farm.example
        document.networks[0].exit?.isDefaultRoute = false
        let networks = document.resolved()
        let plan = Plan(networks)
        let cellar = try #require(plan.wireGuard("cellar"))
        #expect(!cellar.peers.contains { $0.node == node("flat") })
        let exit = try #require(networks[0].exit)
        let far = networks[0].resources.filter { ["flat", "attic"].contains($0.id.node.text) }
        let allowed = cellar.peers.first { $0.node == node("exit") }?.allowedIPs
        #expect(allowed == exit.ownPrefixes + far.flatMap { $0.ownPrefixes.dropFirst() })
        let room = try #require(plan[node("cellar")]?.namespaces.last)
        for other in far {
            let way = room.routes.first { $0.destination == other.segment.prefix.ipPrefix }
            #expect(way?.target == .nic("wg-0102-0", hop: .v6(exit.linkLocal)))
        }
    }

    @Test("has a reason in words, which says who reads along")
    func reasons() {
        let plan = Plan(Farm.example.resolved())
        let reasons = Dictionary(
            uniqueKeysWithValues: plan.networks[0].pairs.map { ("\($0.first) \($0.second)", $0.reason) }
        )
        #expect(reasons["exit public"] == "both are public by IPv6")
        #expect(reasons["exit cellar"] == "exit is public by IPv4, so cellar dials")
        #expect(reasons["flat attic"] == "both are in one LAN and reach each other there by IPv4")
        #expect(
            reasons["cellar flat"]
                == "neither is public in a family that the other speaks: through exit, where their traffic is in clear"
        )
    }
}

extension Plan {
    func relation(_ local: String, _ remote: String) -> Relation? {
        networks[0].pairs.lazy.compactMap { pair in
            if pair.first.text == local, pair.second.text == remote { return pair.relation }
            return pair.first.text == remote && pair.second.text == local ? pair.relation.mirrored : nil
        }.first
    }

    func wireGuard(_ name: String) -> WireGuardNic? {
        self[node(name)]?.namespaces.lazy.flatMap(\.nics).compactMap { nic in
            if case .wireGuard(let setup) = nic.kind { setup } else { nil }
        }.first
    }
}
