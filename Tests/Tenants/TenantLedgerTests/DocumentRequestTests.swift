import NetworkAddresses
import TenantModel
import Testing
import WireGuardTypes

@testable import TenantLedger

@Suite("A document that asks the ledger") struct DocumentRequestTests {
    private let now = Sample.start

    private func key(_ number: UInt8) -> PublicKey { PublicKey(bytes: [UInt8](repeating: number, count: 32).span)! }

    private func document(
        _ members: [String],
        exit: String? = nil,
        hiddenPairs: HiddenPairs = .exit,
        prefix: String = "2001:db8:0:10::/60",
        _ change: (inout [Member]) -> Void = { _ in }
    ) -> TenantDocument {
        var list = members.enumerated().map { index, name in Member(node: NodeName(name)!, key: key(UInt8(index + 1))) }
        change(&list)
        let network = TenantNetwork(
            name: NetworkName("acme")!,
            allocations: [7],
            members: list,
            exit: exit.map { Exit(node: NodeName($0)!) },
            hiddenPairs: hiddenPairs
        )
        return TenantDocument(
            allocations: [Allocation(prefix: IPv6Prefix(prefix)!, number: 7)!],
            nodes: members.map { Node(name: NodeName($0)!) },
            networks: [network]
        )
    }

    @Test("gets all that its members need, and the second time nothing")
    func all() throws {
        let document = document(["farm", "cellar", "flat"], exit: "farm", hiddenPairs: .relay)
        var ledger = Ledger()
        let new = try ledger.allocate(document, at: now)
        // A prefix and a port each, and a relay for those that are not the exit.
        #expect(new.count == 8)
        let assigned = ledger.assignments(for: document)
        #expect(assigned.prefixes.count == 3 && assigned.ports.count == 3 && assigned.relayPorts.count == 2)
        #expect(assigned.prefixes.values.allSatisfy { $0.allocation == 7 })
        let resolved = try document.resolve(assigned)
        for resource in resolved[0].resources {
            #expect(resource.segment == ledger.prefix(of: resource.id))
            #expect(resource.listenPort == resource.tag.wantedPort)
            #expect((resource.relayPort == nil) == (resource.id.node.text == "farm"))
        }
        let text = ledger.takeUnwritten()
        #expect(try ledger.allocate(document, at: now + Sample.day).isEmpty)
        #expect(ledger.unwritten.isEmpty)
        #expect(try Sample.ledger(text).assignments(for: document) == assigned)
    }

    @Test("gets no relay where nobody is relayed")
    func noRelay() throws {
        var ledger = Ledger()
        let new = try ledger.allocate(document(["farm", "cellar"], exit: "farm"), at: now)
        #expect(new.count == 4)
    }

    @Test("names prefixes and ports itself, and static prefixes of which the ledger knows nothing")
    func fixed() throws {
        let document = document(["farm", "cellar", "flat"]) { members in
            members[0].prefix = IPv6Prefix("2001:db8:0:1f::/64")
            members[0].listenPort = 51820
            members[1].prefix = IPv6Prefix("fd00:1:2:12::/64")
            members[1].isStatic = true
        }
        var ledger = Ledger()
        _ = try ledger.allocate(document, at: now)
        #expect(ledger.prefix(of: Sample.member("acme/farm")) == Sample.segment("2001:db8:0:1f::"))
        #expect(try #require(ledger.port(of: Sample.member("acme/farm"))) == (51820, 0))
        #expect(ledger.prefix(of: Sample.member("acme/cellar")) == nil)
        #expect(try #require(ledger.port(of: Sample.member("acme/cellar"))) == (16402, 0))
        #expect(ledger.prefix(of: Sample.member("acme/flat"))?.low16 != 0x12)
    }

    @Test("is refused as a whole, with every reason")
    func refused() throws {
        let names = (0..<16).map { "node\($0)" }
        var ledger = Ledger()
        let refusal = #expect(throws: LedgerRefusal.self) { try ledger.allocate(document(names), at: now) }
        let lines = try #require(refusal).each.map(\.description)
        #expect(lines.count == 2)
        #expect(lines[0].hasPrefix("acme/node14: no prefix is left: of 14"))
        #expect(lines[1].hasPrefix("acme/node15: no prefix is left: of 14"))
    }

    @Test("that has lost a member, its relays or a prefix of the ledger leaves them held, and they are named")
    func leftovers() throws {
        var ledger = Ledger()
        _ = try ledger.allocate(document(["farm", "cellar"], exit: "farm", hiddenPairs: .relay), at: now)
        #expect(ledger.leftovers(of: document(["farm", "cellar"], exit: "farm", hiddenPairs: .relay)).isEmpty)
        let other = document(["farm"], exit: "farm", hiddenPairs: .relay)
        #expect(try ledger.allocate(other, at: now).isEmpty)
        #expect(ledger.leftovers(of: other).map(\.line) == [4, 5, 6])
        #expect(ledger.leftovers(of: document(["farm", "cellar"], exit: "farm")).map(\.line) == [6])
        let fixed = document(["farm", "cellar"], exit: "farm", hiddenPairs: .relay) { members in
            members[1].prefix = IPv6Prefix("fd00:1:2:12::/64")
            members[1].isStatic = true
        }
        #expect(ledger.leftovers(of: fixed).map(\.line) == [4])
        _ = ledger.release(Sample.member("acme/cellar"), at: now)
        #expect(ledger.leftovers(of: other).isEmpty)
    }

    @Test("of two clones that gave the same is told once, and other documents go on")
    func contested() throws {
        var base = Ledger()
        _ = try base.allocate(document(["farm"]), at: now)
        let text = base.takeUnwritten()
        var (one, other) = (base, base)
        let segment = Sample.segment("2001:db8:0:1c::")
        let allocation = Sample.allocation("2001:db8:0:10::/60")
        try one.fix(segment, for: Sample.member("acme/cellar"), of: allocation, at: now)
        try other.fix(segment, for: Sample.member("other/x"), of: allocation, at: now)
        var merged = try Sample.ledger(text + one.unwritten + other.unwritten)
        let refusal = #expect(throws: LedgerRefusal.self) {
            try merged.allocate(document(["farm", "cellar", "flat"]), at: now)
        }
        #expect(try #require(refusal) == .isContested(merged.conflicts))
        var elsewhere = TenantDocument()
        elsewhere.networks = []
        #expect(try merged.allocate(elsewhere, at: now).isEmpty)
    }
}
