import EUI64
import GatewayState
import HandlerChannel
import KexConfiguration
import KexGateway
import KexProtocol
import LinkControl
import NetworkAddresses
import RecordingLog
import Testing
import VXLANFdb
import WireGuardTypes

@testable import KexDomain

@Suite("Routers leave, or cannot be removed") struct DepartureTests {
    /// Two sweeps of a silent router, the second with what fails by then.
    private func sweep(
        _ bench: Bench,
        keys: [PublicKey],
        _ failure: @escaping @Sendable (ScriptedKernel.Call) -> DomainFailure?
    ) throws -> [PublicKey: SweepEvent.Action] {
        bench.kernel.pass(.seconds(5000))
        _ = try finishSweep(bench)
        bench.kernel.pass(.seconds(1000))
        bench.kernel.fail(failure)
        return try finishSweep(bench)
    }

    private func finishSweep(_ bench: Bench) throws -> [PublicKey: SweepEvent.Action] {
        bench.domain.sweep(for: 1, isDryRun: false)
        try bench.run()
        let report = try #require(bench.domain.takeSweepReport(for: 1))
        return Dictionary(uniqueKeysWithValues: try report.get().events.map { ($0.key, $0.action) })
    }

    @Test("A sweep removes who is silent, and reports it when it is done")
    func silent() throws {
        let bench = try Bench()
        try bench.admit(key(1), key(2))
        #expect(try sweep(bench, keys: [key(1)]) { _ in nil } == [key(1): .removed, key(2): .removed])
        #expect(bench.kernel.state.peers.isEmpty && bench.kernel.state.entries.isEmpty)
        #expect(bench.log.count(of: "silent in two sweeps") == 2)
        #expect(bench.domain.list(after: 0)?.removals.count == 2)
    }

    @Test("An entry cannot be removed: its peer stays, and the sweep reports a failure")
    func entry() throws {
        let bench = try Bench()
        try bench.admit(key(1), key(2))
        let stuck = RouterAddresses(of: key(1), profile: .eui64)
        let events = try sweep(bench, keys: [key(1)]) { call in
            if case .delete(let entry) = call, entry.mac == stuck.mac { DomainFailure("no", .refused) } else { nil }
        }
        #expect(events == [key(1): .failed, key(2): .removed])
        #expect(Array(bench.kernel.state.peers.keys) == [key(1)])
        #expect(bench.domain.table.routerCount == 1)
        #expect(bench.log.count(of: "could not remove \(key(1)): no") == 1)
    }

    @Test("WireGuard refuses one removal: the others are made one by one")
    func peer() throws {
        let bench = try Bench()
        try bench.admit(key(1), key(2), key(3))
        let events = try sweep(bench, keys: [key(1)]) { call in
            if case .apply(.remove(key(2))) = call { DomainFailure("no", .refused) } else { nil }
        }
        #expect(events == [key(1): .removed, key(2): .failed, key(3): .removed])
        #expect(Array(bench.kernel.state.peers.keys) == [key(2)])
    }

    @Test("WireGuard does not answer: the sweep reports failures, and the domain is out of service")
    func noAnswer() throws {
        let bench = try Bench()
        try bench.admit(key(1))
        let events = try sweep(bench, keys: [key(1)]) {
            if case .apply = $0 { DomainFailure("no answer") } else { nil }
        }
        #expect(events == [key(1): .failed])
        #expect(!bench.domain.isInService)
        #expect(bench.log.count(of: "could not remove") == 0, "that it is out of service says it")
    }

    @Test("A sweep of a domain that is out of service says why")
    func outOfService() throws {
        let bench = try Bench(starts: false)
        bench.kernel.fail { if case .state = $0 { DomainFailure("no list") } else { nil } }
        try bench.run()
        bench.domain.sweep(for: 1, isDryRun: false)
        // It rests after the failure.
        #expect(throws: DomainFailure("no list")) { try #require(bench.domain.takeSweepReport(for: 1)).get() }
        bench.kernel.pass(.seconds(1))
        bench.domain.sweep(for: 1, isDryRun: true)
        try bench.run()
        #expect(throws: DomainFailure("no list")) { try #require(bench.domain.takeSweepReport(for: 1)).get() }
    }

    @Test("A silent router whose key is prohibited leaves once, and the sweep that found it ends")
    func twice() throws {
        let bench = try Bench()
        try bench.admit(key(1))
        bench.kernel.pass(.seconds(5000))
        _ = try finishSweep(bench)
        bench.kernel.pass(.seconds(1000))
        var lists = try KeyLists(of: Configuration())
        lists.prohibited = [key(1)]
        #expect(bench.domain.change(to: bench.settings, keys: lists))
        #expect(try finishSweep(bench) == [key(1): .removed])
        #expect(bench.kernel.state.peers.isEmpty)
    }

    @Test("A router that was not heard of in its time goes; one that registers again meanwhile is not taken for silent")
    func expired() throws {
        let bench = try Bench()
        #expect(try bench.register(key(1)) == [nil])
        try bench.run(after: .seconds(301))
        #expect(bench.kernel.state.peers.isEmpty && bench.kernel.state.entries.isEmpty)
        #expect(bench.log.count(of: "not heard of since it registered") == 1)
    }

    @Test("Newcomers whose places others have to leave are in at once, and the others go right after them")
    func places() throws {
        let bench = try Bench()
        /// Registers in one packet.
        func register(_ numbers: Range<Int>) throws {
            let keys = numbers.map { (key(UInt8($0 % 256), UInt8($0 / 256)), Origin.fleet) }
            var answers = bench.domain.register(keys)
            if case .later = answers[0] {
                try bench.run(after: .milliseconds(100))
                answers = bench.domain.register(keys)
            }
            for answer in answers {
                guard case .said(nil) = answer else { throw Bench.StillWaiting() }
            }
        }
        // So many new keys are taken without a pause.
        try register(0..<1000)
        try bench.run(after: .seconds(1))
        try register(1000..<DomainLimit.pending)
        try bench.run(after: DomainLimit.pendingGrace)
        #expect(bench.kernel.state.peers.count == DomainLimit.pending)
        let (first, next) = (DomainLimit.pending, DomainLimit.pending + ChannelLimit.records)
        try register(first..<next)
        #expect(bench.kernel.state.peers.count == next)
        try bench.run()
        #expect(bench.kernel.state.peers.count == DomainLimit.pending)
    }

    @Test("A dead session is reset with one request; if WireGuard refuses, that is in the log")
    func reset() throws {
        let bench = try Bench()
        try bench.admit(key(1))
        bench.kernel.pass(.seconds(200))
        bench.kernel.fail { if case .apply(.remove) = $0 { DomainFailure("no", .refused) } else { nil } }
        _ = try bench.register(key(1))
        #expect(bench.log.count(of: "could not reset the session of \(key(1)): no") >= 1)
        bench.kernel.work()
        bench.kernel.pass(.seconds(100))
        _ = try bench.register(key(1))
        #expect(bench.log.count(of: "reset the session of \(key(1)): nothing arrived in it") == 1)
        #expect(bench.kernel.state.applied.last?.count == 2)
        #expect(bench.kernel.state.peers[key(1)]?.lastHandshake == nil)
    }
}
