import LinkFacts
import LinkMessages
import Testing
import Time
import WireGuardTypes

@testable import LinkMember

@Suite("Deltas that come") struct DeltaInboxTests {
    @Test("Each is taken once, in whatever order they come")
    func order() {
        var inbox = DeltaInbox()
        #expect(inbox.take(8, isFirst: false) == .unknown)
        #expect(inbox.take(7, isFirst: true) == .first)
        #expect(inbox.take(7, isFirst: true) == .again)
        #expect(inbox.take(10, isFirst: false) == .next)
        #expect(inbox.take(8, isFirst: false) == .next)
        #expect(inbox.take(10, isFirst: false) == .again)
        #expect(inbox.take(9, isFirst: false) == .next)
        for number: UInt32 in 8...10 { #expect(inbox.take(number, isFirst: false) == .again) }
        #expect(inbox.take(11, isFirst: false) == .next)
    }

    @Test("Not too far ahead")
    func ahead() {
        var inbox = DeltaInbox()
        _ = inbox.take(0, isFirst: true)
        #expect(inbox.take(65, isFirst: false) == .unknown)
        #expect(inbox.take(64, isFirst: false) == .next)
        #expect(inbox.take(1, isFirst: false) == .next)
        #expect(inbox.take(65, isFirst: false) == .next)
    }

    @Test("Numbers go on behind the last one")
    func around() {
        var inbox = DeltaInbox()
        #expect(inbox.take(.max, isFirst: true) == .first)
        #expect(inbox.take(0, isFirst: false) == .next)
        #expect(inbox.take(.max, isFirst: false) == .again)
        #expect(inbox.take(1, isFirst: false) == .next)
    }

    @Test("A stream that was replaced does not come back")
    func replaced() {
        var inbox = DeltaInbox()
        _ = inbox.take(100, isFirst: true)
        #expect(inbox.take(5_000, isFirst: true) == .first)
        #expect(inbox.take(100, isFirst: true) == .unknown)
        #expect(inbox.take(5_001, isFirst: false) == .next)
        inbox.reset()
        #expect(inbox.take(5_002, isFirst: false) == .unknown)
        #expect(inbox.take(5_000, isFirst: true) == .unknown)
        #expect(inbox.take(9_000, isFirst: true) == .first)
    }
}

@Suite("Deltas that go") struct DeltaStreamTests {
    private let alive = Fact(key(0), .boot(1))

    private func journal(_ count: Int) -> Journal {
        var journal = Journal()
        for number in 0..<count {
            journal.say([Journal.Entry(key(number + 10), .member, .observed)], of: key(number + 10))
        }
        return journal
    }

    private func send(
        _ stream: inout DeltaStream,
        _ journal: Journal,
        after time: Duration,
        gathering: Duration = .milliseconds(50),
        heardAfter heard: Duration = .zero
    ) -> [FactDelta] {
        stream.send(
            to: key(1),
            heardAt: beginning + heard,
            alive: alive,
            gathering: gathering,
            from: journal,
            at: beginning + time
        )
    }

    @Test("The first goes alone; the others follow it, as many as are let under way")
    func window() throws {
        let journal = journal(1_000)
        var stream = DeltaStream(sequence: 50, isPingOnly: false, in: journal)
        let first = send(&stream, journal, after: .zero)
        #expect(first.map(\.sequence) == [50])
        #expect(first.map(\.isFirst) == [true])
        #expect(first[0].facts[0] == alive)
        #expect(send(&stream, journal, after: .milliseconds(10)).isEmpty)
        stream.acknowledge(50)
        let next = send(&stream, journal, after: .milliseconds(20))
        #expect(next.map(\.sequence) == Array(51..<59))
        #expect(next.allSatisfy { !$0.isFirst })
        stream.acknowledge(53)
        #expect(send(&stream, journal, after: .milliseconds(30)).map(\.sequence) == [59])
        for delta in first + next {
            let bytes = delta.facts.reduce(0) { $0 + $1.encodedLength }
            #expect(bytes <= WireFormat.maximumGroup && bytes > WireFormat.maximumGroup - 60)
        }
    }

    @Test("Each fact is told once, in the end, if nothing is lost")
    func all() {
        let journal = journal(1_000)
        var stream = DeltaStream(sequence: 1, isPingOnly: false, in: journal)
        var told: [PublicKey] = []
        var time = Duration.zero
        while true {
            let deltas = send(&stream, journal, after: time)
            guard !deltas.isEmpty else { break }
            for delta in deltas {
                told += delta.facts.dropFirst(delta.isFirst ? 1 : 0).map(\.subject)
                stream.acknowledge(delta.sequence)
            }
            time += .milliseconds(30)
        }
        #expect(told == (0..<1_000).map { key($0 + 10) })
        // Nothing is left to do until the next alive fact.
        #expect(stream.nextDue(in: journal) == beginning + .seconds(60))
        #expect(time < .seconds(2))
    }

    @Test("What is not acknowledged is sent again after 1, 2, 4, 8, 16, 16 and 16 seconds, and then all anew")
    func retries() {
        let journal = journal(1)
        var stream = DeltaStream(sequence: 1, isPingOnly: false, in: journal)
        let delta = send(&stream, journal, after: .zero)
        var time = Duration.zero
        for wait in [1, 2, 4, 8, 16, 16, 16] {
            time += .seconds(wait)
            #expect(stream.nextDue(in: journal) == beginning + time)
            #expect(send(&stream, journal, after: time - .milliseconds(1)).isEmpty)
            #expect(send(&stream, journal, after: time) == delta)
            #expect(!stream.isBroken(in: journal))
        }
        // As long as nothing is heard either, it is the line, and all that is under way will do.
        time += .seconds(16)
        #expect(send(&stream, journal, after: time, heardAfter: .seconds(16)) == delta)
        #expect(!stream.isBroken(in: journal))
        time += .seconds(16)
        #expect(send(&stream, journal, after: time, heardAfter: .milliseconds(16_001)).isEmpty)
        #expect(stream.isBroken(in: journal))
    }

    @Test("A fact that changes while it is under way waits, so that it cannot be overtaken")
    func blocked() {
        var journal = journal(1)
        var stream = DeltaStream(sequence: 1, isPingOnly: false, in: journal)
        _ = send(&stream, journal, after: .zero)
        stream.acknowledge(1)
        journal.say([Journal.Entry(key(20), .member, .observed)], of: key(20))
        #expect(send(&stream, journal, after: .seconds(1)).count == 1)
        journal.say([], of: key(20))
        journal.say([Journal.Entry(key(30), .member, .observed)], of: key(30))
        #expect(send(&stream, journal, after: .milliseconds(1_500)).isEmpty)
        #expect(stream.nextDue(in: journal) == beginning + .seconds(2))
        stream.acknowledge(2)
        let next = send(&stream, journal, after: .milliseconds(1_600))
        #expect(next.map { $0.facts.map(\.subject) } == [[key(20), key(30)]])
        #expect(next[0].facts.map(\.timeToLive) == [.none, TimeToLive(lasting: .observed)])
    }

    @Test("Changes that come shortly after one another go together")
    func gathering() {
        var journal = journal(0)
        var stream = DeltaStream(sequence: 1, isPingOnly: false, in: journal)
        _ = send(&stream, journal, after: .zero, gathering: .milliseconds(200))
        stream.acknowledge(1)
        journal.say([Journal.Entry(key(20), .member, .observed)], of: key(20))
        #expect(send(&stream, journal, after: .milliseconds(199), gathering: .milliseconds(200)).isEmpty)
        journal.say([Journal.Entry(key(21), .member, .observed)], of: key(21))
        #expect(stream.nextDue(in: journal) == beginning + .milliseconds(200))
        #expect(
            send(&stream, journal, after: .milliseconds(200), gathering: .milliseconds(200)).map(\.facts.count) == [2]
        )
    }

    @Test("Nobody is told about itself, but that it is a member; who is only pinged is told nothing")
    func audience() {
        var journal = journal(0)
        journal.say(
            [Journal.Entry(key(1), .member, .observed), Journal.Entry(key(1), .at("192.0.2.1:7"), .observed)],
            of: key(1)
        )
        var stream = DeltaStream(sequence: 1, isPingOnly: false, in: journal)
        #expect(send(&stream, journal, after: .zero).flatMap(\.facts).map(\.statement) == [.boot(1), .member])
        var pings = DeltaStream(sequence: 1, isPingOnly: true, in: journal)
        #expect(send(&pings, journal, after: .zero).flatMap(\.facts) == [alive])
        pings.acknowledge(1)
        #expect(pings.nextDue(in: journal) == beginning + .seconds(60))
        #expect(send(&pings, journal, after: .seconds(60)).flatMap(\.facts) == [alive])
    }

    @Test("Who missed withdrawals that are not known any more is told all anew")
    func behind() {
        var journal = journal(10)
        var stream = DeltaStream(sequence: 1, isPingOnly: false, in: journal)
        var pings = DeltaStream(sequence: 1, isPingOnly: true, in: journal)
        _ = send(&stream, journal, after: .zero)
        _ = send(&pings, journal, after: .zero)
        for number in 0...FactLimits.withdrawals {
            journal.say([Journal.Entry(key(1_000 + number), .member, .observed)], of: key(1_000 + number))
            journal.say([], of: key(1_000 + number))
        }
        #expect(stream.isBroken(in: journal))
        #expect(!pings.isBroken(in: journal))
        #expect(!DeltaStream(sequence: 9, isPingOnly: false, in: journal).isBroken(in: journal))
    }
}
