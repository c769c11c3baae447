import LinkFacts
import NetworkAddresses
import Testing
import Time
import WireGuardTypes

@testable import LinkMember

@Suite("The journal") struct JournalTests {
    private func entry(_ subject: Int, _ statement: Fact.Statement, _ origin: CandidateEndpoint.Origin = .own)
        -> Journal.Entry
    {
        Journal.Entry(key(subject), statement, origin)
    }

    private func told(_ journal: Journal, after version: UInt64 = 0) -> [String] {
        journal.entries(after: version).map { entry in
            let text =
                switch entry.statement {
                case .endpoint(let endpoint): "\(endpoint.port)"
                case .member: "m"
                default: "?"
                }
            return "\(entry.isWithdrawn ? "-" : "")\(entry.subject.bytes[2]):\(text)"
        }
    }

    @Test("It has what changed, in the order in which it did")
    func order() {
        var journal = Journal()
        journal.say([entry(1, .member), entry(1, .at("192.0.2.1:1"))], of: key(1))
        journal.say([entry(2, .member)], of: key(2))
        #expect(told(journal) == ["1:m", "1:1", "2:m"])
        let place = journal.last
        journal.say([entry(1, .member), entry(1, .at("192.0.2.1:1"))], of: key(1))
        #expect(journal.last == place)
        journal.say([entry(1, .member), entry(1, .at("192.0.2.1:2"))], of: key(1))
        #expect(told(journal, after: place) == ["-1:1", "1:2"])
        #expect(told(journal) == ["1:m", "2:m", "-1:1", "1:2"])
        journal.say([], of: key(2))
        journal.say([entry(2, .member)], of: key(2))
        #expect(told(journal, after: place) == ["-1:1", "1:2", "2:m"])
        #expect(journal.count == 3)
    }

    @Test("Another origin is a change; of two origins the better one is said")
    func origins() {
        var journal = Journal()
        journal.say([entry(1, .member, .observed), entry(1, .member, .own)], of: key(1))
        #expect(journal.entries(after: 0).map(\.origin) == [.own])
        let place = journal.last
        journal.say([entry(1, .member, .observed)], of: key(1))
        #expect(journal.entries(after: place).map(\.origin) == [.observed])
    }

    @Test("So many withdrawals are remembered")
    func withdrawals() {
        var journal = Journal()
        func flap(_ number: Int) {
            journal.say([entry(number, .member)], of: key(number))
            journal.say([], of: key(number))
        }
        for number in 0..<FactLimits.withdrawals { flap(number) }
        #expect(journal.oldestComplete == 0)
        #expect(journal.entries(after: 0).reduce(0) { count, _ in count + 1 } == FactLimits.withdrawals)
        flap(10_000)
        #expect(journal.oldestComplete > 0)
        #expect(journal.entries(after: 0).reduce(0) { count, _ in count + 1 } == FactLimits.withdrawals / 2 + 1)
        #expect(journal.count == 0)
    }

    @Test("A fact that comes and goes takes no room")
    func flapping() {
        var journal = Journal()
        for number in 1...10_000 {
            journal.say(number % 2 == 0 ? [] : [entry(1, .member)], of: key(1))
        }
        #expect(journal.last == 10_000)
        #expect(told(journal) == ["-1:m"])
        #expect(journal.length < 200)
    }
}
