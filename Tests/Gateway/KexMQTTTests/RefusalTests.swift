import Testing

@testable import KexMQTT

@Suite("Topics that the broker does not take") struct RefusalTests {
    @Test("Each kind is said once, again when the reason is another one, and when it is taken again")
    func words() {
        var refusals = Refusals()
        let (first, second, count) = ("kex/ffww01/router/aa", "kex/ffww01/router/bb", "kex/ffww01/count/gw01")
        #expect(refusals.take(first, 0, at: .zero) == nil)
        #expect(refusals.take(first, 135, at: .zero) == .refused(topic: first, reason: 135))
        #expect(refusals.take(second, 135, at: .zero) == nil)
        #expect(refusals.take(count, 135, at: .zero) == .refused(topic: count, reason: 135))
        // Not so soon.
        #expect(refusals.take(second, 151, at: BusLimit.refusalInterval - .seconds(1)) == nil)
        #expect(refusals.take(second, 151, at: BusLimit.refusalInterval) == .refused(topic: second, reason: 151))
        #expect(refusals.take(second, 0, at: BusLimit.refusalInterval) == nil)
        #expect(refusals.take(second, 16, at: BusLimit.refusalInterval * 2) == .accepted(topic: second))
        #expect(refusals.take(first, 0, at: BusLimit.refusalInterval * 3) == nil)
    }

    @Test("What was not taken is published once more when its kind is taken again")
    func again() {
        var gateway = Member()
        gateway.reason = 135
        gateway.connect()
        gateway.list([(1, gateway.seconds), (2, gateway.seconds)])
        #expect(gateway.publications().compactMap(\.note).count == 2)
        gateway.reason = 0
        gateway.pass(BusLimit.refusalInterval)
        gateway.list([(1, gateway.seconds), (2, gateway.seconds), (3, gateway.seconds)])
        let published = gateway.publications().compactMap { $0.note == nil ? nil : $0.topic }
        #expect(Set(published).count == 3)
    }
}
