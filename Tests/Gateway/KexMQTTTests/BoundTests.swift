import HandlerChannel
import KexProtocol
import Testing

@testable import KexMQTT

/// Limits that a whole member comes near only in hours.
@Suite("Bounds") struct BoundTests {
    private let gateway = GatewayName("gw02")!

    /// The handler takes in all that waits.
    private func carryOut(_ pending: inout PendingNews) {
        while case let news = pending.next(at: .zero), !news.isEmpty {
            for item in news { pending.take(RegistrationAnswer(id: item.id, refusal: nil), at: .zero) }
        }
    }

    @Test("So many notes are remembered; with one more all are forgotten, and what is known is news once more")
    func rememberedNotes() {
        var pending = PendingNews()
        func isNews(_ number: Int) -> Bool {
            let report = PendingNews.Report(kind: .heard, time: 1)
            return pending.insert(report, of: RouterID(key(number), domain: 0), from: gateway, saidAt: 1)
        }
        for number in 0..<BusLimit.rememberedNotes {
            #expect(isNews(number))
            if number % 256 == 0 { carryOut(&pending) }
        }
        carryOut(&pending)
        #expect(!isNews(0))
        #expect(isNews(BusLimit.rememberedNotes))
        #expect(isNews(0))
        #expect(pending.dropped == 0)
    }

    @Test("The handler is told so much news at a time")
    func newsAtHandler() {
        var pending = PendingNews()
        for number in 0...BusLimit.newsAtHandler {
            let report = PendingNews.Report(kind: .heard, time: 1)
            _ = pending.insert(report, of: RouterID(key(number), domain: 0), from: gateway, saidAt: 1)
        }
        var sent: [UInt32] = []
        while case let news = pending.next(at: .zero), !news.isEmpty { sent += news.map(\.id) }
        #expect(sent.count == BusLimit.newsAtHandler)
        pending.take(RegistrationAnswer(id: sent[0], refusal: nil), at: .zero)
        #expect(pending.next(at: .zero).count == 1)
    }

    @Test("Of so many routers that are gone the broker is told; the notes of more expire by themselves")
    func farewells() {
        var own = OwnRouters(MemberSettings.Domain(name: domain, linkAddress: nil, staleAfter: .seconds(3600)))
        func publish() -> Int {
            var count = 0
            while own.nextNote(at: .zero) != nil { count += 1 }
            return count
        }
        let all = BusLimit.farewells + 1
        own.take((0..<all).map { RouterRecord(key: key($0), lastHandshake: 1) })
        own.finishList(isWhole: true, lastRemoval: 0, at: .zero)
        #expect(publish() == all)
        own.take(removals: (0..<all).map(key))
        own.finishList(isWhole: true, lastRemoval: UInt64(all), at: .zero)
        #expect(publish() == BusLimit.farewells)
    }

    @Test("So many gateways' notes are counted; of one more nothing is missed")
    func countedGateways() {
        var replay = Replay()
        func name(_ number: Int) -> GatewayName { GatewayName("g\(number)")! }
        for number in 0...BusLimit.gateways { replay.take(1, of: name(number)) }
        for number in 1..<BusLimit.gateways { replay.see(name(number)) }
        replay.answered(at: .zero)
        #expect(replay.check(at: BusLimit.replayTime) == .ask, "the first one's is missing")
        replay.see(name(0))
        replay.answered(at: .zero)
        #expect(replay.check(at: BusLimit.replayTime) == nil)
    }
}
