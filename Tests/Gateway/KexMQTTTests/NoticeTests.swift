import BusMessages
import KexProtocol
import Testing

@testable import KexMQTT

@Suite("What the operator hears of the bus") struct NoticeTests {
    @Test("Counts of ignored messages come soon, and the next ones an hour later")
    func ignored() {
        var notices = Notices()
        notices.count(.malformed, at: .seconds(10))
        notices.count(.untimely, at: .seconds(11))
        notices.count(.untimely, at: .seconds(11))
        notices.count(.untrusted, at: .seconds(11))
        notices.note(dropped: 3, at: .seconds(11))
        let first = .seconds(10) + BusLimit.noticeDelay
        #expect(notices.due == first)
        notices.advance(to: first - .milliseconds(1), dropped: 3)
        #expect(notices.take() == [])
        notices.advance(to: first, dropped: 3)
        #expect(notices.take() == [.ignored(malformed: 1, untimely: 2, untrusted: 1, dropped: 3)])
        #expect(notices.due == nil)
        // What was counted is not counted again.
        notices.note(dropped: 3, at: first)
        #expect(notices.due == nil)
        notices.note(dropped: 4, at: first)
        #expect(notices.due == first + BusLimit.noticeInterval)
        notices.advance(to: first + BusLimit.noticeInterval, dropped: 5)
        #expect(notices.take() == [.ignored(malformed: 0, untimely: 0, untrusted: 0, dropped: 2)])
    }

    @Test("More than so many in one round are left out")
    func limit() {
        var notices = Notices()
        for number in 0...BusLimit.notices { notices.add(.accepted(topic: "\(number)")) }
        #expect(notices.take() == (0..<BusLimit.notices).map { .accepted(topic: "\($0)") })
        #expect(notices.take() == [])
    }

    @Test("Topics are corrected together, a second apart, and reported once an hour")
    func corrections() {
        var corrections = Corrections()
        let topics = (1...3).map { BusTopic.status(GatewayName("gw0\($0)")!) }
        #expect(corrections.insert(topics[0], at: .seconds(1)) == true)
        #expect(corrections.insert(topics[1], at: .seconds(1)) == false)
        #expect(corrections.due == .seconds(1))
        #expect(corrections.take(at: .milliseconds(999)) == [])
        #expect(corrections.take(at: .seconds(1)) == [topics[0], topics[1]])
        #expect(corrections.due == nil)
        #expect(corrections.take(at: .seconds(9)) == [])
        #expect(corrections.insert(topics[2], at: .seconds(1)) == false)
        #expect(corrections.due == .seconds(1) + BusLimit.correctionInterval)
        corrections.forget()
        #expect(corrections.due == nil)
        #expect(corrections.insert(topics[2], at: .seconds(1) + BusLimit.noticeInterval) == true)
    }

    @Test("One list is asked for at a time, and none for a while after the handler was lost")
    func lists() {
        var outbox = HandlerOutbox()
        #expect(outbox.listDue(.seconds(3)) == .seconds(3))
        outbox.beginList(of: 1)
        #expect(outbox.listed == 1)
        #expect(outbox.listDue(.seconds(3)) == nil)
        outbox.endList()
        #expect(outbox.listDue(.seconds(4)) == .seconds(4))
        outbox.beginList(of: 0)
        outbox.lose(at: .seconds(10))
        #expect(outbox.listed == nil)
        #expect(outbox.listDue(.seconds(4)) == .seconds(10) + BusLimit.handlerPause)
    }
}
