import LinkFacts
import NetworkAddresses
import Testing
import WireGuardTypes

@Suite("Facts in groups") struct GroupTests {
    /// A fact of exactly so many bytes.
    private func fact(_ length: Int) throws -> Fact {
        for filling in 0...length {
            let metadata = try MemberMetadata(other: [0x7a: [UInt8](repeating: 0, count: filling)])
            let fact = Fact(Node.a.publicKey, .member(metadata), 0)
            if fact.encodedLength == length { return fact }
        }
        preconditionFailure("no fact has \(length) bytes")
    }

    private let member = Fact(Node.a.publicKey, .plainMember)

    @Test("The limits are the field's")
    func limits() {
        #expect(WireFormat.maximumGroup == 1136)
        #expect(WireFormat.groupHead == 74)
        #expect(WireFormat.maximumDatagram == 2424)
        // The largest that the field was seen to make.
        #expect(WireFormat.groupHead + WireFormat.maximumGroup == 1210)
    }

    @Test("One byte less than four equal facts need makes groups of three and one")
    func field() {
        let groups = FactGroups([member, member, member, member], limit: 4 * member.encodedLength - 1).groups
        #expect(groups == [member.encoded + member.encoded + member.encoded, member.encoded])
        let whole = FactGroups([member, member, member, member], limit: 4 * member.encodedLength).groups
        #expect(whole.count == 1)
    }

    @Test("1136 bytes are one group, 1137 are two")
    func boundary() throws {
        let first = try fact(1000)
        #expect(FactGroups([first, try fact(136)]).groups.map(\.count) == [1136])
        #expect(FactGroups([first, try fact(137)]).groups.map(\.count) == [1000, 137])
        #expect(FactGroups([first, try fact(137), member]).groups.map(\.count) == [1000, 172])
    }

    @Test("A fact that is too long goes alone, and what comes before and behind it does not go with it")
    func alone() throws {
        let long = try fact(1137)
        #expect(FactGroups([long]).groups.map(\.count) == [1137])
        #expect(FactGroups([member, long, member, member]).groups.map(\.count) == [35, 1137, 70])
        #expect(FactGroups([try fact(1136), member]).groups.map(\.count) == [1136, 35])
    }

    @Test("What is worth no datagram of its own goes along where there is room to the byte")
    func room() throws {
        var groups = FactGroups(limit: 2 * member.encodedLength)
        let isAlone = groups.appendIfRoom(member)
        #expect(!isAlone)
        #expect(groups.groups.isEmpty)
        groups.append(member)
        let fits = groups.appendIfRoom(member)
        #expect(fits)
        #expect(groups.groups == [member.encoded + member.encoded])
        var small = FactGroups(limit: 2 * member.encodedLength - 1)
        small.append(member)
        let isRefused = small.appendIfRoom(member)
        #expect(!isRefused)
        #expect(small.groups == [member.encoded])
        var over = FactGroups([try fact(1137)])
        let goesWithIt = over.appendIfRoom(member)
        #expect(!goesWithIt)
    }

    @Test("Random facts come out in their order, in as few bytes, and never above the limit but alone")
    func random() throws {
        var dice = Dice(seed: 3)
        for _ in 0..<50 {
            let facts = (0..<Int.random(in: 0...80, using: &dice)).map { _ in dice.fact() }
            let groups = FactGroups(facts).groups
            #expect(groups.flatMap { $0 } == facts.flatMap(\.encoded))
            var read: [Fact] = []
            for group in groups {
                let inside = try Fact.facts(in: group)
                #expect(!inside.isEmpty)
                #expect(group.count <= 1136 || inside.count == 1)
                read += inside
            }
            #expect(read == facts)
            for (group, next) in zip(groups, groups.dropFirst()) {
                let first = try #require(Fact.facts(in: next).first)
                #expect(group.count + first.encodedLength > 1136)
            }
        }
    }
}

@Suite("Sets of facts") struct FactSetTests {
    private let a = Node.a.publicKey

    private func boot(_ byte: UInt8) -> Fact.Statement {
        .alive(BootID(bytes: [UInt8](repeating: byte, count: 16))!)
    }

    @Test("Of two facts with one key that which expires later stays")
    func later() {
        var set = FactSet(capacity: 10)
        #expect(set.merge(Fact(a, boot(1), 100), at: 10) == .added)
        #expect(set.merge(Fact(a, boot(2), 90), at: 19) == .known)
        #expect(set.entries.values.map(\.fact.statement) == [boot(1)])
        #expect(set.merge(Fact(a, boot(3), 90), at: 20) == .prolonged)
        #expect(set.merge(Fact(a, boot(4), 90), at: 21) == .prolonged)
        #expect(set.entries.count == 1)
        #expect(set.entries.values.map(\.fact.statement) == [boot(4)])
        #expect(set.entries.values.map(\.expiry) == [111])
        #expect(set.entries.values.map { $0.fact(at: 100).timeToLive.seconds } == [11])
        #expect(set.entries.values.map { $0.fact(at: 200).timeToLive } == [.none])
    }

    @Test("What has expired does not come in and does not stay")
    func expired() {
        var set = FactSet(capacity: 10)
        #expect(set.merge(Fact(a, .plainMember, 0), at: 0) == .expired)
        #expect(set.merge(Fact(a, .plainMember, 5), at: 0) == .added)
        #expect(set.merge(Fact(a, .member(MemberMetadata()), 6), at: 0) == .added)
        set.removeExpired(at: 5)
        #expect(set.entries.values.map(\.fact.statement) == [.member(MemberMetadata())])
    }

    @Test("It takes no more than it has room for, and still prolongs what it has")
    func full() {
        var set = FactSet(capacity: 2)
        var dice = Dice(seed: 4)
        #expect(set.merge(Fact(a, .plainMember, 5), at: 0) == .added)
        #expect(set.merge(Fact(dice.key(), .plainMember), at: 0) == .added)
        for _ in 0..<100 { #expect(set.merge(Fact(dice.key(), .plainMember), at: 0) == .full) }
        #expect(set.merge(Fact(a, .plainMember, 9), at: 0) == .prolonged)
        #expect(set.entries.count == 2)
        set.remove(Fact(a, .plainMember).key)
        #expect(set.merge(Fact(dice.key(), .plainMember), at: 0) == .added)
    }

    @Test("The difference of two: nothing, all that is new, all that is old, the same, others, some")
    func difference() {
        func set(_ ports: ClosedRange<UInt16>?) -> FactSet {
            var set = FactSet(capacity: 10)
            for port in ports.map(Array.init) ?? [] {
                _ = set.merge(Fact(a, .endpoint(.v4(IPv4Address(value: 1), port: port)), port), at: 0)
            }
            return set
        }
        func difference(_ new: ClosedRange<UInt16>?, _ old: ClosedRange<UInt16>?) -> Set<Fact.Key> {
            set(new).keys(notIn: set(old))
        }
        func keys(_ ports: ClosedRange<UInt16>) -> Set<Fact.Key> { Set(set(ports).entries.keys) }
        #expect(difference(nil, nil).isEmpty)
        #expect(difference(1...2, nil) == keys(1...2))
        #expect(difference(nil, 1...2).isEmpty)
        #expect(difference(1...2, 1...2).isEmpty)
        #expect(difference(1...2, 3...4) == keys(1...2))
        #expect(difference(1...3, 2...4) == keys(1...1))
    }
}
