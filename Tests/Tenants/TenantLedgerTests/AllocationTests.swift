import NetworkAddresses
import TenantModel
import Testing

@testable import TenantLedger

@Suite("What an allocation has to hand out") struct PrefixPoolTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let allocation: String
        let count: UInt64
        /// At the head of each /48, or of a smaller allocation.
        let reserved: UInt64
        let usable: UInt64
        let first: String
        let last: String
        var testDescription: String { allocation }

        init(
            _ allocation: String,
            _ count: UInt64,
            _ reserved: UInt64,
            _ usable: UInt64,
            _ first: String,
            _ last: String
        ) {
            (self.allocation, self.count, self.reserved, self.usable) = (allocation, count, reserved, usable)
            (self.first, self.last) = (first, last)
        }
    }

    /// The rows of the worked table: see docs/decisions/0024-tenant-ledger.md.
    @Test(
        "is what the worked table says, row by row",
        arguments: [
            Row("2a02:1807:1100::/48", 65536, 256, 65279, "2a02:1807:1100:100::", "2a02:1807:1100:fffe::"),
            Row("2a02:1802::/40", 16_777_216, 256, 16_711_424, "2a02:1802:0:100::", "2a02:1802:ff:fffe::"),
            Row("2a02:1807:1100:ab00::/56", 256, 16, 240, "2a02:1807:1100:ab10::", "2a02:1807:1100:abff::"),
            Row("2a02:1807:1100:b000::/52", 4096, 256, 3840, "2a02:1807:1100:b100::", "2a02:1807:1100:bfff::"),
            Row("2001:db8:0:10::/60", 16, 2, 14, "2001:db8:0:12::", "2001:db8:0:1f::"),
            Row("2001:db8:0:10::/62", 4, 2, 2, "2001:db8:0:12::", "2001:db8:0:13::"),
            Row("2001:db8::/32", 1 << 32, 256, 65536 * 65279, "2001:db8:0:100::", "2001:db8:ffff:fffe::"),
            // What ends with ones only is nobody's in small ones too.
            Row("2001:db8:0:fff0::/60", 16, 2, 13, "2001:db8:0:fff2::", "2001:db8:0:fffe::"),
            Row("2001:db8:0:8000::/49", 32768, 256, 32511, "2001:db8:0:8100::", "2001:db8:0:fffe::"),
        ]
    )
    func row(_ row: Row) {
        let allocation = Sample.allocation(row.allocation)
        let pool = PrefixPool(allocation)
        #expect(allocation.segmentCount == row.count)
        #expect(allocation.reservedCount == row.reserved)
        #expect(pool.usable == row.usable)
        #expect(pool.segment(at: 0) == Sample.segment(row.first))
        #expect(pool.segment(at: pool.usable - 1) == Sample.segment(row.last))
        #expect(pool.offers(Sample.segment(row.first)) && pool.offers(Sample.segment(row.last)))
        #expect(!pool.offers(Segment(upper: Sample.segment(row.first).upper - 1)))
        #expect(!pool.offers(Segment(upper: allocation.prefix.address.high + row.count)))
    }

    @Test("goes on behind the reserved part of the next /48")
    func nextBlock() {
        let pool = PrefixPool(Sample.allocation("2a02:1802::/40"))
        #expect(pool.segment(at: 65278) == Sample.segment("2a02:1802:0:fffe::"))
        #expect(pool.segment(at: 65279) == Sample.segment("2a02:1802:1:100::"))
        #expect(!pool.offers(Sample.segment("2a02:1802:1:ff::")))
        #expect(!pool.offers(Sample.segment("2a02:1802:1:ffff::")))
    }

    @Test("offers every place once, and no other /64", arguments: ["2001:db8:0:10::/60", "2001:db8:0:ff00::/56"])
    func places(text: String) {
        let pool = PrefixPool(Sample.allocation(text))
        let places = (0..<pool.usable).map { pool.segment(at: $0) }
        #expect(places == places.sorted() && Set(places).count == places.count)
        let all = (0..<pool.allocation.segmentCount).compactMap { pool.allocation.segment(at: $0) }
        #expect(all.filter(pool.offers) == places)
    }

    @Test("is nothing where all of it is reserved, and never the first two")
    func reserve() {
        #expect(PrefixPool(Sample.allocation("2001:db8:0:ab00::/56", reserve: 256)).usable == 0)
        #expect(PrefixPool(Sample.allocation("2001:db8:0:ab00::/56", reserve: 255)).usable == 1)
        #expect(PrefixPool(Sample.allocation("2001:db8:0:ab00::/56", reserve: 0)).usable == 254)
        #expect(PrefixPool(Sample.allocation("2001:db8:0:ff00::/56", reserve: 255)).usable == 0)
    }
}

@Suite("Prefixes from the ledger") struct PrefixTests {
    private let allocation = Sample.allocation("2001:db8:0:10::/60")
    private let now = Sample.start

    @Test("are all of a /60: fourteen, each once; the fifteenth member is told how many there are")
    func exhaustion() throws {
        var ledger = Ledger()
        let members = Sample.members("acme", 14)
        let segments = try members.map { member in try ledger.prefix(for: member, from: [allocation], at: now) }
        #expect(Set(segments) == Set((2...15).compactMap { allocation.segment(at: $0) }))
        let late = Sample.member("acme/late")
        let refusal = #expect(throws: LedgerRefusal.self) { try ledger.prefix(for: late, from: [allocation], at: now) }
        #expect(
            "\(try #require(refusal))"
                == "acme/late: no prefix is left: of 14 in 2001:db8:0:10::/60 14 are taken, 0 in quarantine"
        )
        // Two of them are given back, on two days.
        _ = ledger.release(members[3], at: now + Sample.day)
        _ = ledger.release(members[5], at: now)
        let text = ledger.unwritten
        let other = #expect(throws: LedgerRefusal.self) { try ledger.prefix(for: late, from: [allocation], at: now) }
        #expect(
            "\(try #require(other))" == "acme/late: no prefix is left: of 14 in 2001:db8:0:10::/60 12 are taken, "
                + "2 in quarantine, the first until 2026-12-29T06:30:00Z"
        )
        #expect(ledger.unwritten == text)
        // The quarantine of one ends after thirty days, and not a second before.
        let end = now + Ledger.quarantine
        #expect(throws: LedgerRefusal.self) {
            try ledger.prefix(for: late, from: [allocation], at: end + .seconds(-1))
        }
        #expect(try ledger.prefix(for: late, from: [allocation], at: end) == segments[5])
    }

    @Test("are the same for the same request, and nothing is written")
    func idempotence() throws {
        var ledger = Ledger()
        let members = Sample.members("acme", 5)
        let first = try members.map { member in try ledger.prefix(for: member, from: [allocation], at: now) }
        let text = ledger.takeUnwritten()
        var again = try Sample.ledger(text)
        for later in [now, now + Sample.day] {
            let same = try members.map { member in try again.prefix(for: member, from: [allocation], at: later) }
            #expect(same == first)
        }
        #expect(again.unwritten.isEmpty)
    }

    @Test("begin at a place that is made of the names, and go upward with wrap")
    func order() throws {
        // The digest's first bytes, made with: printf 'acme cellar' | sha256sum
        let pool = PrefixPool(allocation)
        let start = UInt64(0x6e88_7116_c519_3f15) % pool.usable
        var ledger = Ledger()
        let first = try ledger.prefix(for: Sample.member("acme/cellar"), from: [allocation], at: now)
        #expect(first == pool.segment(at: start))
        // Whoever would get the same gets the next.
        var crowded = Ledger()
        for step in 0..<pool.usable - 1 {
            let segment = pool.segment(at: (start + step) % pool.usable)
            try crowded.fix(segment, for: Sample.member("acme/fixed\(step)"), of: allocation, at: now)
        }
        let last = try crowded.prefix(for: Sample.member("acme/cellar"), from: [allocation], at: now)
        #expect(last == pool.segment(at: (start + pool.usable - 1) % pool.usable))
    }

    @Test("come from the next allocation of the network when one is full")
    func nextAllocation() throws {
        var ledger = Ledger()
        let small = Sample.allocation("2001:db8:0:20::/62")
        let segments = try Sample.members("acme", 16).map { member in
            try ledger.prefix(for: member, from: [small, allocation], at: now)
        }
        #expect(segments.prefix(2).allSatisfy { small.index(of: $0) != nil })
        #expect(segments.dropFirst(2).allSatisfy { allocation.index(of: $0) != nil })
        #expect(Set(segments).count == 16)
    }

    @Test("never end alike in one network, though they are of two /48; and may in two networks")
    func tags() throws {
        let large = Sample.allocation("2a02:1802::/40")
        var ledger = Ledger()
        try ledger.fix(Sample.segment("2a02:1802:0:100::"), for: Sample.member("acme/a"), of: large, at: now)
        let same = Sample.segment("2a02:1802:1:100::")
        let refusal = #expect(throws: LedgerRefusal.self) {
            try ledger.fix(same, for: Sample.member("acme/b"), of: large, at: now)
        }
        #expect(
            "\(try #require(refusal))" == "acme/b cannot have prefix acme b 2a02:1802:1:100::/64: "
                + "line 2 is in the way: prefix acme a 2a02:1802:0:100::/64"
        )
        try ledger.fix(same, for: Sample.member("other/b"), of: large, at: now)
        // Two allocations that have only ends in common: the second is of no use.
        let one = Sample.allocation("2001:db8:1:10::/62")
        let two = Sample.allocation("2001:db8:2:10::/62")
        for member in Sample.members("third", 2) { _ = try ledger.prefix(for: member, from: [one], at: now) }
        let useless = #expect(throws: LedgerRefusal.self) {
            try ledger.prefix(for: Sample.member("third/node2"), from: [one, two], at: now)
        }
        #expect(
            "\(try #require(useless))" == "third/node2: no prefix is left: of 2 in 2001:db8:1:10::/62 2 are taken, "
                + "0 in quarantine; of 2 in 2001:db8:2:10::/62 0 are taken, 0 in quarantine, "
                + "2 end like one that this network has"
        )
        // Nor do they end like a static one.
        let avoided = try ledger.prefix(for: Sample.member("fourth/a"), from: [two], avoiding: [0x12], at: now)
        #expect(avoided == Sample.segment("2001:db8:2:13::"))
    }

    @Test("of a network that has every end there is are refused soon, also in a /32")
    func everyEnd() throws {
        var ledger = Ledger()
        let huge = Sample.allocation("2001:db8::/32")
        let all = Set(UInt16(0x100)...0xfffe)
        let refusal = #expect(throws: LedgerRefusal.self) {
            try ledger.prefix(for: Sample.member("acme/a"), from: [huge], avoiding: all, at: now)
        }
        #expect("\(try #require(refusal))".hasPrefix("acme/a: no prefix is left"))
        _ = try ledger.prefix(for: Sample.member("acme/a"), from: [huge], avoiding: all.subtracting([0xabc]), at: now)
        #expect(ledger.prefix(of: Sample.member("acme/a"))?.low16 == 0xabc)
    }

    @Test("are refused where the member has one elsewhere, or the document wants another")
    func elsewhere() throws {
        var ledger = Ledger()
        let member = Sample.member("acme/cellar")
        let segment = try ledger.prefix(for: member, from: [allocation], at: now)
        let elsewhere = Sample.allocation("2001:db8:0:20::/60")
        let outside = #expect(throws: LedgerRefusal.self) {
            try ledger.prefix(for: member, from: [elsewhere], at: now)
        }
        #expect(
            "\(try #require(outside))" == "acme/cellar has \(segment) (line 2), which is in none of its network's "
                + "allocations (2001:db8:0:20::/60); release it first"
        )
        let wanted = Sample.segment("2001:db8:0:2a::")
        let other = #expect(throws: LedgerRefusal.self) { try ledger.fix(wanted, for: member, of: elsewhere, at: now) }
        #expect(
            "\(try #require(other))" == "acme/cellar has \(segment) (line 2) and not \(wanted); release it first"
        )
        try ledger.fix(segment, for: member, of: allocation, at: now)
    }

    @Test("are refused of an allocation that overlaps with another, until that is free again")
    func overlap() throws {
        var ledger = Ledger()
        let (member, other) = (Sample.member("acme/cellar"), Sample.member("other/flat"))
        _ = try ledger.prefix(for: member, from: [allocation], at: now)
        let around = Sample.allocation("2001:db8::/48")
        let refusal = #expect(throws: LedgerRefusal.self) { try ledger.prefix(for: other, from: [around], at: now) }
        #expect(
            "\(try #require(refusal))" == "other/flat: allocation 2001:db8::/48 overlaps with 2001:db8:0:10::/60, "
                + "of which line 2 has a prefix"
        )
        #expect(throws: LedgerRefusal.self) {
            try ledger.fix(Sample.segment("2001:db8:0:12::"), for: other, of: around, at: now)
        }
        _ = ledger.release(member, at: now)
        #expect(throws: LedgerRefusal.self) { try ledger.prefix(for: other, from: [around], at: now) }
        _ = try ledger.prefix(for: other, from: [around], at: now + Ledger.quarantine)
    }

    @Test("of an allocation that is all reserved are refused clearly")
    func reserved() throws {
        var ledger = Ledger()
        let full = Sample.allocation("2001:db8:0:ab00::/56", reserve: 256)
        let refusal = #expect(throws: LedgerRefusal.self) {
            try ledger.prefix(for: Sample.member("acme/a"), from: [full], at: now)
        }
        #expect(
            "\(try #require(refusal))" == "acme/a: no prefix is left: all of 2001:db8:0:ab00::/56 is reserved"
        )
    }
}

@Suite("What was given back") struct QuarantineTests {
    private let allocation = Sample.allocation("2001:db8:0:10::/62")
    private let now = Sample.start
    private let a = Sample.member("acme/a")
    private let b = Sample.member("acme/b")
    private let c = Sample.member("acme/c")

    @Test("is its holder's again while nobody else can have it")
    func comesBack() throws {
        var ledger = Ledger()
        let segment = try ledger.prefix(for: a, from: [allocation], at: now)
        let port = try ledger.port(for: a, at: Sample.node("a"), wanted: 16402, at: now).port
        _ = try ledger.prefix(for: b, from: [allocation], at: now)
        #expect(ledger.release(a, at: now) == [.prefix(segment, a), .port(port, leg: 0, a)])
        #expect(ledger.prefix(of: a) == nil && ledger.port(of: a) == nil)
        #expect(throws: LedgerRefusal.self) { try ledger.prefix(for: c, from: [allocation], at: now + Sample.day) }
        #expect(try ledger.prefix(for: a, from: [allocation], at: now + Sample.day) == segment)
        #expect(try ledger.port(for: a, at: Sample.node("a"), wanted: 20000, at: now + Sample.day).port == port)
    }

    @Test("is free at once when that is asked for, also later")
    func releasedNow() throws {
        var ledger = Ledger()
        let segment = try ledger.prefix(for: a, from: [allocation], at: now)
        _ = try ledger.prefix(for: b, from: [allocation], at: now)
        _ = ledger.release(a, at: now)
        #expect(ledger.release(a, at: now).isEmpty)
        #expect(ledger.release(a, at: now + Sample.day, quarantine: .zero) == [.prefix(segment, a)])
        #expect(ledger.release(a, at: now + Sample.day, quarantine: .zero).isEmpty)
        #expect(try ledger.prefix(for: c, from: [allocation], at: now + Sample.day) == segment)
    }

    @Test("keeps the name of a network that is gone from being used for another")
    func ended() throws {
        var ledger = Ledger()
        _ = try ledger.prefix(for: a, from: [allocation], at: now)
        _ = ledger.release(a.network, at: now)
        let refusal = #expect(throws: LedgerRefusal.self) { try ledger.prefix(for: a, from: [allocation], at: now) }
        #expect(
            "\(try #require(refusal))" == "acme was given back (line 3), and its prefixes are in quarantine until "
                + "2026-12-29T06:30:00Z: take another name, or release it with --now"
        )
        var later = ledger
        _ = try later.prefix(for: a, from: [allocation], at: now + Ledger.quarantine)
        _ = ledger.release(a.network, at: now, quarantine: .zero)
        _ = try ledger.prefix(for: a, from: [allocation], at: now)
    }

    @Test("is all that needs the member: its prefix, its port, its relay, and the relays of an exit")
    func all() throws {
        var ledger = Ledger()
        let exit = Sample.member("acme/exit")
        for member in [a, exit] {
            _ = try ledger.prefix(for: member, from: [allocation], at: now)
            _ = try ledger.port(for: member, at: Sample.node(member.node.text), wanted: 16402, at: now)
            _ = try ledger.relay(to: member, at: exit.node, wanted: 16402, at: now)
        }
        var other = ledger
        #expect(ledger.release(exit, at: now).count == 4)
        #expect(ledger.all.map(\.line) == [2, 3])
        #expect(other.release(a, at: now).count == 3)
        #expect(other.all.allSatisfy { $0.holding.member == exit })
    }
}

@Suite("Ports from the ledger") struct PortTests {
    private let now = Sample.start
    private let allocation = Sample.allocation("2a02:1807:1100::/48")

    @Test(
        "are those of the worked names",
        arguments: [("100", 16640), ("1bb", 16827), ("11cd", 20941)] as [(String, UInt16)]
    )
    func worked(index: String, port: UInt16) throws {
        var ledger = Ledger()
        let member = Sample.member("acme/cellar")
        let segment = Sample.segment("2a02:1807:1100:\(index)::")
        try ledger.fix(segment, for: member, of: allocation, at: now)
        let wanted = try #require(allocation.tag(of: segment)).wantedPort
        let given = try ledger.port(for: member, at: Sample.node("cellar"), wanted: wanted, at: now)
        #expect(given == (port, 0))
        #expect(try ledger.port(for: member, at: Sample.node("cellar"), wanted: 20000, at: now) == (port, 0))
    }

    @Test("are the next free one of the node upward, whoever has the others, and go on at the lowest")
    func upward() throws {
        var ledger = Ledger()
        let node = Sample.node("hub")
        let networks = ["one", "two", "three"]
        let ports = try networks.map {
            try ledger.port(for: Sample.member("\($0)/hub"), at: node, wanted: 32766, at: now).port
        }
        #expect(ports == [32766, 32767, 16384])
        let relay = try ledger.relay(to: Sample.member("one/cellar"), at: node.name, wanted: 32766, at: now)
        #expect(relay == 16385)
        #expect(try ledger.relay(to: Sample.member("one/cellar"), at: node.name, wanted: 20000, at: now) == 16385)
        // Another node has ports of its own.
        #expect(
            try ledger.port(for: Sample.member("one/cellar"), at: Sample.node("cellar"), wanted: 32766, at: now).port
                == 32766
        )
    }

    @Test("of a node end with its range, and the refusal says how many are in quarantine")
    func exhaustion() throws {
        var ledger = Ledger()
        let hub = NodeName("hub")!
        for index in 0..<16384 {
            let wanted = 16384 + UInt16(index)
            _ = try ledger.relay(to: Sample.member("acme/node\(index)"), at: hub, wanted: wanted, at: now)
        }
        _ = ledger.release(Sample.member("acme/node7"), at: now)
        let late = Sample.member("acme/late")
        let refusal = #expect(throws: LedgerRefusal.self) {
            try ledger.relay(to: late, at: hub, wanted: 16384, at: now)
        }
        #expect("\(try #require(refusal))" == "hub: no UDP port is left: of 16384 1 are in quarantine")
        #expect(try ledger.relay(to: late, at: hub, wanted: 16384, at: now + Ledger.quarantine) == 16391)
    }

    @Test("are the document's where it names one; then the old one is given back")
    func fixed() throws {
        var ledger = Ledger()
        let (one, two) = (Sample.member("one/hub"), Sample.member("two/hub"))
        let node = Sample.node("hub")
        _ = try ledger.port(for: one, at: node, wanted: 16640, at: now)
        let taken = #expect(throws: LedgerRefusal.self) {
            try ledger.port(for: two, at: node, wanted: 16640, fixed: 16640, at: now)
        }
        #expect(
            "\(try #require(taken))"
                == "two/hub cannot have port two hub 16640: line 2 is in the way: port one hub 16640"
        )
        #expect(try ledger.port(for: one, at: node, wanted: 16640, fixed: 51820, at: now) == (51820, 0))
        #expect(try ledger.port(for: one, at: node, wanted: 16640, at: now) == (51820, 0))
        #expect(throws: LedgerRefusal.self) { try ledger.port(for: two, at: node, wanted: 1, fixed: 16640, at: now) }
        #expect(try ledger.port(for: two, at: node, wanted: 16640, at: now) == (16641, 0))
    }

    @Test("are on the first leg that has room for another interface, and stay there")
    func legs() throws {
        var ledger = Ledger()
        let node = Sample.node("hub", legs: 2, limit: 2)
        let members = (0..<5).map { Sample.member("net\($0)/hub") }
        let legs = try members.prefix(4).map { try ledger.port(for: $0, at: node, wanted: 16640, at: now).leg }
        #expect(legs == [0, 0, 1, 1])
        let refusal = #expect(throws: LedgerRefusal.self) {
            try ledger.port(for: members[4], at: node, wanted: 16640, at: now)
        }
        #expect(
            "\(try #require(refusal))" == "hub: no room for another WireGuard interface: 2 of 2 each are full; "
                + "another leg with an address of its own would help"
        )
        _ = ledger.release(members[0], at: now)
        #expect(try ledger.port(for: members[4], at: node, wanted: 16640, at: now).leg == 0)
        #expect(try ledger.port(for: members[2], at: node, wanted: 16640, at: now).leg == 1)
        let again = try Sample.ledger(ledger.unwritten)
        #expect(again.port(of: members[3])?.leg == 1)
        // A leg that is gone: the same port on another.
        let port = try #require(ledger.port(of: members[3])?.port)
        _ = ledger.release(members[1], at: now)
        let smaller = Sample.node("hub", legs: 1, limit: 2)
        #expect(try ledger.port(for: members[3], at: smaller, wanted: 16640, at: now) == (port, 0))
    }
}
