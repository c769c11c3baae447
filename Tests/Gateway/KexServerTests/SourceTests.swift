import HandlerChannel
import RecordingLog
import KexProtocol
import KexServer
import NetworkAddresses
import SourceLimits
import SystemCalls
import Testing
import Time

private let limited = TestClient.Outcome.closed("ERR: RATE_LIMITED\n")

@Suite("What one source may do") struct SourceTests {
    private let handler: TestHandler
    private let log = RecordingLog()

    init() throws { handler = try TestHandler() }

    private func server(_ share: SourceLimits.Share, unlimited: [IPPrefix] = []) throws -> TestServer {
        var limits = ServerLimits()
        limits.source = share
        return try TestServer.running(handler: handler.path, limits: limits, unlimitedSources: unlimited, log: log)
    }

    @Test("The defaults are 64 connections without a pause, 2 a second later, 16 at a time; of a link 32 times as much")
    func defaults() {
        let share = SourceLimits.Share(burst: 64, interval: .milliseconds(500), atOnce: 16, linkFactor: 32)
        #expect(ServerLimits().source == share)
    }

    @Test("A connection too many at a time is answered, before anything of it is read; other sources are served")
    func atOnce() throws {
        let server = try server(SourceLimits.Share(burst: 100, interval: .seconds(1), atOnce: 3))
        let waiting = try (0..<3).map { _ in try TestClient(port: server.port) }
        #expect(try TestClient(port: server.port).outcome() == limited)
        let other = try TestClient(port: server.port, source: 2)
        try other.send("nowhere\n")
        #expect(try other.outcome() == .closed("ERR: INVALID_DOMAIN\n"))
        #expect(waiting.allSatisfy { !$0.hasAnswer })
        // One of the three ends, and there is room for another.
        try waiting[0].send("nowhere\n")
        #expect(try waiting[0].outcome() == .closed("ERR: INVALID_DOMAIN\n"))
        waiting[0].finishSending()  // until then its answer may be on the way
        var outcome = limited
        for _ in 0..<100 where outcome == limited {
            let next = try TestClient(port: server.port)
            try next.send("nowhere\n")
            outcome = try next.outcome()
        }
        #expect(outcome == .closed("ERR: INVALID_DOMAIN\n"))
        #expect(log.count(of: "refused an exchange from 127.0.0.1: RATE_LIMITED") >= 1)
    }

    @Test("Who comes too often is answered, and can come again later; other sources are served")
    func pace() throws {
        let server = try server(SourceLimits.Share(burst: 5, interval: .milliseconds(400), atOnce: 16))
        func exchange(source: UInt32) throws -> TestClient.Outcome {
            let client = try TestClient(port: server.port, source: source)
            try client.send("nowhere\n")
            return try client.outcome()
        }
        let invalid = TestClient.Outcome.closed("ERR: INVALID_DOMAIN\n")
        var outcomes: [TestClient.Outcome] = []
        for _ in 0..<8 { outcomes.append(try exchange(source: 1)) }
        #expect(outcomes.prefix(5).allSatisfy { $0 == invalid })
        #expect(outcomes.suffix(2).allSatisfy { $0 == limited })
        #expect(try exchange(source: 2) == invalid)
        MonotonicTime(nanoseconds: MonotonicTime.now.nanoseconds + 500_000_000).sleep()
        #expect(try exchange(source: 1) == invalid)
    }

    @Test("A source that stands for many has no limit")
    func unlimited() throws {
        let share = SourceLimits.Share(burst: 1, interval: .seconds(100), atOnce: 1)
        let server = try server(share, unlimited: [IPPrefix("127.0.0.2")!])
        let clients = try (0..<20).map { _ in try TestClient(port: server.port, source: 2) }
        for client in clients {
            try client.send("nowhere\n")
            #expect(try client.outcome() == .closed("ERR: INVALID_DOMAIN\n"))
        }
        let idle = try TestClient(port: server.port)
        #expect(try TestClient(port: server.port).outcome() == limited)
        #expect(!idle.hasAnswer)
    }
}
