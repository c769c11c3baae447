import BusMessages
import HandlerChannel
import KexProtocol
import NetworkAddresses
import Testing
import Time

@testable import KexMQTT

@Suite("Clocks") struct ClockTests {
    private static let other = GatewayName("gw02")!

    /// A gateway that has heard of another one.
    private func member() -> Member {
        var gateway = Member()
        gateway.connect()
        gateway.receive(.status(Self.other, isOnline: true), isRetained: true)
        return gateway
    }

    private func clockNotices(_ gateway: inout Member) -> [BusNotice] {
        gateway.member.takeNotices().filter { if case .ignored = $0 { false } else { true } }
    }

    // MARK: - Ours

    @Test("Times of notes grow while the clock stands still, and follow it at once when it is put back by a minute")
    func guardedTimes() {
        var clock = NoteClock()
        var now = Moment(milliseconds: 1_000_000, sinceStart: .zero)
        #expect((0..<3).map { _ in clock.next(at: now) } == [1_000_000, 1_000_001, 1_000_002])
        now.milliseconds -= 59_000
        #expect(clock.next(at: now) == 1_000_003)
        now.milliseconds -= 998
        // Sixty seconds and 1 ms before the last one.
        now.milliseconds -= 4
        #expect(clock.next(at: now) == now.milliseconds)
        #expect(clock.next(at: now) == now.milliseconds + 1)
        now.milliseconds += 7_200_000
        #expect(clock.next(at: now) == now.milliseconds)
    }

    @Test(
        "A step of the clock is one of five seconds, either way, at whatever pace time goes",
        arguments: [-1, 1] as [Int64]
    )
    func steps(direction: Int64) {
        var clock = NoteClock()
        var now = Moment(milliseconds: 1_000_000, sinceStart: .seconds(5))
        #expect(clock.step(at: now) == nil)
        for _ in 0..<100 {
            now.sinceStart += .seconds(100)
            // Four seconds in each hundred are no step.
            now.milliseconds += 100_000 + direction * 4000
            #expect(clock.step(at: now) == nil)
        }
        now.milliseconds += direction * 5000
        #expect(clock.step(at: now) == .milliseconds(direction * 5000))
        #expect(clock.step(at: now) == nil)
    }

    @Test(
        "After a step of our clock, either way, all is said anew with right times, asked for anew, and told to the operator",
        arguments: [-10_800_000, 10_800_000] as [Int64]
    )
    func ownStep(step: Int64) {
        var (gateway, receiver) = (member(), Member("gw02"))
        receiver.connect()
        receiver.receive(.status(GatewayName("gw01")!, isOnline: true), isRetained: true)
        let right = gateway.now.milliseconds
        gateway.now.milliseconds = right - step
        gateway.member.advance(to: gateway.now)
        _ = clockNotices(&gateway)
        gateway.list([(1, gateway.seconds)])
        gateway.member.register(
            RegistrationRequest(id: 1, source: IPv6Address(high: 1, low: 0), registration: registration(2)),
            frontDoor: 1,
            at: gateway.now
        )
        for publication in gateway.publications() { receiver.deliver(publication) }
        #expect(receiver.news().isEmpty, "of another time")
        gateway.now.milliseconds = right
        gateway.pass(.seconds(1))
        receiver.pass(.seconds(1))
        #expect(clockNotices(&gateway) == [.clockStepped(by: .milliseconds(step))])
        #expect(gateway.subscribe() == ["kex/ffww01/router/+", "kex/ffww01/router/+ without kept"])
        var all = gateway.publications()
        gateway.pass(BusLimit.arrivalTime)
        all += gateway.publications()
        for publication in all { receiver.deliver(publication) }
        let news = receiver.news()
        #expect(news.map(\.registration.key) == [key(1)])
        #expect(news.allSatisfy { $0.time <= receiver.seconds }, "no handshake is in the future")
        #expect(all.contains { $0.message == .registration(registration(2)) })
        // A handshake after the clock went back is another one, although it seems to be older.
        gateway.pass(.seconds(1800))
        receiver.pass(.seconds(1800))
        gateway.list([(1, gateway.seconds)])
        for publication in gateway.publications() { receiver.deliver(publication) }
        #expect(receiver.news().map(\.time) == [receiver.seconds])
    }

    // MARK: - Others'

    @Test("A gateway's clock that differs is told with its size, again when it changes, and when it is right")
    func others() {
        var gateway = member()
        func say(_ offset: Int64, isRetained: Bool = false) -> [BusNotice] {
            gateway.hear(1, .heard(at: 1), saidAt: gateway.now.milliseconds + offset, isRetained: isRetained)
            return clockNotices(&gateway)
        }
        func word(_ seconds: Int64) -> [BusNotice] { [.clock(gateway: "gw02", ahead: .seconds(seconds))] }
        #expect(say(300_000).isEmpty)
        #expect(say(7_200_000) == word(7200))
        #expect(say(7_200_000).isEmpty)
        #expect(gateway.news().count == 1, "what is from the future does not count")
        gateway.pass(BusLimit.clockNoticeInterval)
        #expect(say(7_100_000).isEmpty)
        #expect(say(6_900_000) == word(6900))
        #expect(say(0).isEmpty, "not so soon")
        gateway.pass(BusLimit.clockNoticeInterval)
        #expect(say(-1_200_000, isRetained: true).isEmpty, "what was kept is old")
        #expect(say(0) == word(0))
        gateway.pass(BusLimit.clockNoticeInterval)
        #expect(say(-1_200_000) == word(-1200))
        gateway.pass(BusLimit.clockNoticeInterval)
        // A count tells the time as well.
        gateway.receive(.count(domain, Self.other, CountNote(time: gateway.now.milliseconds, count: 1)))
        #expect(clockNotices(&gateway) == word(0))
    }

    @Test("Names that are no gateway's have no clock, and no number in a note is too large")
    func names() {
        var gateway = member()
        for number in 0..<100 {
            gateway.hear(1, .heard(at: 1), from: "fake\(number)", saidAt: gateway.now.milliseconds + 7_200_000)
        }
        #expect(clockNotices(&gateway).isEmpty)
        gateway.hear(1, .heard(at: .max), saidAt: .max)
        #expect(clockNotices(&gateway).count == 1)
        gateway.pass(.seconds(10))
        gateway.hear(1, .removed, saidAt: 0)
        #expect(clockNotices(&gateway).count == 1)
        #expect(gateway.news().isEmpty)
    }

    @Test("So many gateways' clocks are looked at")
    func limit() {
        var clocks = GatewayClocks()
        func isTold(_ number: Int) -> Bool {
            clocks.see(GatewayName("g\(number)")!, .seconds(1000), isNew: true, at: .zero) != nil
        }
        #expect((0..<BusLimit.gateways).allSatisfy(isTold))
        #expect(!isTold(BusLimit.gateways))
    }
}
