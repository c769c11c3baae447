import Testing

@testable import KexMQTT

@Suite("What is on its way to the handler") struct HandlerOutboxTests {
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
