import NetworkAddresses
import TenantModel
import Testing

@testable import TenantLedger

@Suite("Ledgers of two clones that were merged") struct MergeTests {
    private let now = Sample.start
    private let allocation = Sample.allocation("2001:db8:0:10::/60")
    private let a = Sample.member("acme/a")
    private let b = Sample.member("acme/b")

    /// A ledger that both have, and what each appends to it.
    private func fork(
        _ one: (inout Ledger) throws -> Void,
        _ other: (inout Ledger) throws -> Void
    ) throws -> (base: [UInt8], one: [UInt8], other: [UInt8]) {
        var ledger = Ledger()
        try ledger.fix(Sample.segment("2001:db8:0:1f::"), for: Sample.member("base/x"), of: allocation, at: now)
        let text = ledger.takeUnwritten()
        var (first, second) = (ledger, ledger)
        try one(&first)
        try other(&second)
        return (text, first.unwritten, second.unwritten)
    }

    @Test("that differ in nothing are right as they are; the next line joins them")
    func withoutConflict() throws {
        let (base, one, other) = try fork { ledger in
            _ = try ledger.prefix(for: a, from: [allocation], at: now)
        } _: { ledger in
            try ledger.fix(Sample.segment("2001:db8:0:13::"), for: b, of: allocation, at: now)
        }
        var merged = try Sample.ledger(base + one + other)
        #expect(merged.isMerged && merged.conflicts.isEmpty)
        #expect(merged.prefix(of: a) != nil && merged.prefix(of: b) != nil)
        // Who asks for what is there gets it, and nothing is written.
        _ = try merged.prefix(for: a, from: [allocation], at: now)
        #expect(merged.unwritten.isEmpty)
        let c = Sample.member("acme/c")
        _ = try merged.prefix(for: c, from: [allocation], at: now)
        let lines = String(merged.unwritten).split(separator: "\n")
        #expect(lines.count == 2 && lines[0].contains(" join ") && lines[1].contains(" take prefix acme c "))
        #expect(!merged.isMerged)
        // From now on a missing line of either side is found.
        let joined = base + one + other + merged.unwritten
        #expect(!(try Sample.ledger(joined).isMerged))
        #expect(throws: LedgerDamage(line: 4, .comesAfterNone)) { try Sample.ledger(base + other + merged.unwritten) }
    }

    @Test("with a prefix that both gave: both lines are named, and the later one gets another")
    func samePrefix() throws {
        let segment = Sample.segment("2001:db8:0:14::")
        let (base, one, other) = try fork { ledger in
            try ledger.fix(segment, for: a, of: allocation, at: now + .seconds(5))
        } _: { ledger in
            try ledger.fix(segment, for: b, of: allocation, at: now + .seconds(9))
        }
        let c = Sample.member("acme/c")
        for (text, lines) in [(base + one + other, (3, 4)), (base + other + one, (4, 3))] {
            var merged = try Sample.ledger(text)
            #expect(
                merged.conflicts.map(\.description) == [
                    "lines \(lines.0) and \(lines.1) are a double allocation: prefix acme a \(segment), "
                        + "and prefix acme b \(segment)"
                ]
            )
            let refusal = #expect(throws: LedgerRefusal.self) {
                try merged.prefix(for: c, from: [allocation], at: now)
            }
            #expect(refusal == .isContested(merged.conflicts))
            #expect(merged.unwritten.isEmpty)
            // Networks that have nothing to do with it go on.
            _ = try merged.prefix(for: Sample.member("base/x"), from: [allocation], at: now)

            #expect(merged.rebase(at: now + .seconds(20)) == [.prefix(segment, b)])
            #expect(merged.conflicts.isEmpty && !merged.isMerged)
            #expect(merged.prefix(of: a) == segment && merged.prefix(of: b) == nil)
            let new = try merged.prefix(for: b, from: [allocation], at: now + .seconds(20))
            #expect(new != segment)
            let again = try Sample.ledger(text + merged.unwritten)
            #expect(again.prefix(of: a) == segment && again.prefix(of: b) == new && again.conflicts.isEmpty)
            #expect(again.prefix(of: Sample.member("base/x")) == Sample.segment("2001:db8:0:1f::"))
        }
    }

    @Test("are resolved in the same way in every clone, whatever the order, also in the same second")
    func convergence() throws {
        let (base, one, other) = try fork { ledger in
            for member in Sample.members("acme", 6) { _ = try ledger.prefix(for: member, from: [allocation], at: now) }
        } _: { ledger in
            for member in Sample.members("other", 6) { _ = try ledger.prefix(for: member, from: [allocation], at: now) }
        }
        let members = Sample.members("acme", 6) + Sample.members("other", 6)
        var results: [[Segment?]] = []
        for text in [base + one + other, base + other + one] {
            var merged = try Sample.ledger(text)
            let conflicts = merged.conflicts
            #expect(!conflicts.isEmpty)
            let before = members.map { merged.prefix(of: $0) }
            let lost = Set(merged.rebase(at: now).map(\.member))
            #expect(lost == Set(conflicts.map(\.later.member)))
            let after = try members.map { member in try merged.prefix(for: member, from: [allocation], at: now) }
            #expect(Set(after).count == members.count)
            for (index, member) in members.enumerated() {
                #expect(lost.contains(member) == (before[index] != after[index]))
            }
            results.append(after)
        }
        #expect(results[0] == results[1])
    }

    @Test("let the earlier one yield if the operator says so")
    func yielding() throws {
        let segment = Sample.segment("2001:db8:0:14::")
        let (base, one, other) = try fork { ledger in
            try ledger.fix(segment, for: a, of: allocation, at: now)
        } _: { ledger in
            try ledger.fix(segment, for: b, of: allocation, at: now + .seconds(9))
        }
        var merged = try Sample.ledger(base + one + other)
        #expect(merged.rebase(yielding: [a], at: now + .seconds(9)) == [.prefix(segment, a)])
        #expect(merged.prefix(of: b) == segment)
    }

    @Test("in which a member got two prefixes: the later one goes into quarantine")
    func twoPrefixes() throws {
        let (first, second) = (Sample.segment("2001:db8:0:14::"), Sample.segment("2001:db8:0:15::"))
        let (base, one, other) = try fork { ledger in
            try ledger.fix(first, for: a, of: allocation, at: now)
        } _: { ledger in
            try ledger.fix(second, for: a, of: allocation, at: now + .seconds(1))
        }
        var merged = try Sample.ledger(base + other + one)
        #expect(merged.conflicts.count == 1)
        #expect(merged.rebase(at: now + .seconds(2)) == [.prefix(second, a)])
        #expect(try merged.prefix(for: a, from: [allocation], at: now + .seconds(2)) == first)
        #expect(throws: LedgerRefusal.self) {
            try merged.fix(second, for: b, of: allocation, at: now + Sample.day)
        }
    }

    @Test("in which both gave a member the same are right, and one giving back is enough")
    func sameTwice() throws {
        let (base, one, other) = try fork { ledger in
            _ = try ledger.prefix(for: a, from: [allocation], at: now)
        } _: { ledger in
            _ = try ledger.prefix(for: a, from: [allocation], at: now + .seconds(1))
        }
        var merged = try Sample.ledger(base + one + other)
        #expect(merged.conflicts.isEmpty)
        #expect(merged.release(a, at: now + .seconds(2)).count == 1)
        let again = try Sample.ledger(base + one + other + merged.unwritten)
        #expect(again.prefix(of: a) == nil)
    }

    @Test("with the same end of a prefix in one network, the same port, or the same relay port")
    func otherKinds() throws {
        let large = Sample.allocation("2a02:1802::/40")
        let hub = Sample.node("hub")
        let (base, one, other) = try fork { ledger in
            try ledger.fix(Sample.segment("2a02:1802:0:100::"), for: a, of: large, at: now)
            _ = try ledger.port(for: Sample.member("acme/hub"), at: hub, wanted: 16640, at: now)
            _ = try ledger.relay(to: a, at: hub.name, wanted: 16700, at: now)
        } _: { ledger in
            let now = now + .seconds(1)
            try ledger.fix(Sample.segment("2a02:1802:1:100::"), for: b, of: large, at: now)
            _ = try ledger.relay(to: b, at: hub.name, wanted: 16640, at: now)
            _ = try ledger.port(for: Sample.member("other/hub"), at: hub, wanted: 16700, at: now)
        }
        var merged = try Sample.ledger(base + one + other)
        #expect(merged.conflicts.count == 3)
        #expect(
            Set(merged.rebase(at: now + .seconds(2))) == [
                .prefix(Sample.segment("2a02:1802:1:100::"), b), .relay(16640, exit: hub.name, b),
                .port(16700, leg: 0, Sample.member("other/hub")),
            ]
        )
        #expect(merged.conflicts.isEmpty)
        #expect(merged.port(of: Sample.member("acme/hub"))?.port == 16640)
        #expect(merged.relay(to: a, at: hub.name) == 16700)
    }

    @Test("that were begun apart, and that were merged again and again")
    func repeatedly() throws {
        func begun(_ network: String) throws -> Ledger {
            var ledger = Ledger()
            for member in Sample.members(network, 3) { _ = try ledger.prefix(for: member, from: [allocation], at: now) }
            return ledger
        }
        let (one, other) = (try begun("acme"), try begun("other"))
        let header = one.unwritten.firstIndex(of: 0x0a)! + 1
        var text = one.unwritten + other.unwritten[header...]
        for round in 0..<4 {
            var ours = try Sample.ledger(text)
            var theirs = ours
            let now = now + .seconds(Int64(round) * 100)
            _ = ours.rebase(at: now)
            for member in Sample.members("acme", 1, from: round) + Sample.members("other", 3) {
                _ = try ours.prefix(for: member, from: [allocation], at: now)
            }
            _ = theirs.rebase(at: now + .seconds(1))
            _ = try theirs.prefix(for: Sample.member("third/node0"), from: [allocation], at: now + .seconds(1))
            text += round % 2 == 0 ? ours.unwritten + theirs.unwritten : theirs.unwritten + ours.unwritten
            _ = try Sample.ledger(text)
        }
        var last = try Sample.ledger(text)
        _ = last.rebase(at: now + .seconds(1000))
        #expect(last.conflicts.isEmpty)
        #expect(!last.isMerged)
    }

    @Test("that were merged apart in different orders, and twice, say the same as well")
    func differentOrders() throws {
        let (base, one, other) = try fork { ledger in
            for member in Sample.members("acme", 3) { _ = try ledger.prefix(for: member, from: [allocation], at: now) }
            _ = ledger.release(Sample.member("acme/node1"), at: now)
        } _: { ledger in
            for member in Sample.members("other", 3) { _ = try ledger.prefix(for: member, from: [allocation], at: now) }
        }
        var first = try Sample.ledger(base + one + other)
        _ = first.rebase(at: now + .seconds(1))
        var second = try Sample.ledger(base + other + one)
        _ = second.rebase(at: now + .seconds(2))
        let (head, tails) = (base.firstIndex(of: 0x0a)! + 1, (first.unwritten, second.unwritten))
        let body = (base[head...] + one + other + tails.0 + tails.1).split(separator: 0x0a).map { Array($0) + [0x0a] }
        var results: Set<[String]> = []
        var random = SystemRandomNumberGenerator()
        for _ in 0..<20 {
            let text = base[..<head] + body.shuffled(using: &random).flatMap(\.self)
            var merged = try Sample.ledger(Array(text))
            _ = merged.rebase(at: now + .seconds(3))
            #expect(!merged.isMerged && merged.conflicts.isEmpty)
            // Not the lines' numbers, which are those of the text.
            results.insert(merged.all.map(\.holding.description).sorted())
        }
        #expect(results.count == 1)
    }

    @Test(
        "that git left with its marks give the lines of both sides",
        arguments: [
            "base\n<<<<<<< HEAD\none\n=======\nother\n>>>>>>> topic\n",
            "base\n<<<<<<< HEAD\none\n||||||| 1a2b3c4\nold\n=======\nother\n>>>>>>> topic\n",
            "base\n<<<<<<<\none\n=======\nother\n>>>>>>>",
            "<<<<<<< HEAD\nbase\n=======\n>>>>>>> a\none\n<<<<<<< HEAD\n=======\nother\n>>>>>>> b\n",
        ]
    )
    func marks(text: String) {
        #expect(ConflictMarks.takingBothSides(of: Array(text.utf8)) == Array("base\none\nother\n".utf8))
    }

    @Test(
        "have no marks where a line only looks like one",
        arguments: ["", "a\n<<<<<< HEAD\n", "a\n========\n", "a <<<<<<<"]
    )
    func noMarks(text: String) { #expect(ConflictMarks.takingBothSides(of: Array(text.utf8)) == nil) }

    @Test("with marks are refused, and the line is named")
    func marksRefused() throws {
        let text = try Sample.text() + Array("<<<<<<< HEAD\n".utf8)
        let lines = String(text).split(separator: "\n").count
        #expect(throws: LedgerDamage(line: lines, .conflictMarks)) { try Sample.ledger(text) }
    }
}
