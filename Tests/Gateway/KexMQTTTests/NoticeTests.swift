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
}
