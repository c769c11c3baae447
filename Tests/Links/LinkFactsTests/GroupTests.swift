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
