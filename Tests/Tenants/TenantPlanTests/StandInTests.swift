import JSONText
import NetworkAddresses
import TenantModel
import TenantPlan
import TenantSamples
import Testing

@Suite("What is taken before the ledger gives anything") struct StandInTests {
    /// Networks on one node with several legs.
    private static func farm(networks: Int, legs: Int, limit: UInt16) -> TenantDocument {
        var machine = Farm.exit
        machine.wireGuardLimit = limit
        for number in 1..<max(1, legs) {
            var leg = machine.legs[0]
            leg.ipv4?.address = prefix4("198.51.100.\(10 + number)/24")
            leg.ipv6?.address = prefix6("2001:db8:1100::\(10 + number)/64")
            machine.legs.append(leg)
        }
        var document = TenantDocument(allocations: [.sample], nodes: [machine])
        for number in 0..<networks {
            let member = Member(node: machine.name, key: key(number))
            let name = network("net\(number)")
            document.networks.append(
                TenantNetwork(name: name, allocations: [0], members: [member], exit: Exit(node: machine.name))
            )
        }
        return document
    }

    @Test("a further leg takes what the first one has no room for, and each interface is born where its leg is")
    func legs() throws {
        let document = Self.farm(networks: 5, legs: 3, limit: 2)
        let assigned = try Assignments().completed(for: document)
        let legs = document.networks.map { assigned.legs[MemberID(network: $0.name, node: node("exit"))] ?? 0 }
        #expect(legs == [0, 0, 1, 1, 2])
        let plan = Plan(try document.resolve(assigned))
        #expect(plan.mistakes.isEmpty)
        let births = plan.nodes[0].namespaces.compactMap { room -> String? in
            guard case .network = room.role else { return nil }
            return room.nics.first?.birth
        }
        #expect(births == ["tn-public", "tn-public", "tn-public-1", "tn-public-1", "tn-public-2"])
        #expect(plan.nodes[0].namespaces.prefix(4).map(\.name) == [nil, "tn-public", "tn-public-1", "tn-public-2"])
    }

    @Test("a member that has a leg keeps it")
    func kept() throws {
        let document = Self.farm(networks: 3, legs: 2, limit: 2)
        let id = MemberID(network: network("net0"), node: node("exit"))
        let assigned = try Assignments(legs: [id: 1]).completed(for: document)
        #expect(assigned.legs == [id: 1])
    }

    @Test("no room is a mistake that says what would help; at the limit there is room")
    func full() throws {
        #expect(throws: Never.self) { _ = try Assignments().completed(for: Self.farm(networks: 4, legs: 2, limit: 2)) }
        do {
            _ = try Assignments().completed(for: Self.farm(networks: 5, legs: 2, limit: 2))
            Issue.record("a fifth interface has no room")
        } catch {
            #expect(
                error.mistakes.map(\.description) == [
                    "networks.net4.members.exit: exit has no room: 2 interfaces of WireGuard are in each of its 2 public "
                        + "namespaces; give it another leg with an address of its own, or a higher limit"
                ]
            )
        }
    }

    @Test("prefixes are those of the allocation that nobody has, and what the ledger gave stays")
    func prefixes() throws {
        let document = Farm.example
        let given = document.assignments()
        #expect(try given.completed(for: document) == given)
        #expect(given.waiting(in: document) == 0)
        #expect(Assignments().waiting(in: document) == 5)
        var some = given
        let cellar = MemberID(network: network("acme"), node: node("cellar"))
        some.prefixes[cellar] = nil
        let segment = try some.completed(for: document).prefixes[cellar]?.segment
        #expect(segment?.description == "2a02:1807:1100:102::/64")
    }

    @Test("a plan as JSON is the same each time, and has all nodes or one")
    func json() throws {
        let plan = Plan(Farm.example.resolved())
        let text = plan.json().text
        #expect(text == Plan(Farm.example.resolved()).json().text)
        #expect(JSONObject(text.utf8)?.members["format"] == .integer(1))
        for name in ["exit", "public", "cellar", "flat", "attic"] {
            #expect(text.contains(#"      "name": "\#(name)","#))
            let one = plan.json(of: node(name)).text
            #expect(JSONObject(one.utf8) != nil)
            #expect(one.utf8.count < text.utf8.count)
        }
    }

    @Test("a plan in words says who reads along, and what a node has")
    func words() {
        let plan = Plan(Farm.example.resolved())
        let lines = plan.lines(of: node("cellar"))
        #expect(lines.first == "network acme, version 1, exit exit")
        #expect(lines.contains { $0.hasPrefix("  cellar and flat: ") && $0.hasSuffix("their traffic is in clear") })
        #expect(lines.contains("    route ::/0 via fe80::100 dev wg-0102-0"))
        #expect(!lines.contains("node exit"))
        #expect(plan.lines().contains("node exit"))
    }
}
