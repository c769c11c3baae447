import BusMessages
import KexProtocol
import Testing

@testable import KexMQTT

@Suite("What is on its way to the broker") struct BrokerOutboxTests {
    private let router = RouterID(key(1), domain: 0)

    private func publication(_ purpose: Publication.Purpose, _ number: Int = 0) -> Publication {
        let message = BusMessage.registration(registration(number))
        return Publication(message, purpose, signedWith: nil, isRetained: false)
    }

    private func connected(announcing announcements: [Publication] = []) -> BrokerOutbox {
        var outbox = BrokerOutbox()
        outbox.connect(announcing: announcements, subscribing: [])
        return outbox
    }

    @Test("Announcements leave in their order, and the second publication of a registration before them")
    func order() {
        let announcements = (0..<3).map { publication(.presence, $0) }
        var outbox = connected(announcing: [announcements[0]])
        outbox.announce(announcements[1])
        #expect(outbox.next() == announcements[0])
        let second = publication(.registration(1), 7)
        outbox.send(publication(.registration(1)), then: second)
        outbox.announce(announcements[2])
        #expect(outbox.next() == second)
        #expect(outbox.next() == announcements[1])
        #expect(outbox.next() == announcements[2])
        #expect(outbox.next() == nil)
    }

    @Test("The last announcements leave alone")
    func last() {
        let (old, new) = (publication(.presence, 1), publication(.presence, 2))
        var outbox = connected(announcing: [old])
        outbox.announceLast([new])
        #expect(outbox.next() == new)
        #expect(outbox.next() == nil)
    }

    @Test("All is settled when the announcements have left and every answer has come")
    func settled() {
        var outbox = connected()
        #expect(outbox.isSettled)
        outbox.announce(publication(.presence))
        #expect(!outbox.isSettled)
        let next = outbox.next()!
        outbox.note(next, sentAs: 5, at: .zero)
        #expect(!outbox.isSettled)
        #expect(outbox.acknowledge(4) == nil)
        #expect(!outbox.isSettled)
        #expect(outbox.acknowledge(5) == next)
        #expect(outbox.acknowledge(5) == nil)
        #expect(outbox.isSettled)
    }

    @Test("So many notes are on their way at a time; registrations and announcements are not counted")
    func notes() {
        var outbox = connected()
        for _ in 0..<2 * BusLimit.notesAtBroker { outbox.send(publication(.registration(1))) }
        for number in 1..<BusLimit.notesAtBroker {
            outbox.send(publication(number % 2 == 0 ? .note : .farewell(router)))
        }
        #expect(outbox.hasRoomForNotes)
        let last = publication(.late(router))
        outbox.send(last)
        #expect(!outbox.hasRoomForNotes)
        // One that is answered and one that cannot be sent make room alike.
        outbox.note(last, sentAs: 1, at: .zero)
        #expect(outbox.acknowledge(1) == last)
        #expect(outbox.hasRoomForNotes)
        outbox.send(last)
        #expect(!outbox.hasRoomForNotes)
        outbox.end(last)
        #expect(outbox.hasRoomForNotes)
        outbox.end(publication(.registration(1)))
        outbox.send(last)
        #expect(!outbox.hasRoomForNotes)
    }

    @Test("A signed registration has two places among the notes until both are answered")
    func pairs() {
        var outbox = connected()
        for _ in 0..<BusLimit.notesAtBroker - 2 { outbox.send(publication(.note)) }
        let (first, second) = (publication(.note, 1), publication(.note, 2))
        outbox.send(first, then: second)
        #expect(!outbox.hasRoomForNotes)
        outbox.end(first)
        outbox.send(publication(.note))
        #expect(!outbox.hasRoomForNotes)
        outbox.end(second)
        #expect(outbox.hasRoomForNotes)
    }

    @Test("With the connection everything goes, and late registrations without an answer come back")
    func disconnect() {
        var outbox = connected(announcing: [publication(.presence)])
        let other = RouterID(key(2), domain: 0)
        outbox.note(publication(.late(router)), sentAs: 1, at: .zero)
        outbox.note(publication(.late(other)), sentAs: 2, at: .zero)
        outbox.note(publication(.farewell(other)), sentAs: 3, at: .zero)
        _ = outbox.acknowledge(2)
        for _ in 0..<BusLimit.notesAtBroker { outbox.send(publication(.note), then: publication(.note)) }
        outbox.note(Subscription(filter: "a", notesOf: 3), sentAs: 9)
        outbox.want([Subscription(filter: "b")])
        #expect(outbox.disconnect() == [router])
        #expect(!outbox.isConnected)
        #expect(outbox.isSettled)
        #expect(outbox.hasRoomForNotes)
        #expect(outbox.next() == nil)
        #expect(outbox.nextSubscription() == nil)
        #expect(outbox.subscribed(9) == nil)
        #expect(outbox.disconnect() == [])
    }

    @Test("An answer that is owed for too long is noticed at the next check")
    func stuck() {
        var outbox = connected()
        #expect(outbox.due == nil)
        outbox.note(publication(.presence), sentAs: 1, at: .seconds(5))
        #expect(outbox.due == .zero)
        outbox.advance(to: .seconds(5))
        #expect(outbox.due == .seconds(5) + BusLimit.acknowledgementCheck)
        outbox.advance(to: .seconds(5) + BusLimit.acknowledgementTime)
        #expect(!outbox.isStuck)
        // Not between two checks.
        outbox.advance(to: .seconds(6) + BusLimit.acknowledgementTime)
        #expect(!outbox.isStuck)
        outbox.advance(to: .seconds(5) + BusLimit.acknowledgementTime + BusLimit.acknowledgementCheck)
        #expect(outbox.isStuck)
        _ = outbox.acknowledge(1)
        #expect(outbox.due == nil)
        _ = outbox.disconnect()
        #expect(!outbox.isStuck)
    }

    @Test("A subscription that is wanted again goes behind the others, once")
    func subscriptions() {
        var outbox = BrokerOutbox()
        let (first, second) = (Subscription(filter: "a"), Subscription(filter: "b"))
        outbox.connect(announcing: [], subscribing: [first, second])
        outbox.want([first])
        #expect(outbox.nextSubscription() == second)
        #expect(outbox.nextSubscription() == first)
        #expect(outbox.nextSubscription() == nil)
    }

    @Test("Only answers to subscriptions for notes name a domain, each once")
    func answers() {
        var outbox = connected()
        outbox.note(Subscription(filter: "a"), sentAs: 1)
        outbox.note(Subscription(filter: "b", notesOf: 4), sentAs: 2)
        #expect(outbox.subscribed(1) == nil)
        #expect(outbox.subscribed(2) == 4)
        #expect(outbox.subscribed(2) == nil)
    }
}
