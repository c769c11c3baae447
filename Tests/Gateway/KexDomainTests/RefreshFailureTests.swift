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

@Suite("A refresh that fails, or comes too late") struct RefreshFailureTests {
    private static let noList: @Sendable (ScriptedKernel.Call) -> DomainFailure? = {
        if case .state = $0 { DomainFailure("no list") } else { nil }
    }

    @Test("WireGuard cannot be listed: out of service with one line, and back with all routers")
    func list() throws {
        let bench = try Bench()
        try bench.admit(key(1))
        bench.kernel.fail(Self.noList)
        bench.notice(ScriptedKernel.wireGuard, index: 10, isGone: false)
        #expect(bench.domain.register([(key(1), .fleet)]).map(isLater) == [true], "until it is known")
        for _ in 0..<3 { try bench.run(after: .seconds(1)) }
        #expect(!bench.domain.isInService && bench.domain.isSettled)
        #expect(bench.log.count(of: "out of service: no list") == 1)
        #expect(bench.domain.register([(key(1), .fleet)]).map(isLater) == [false])
        #expect(bench.domain.take([bench.heard(key(2))]) == [.unavailable])
        #expect(bench.domain.list(after: 0) == nil)
        #expect(!bench.domain.status.isInService)
        bench.kernel.work()
        try bench.run(after: .seconds(1))
        #expect(bench.log.count(of: "in service again: 1 router") == 1)
        #expect(try bench.register(key(1)) == [nil])
    }

    @Test(
        "What keeps an interface from use is named, and the domain is in service when it is mended",
        arguments: ["prepare", "wg0", "vx0", "route", "list"]
    )
    func causes(cause: String) throws {
        let bench = try Bench(starts: false)
        bench.kernel.change { $0.hasRoute = cause != "route" }
        bench.kernel.fail { call in
            switch (call, cause) {
            case (.prepare, "prepare"), (.list, "list"): DomainFailure("no \(cause)")
            case (.link(let name), cause) where name.text == cause: DomainFailure("no \(cause)")
            default: nil
            }
        }
        try bench.run()
        #expect(!bench.domain.isInService && bench.domain.isSettled)
        #expect(bench.log.count(of: "out of service: \(cause == "route" ? "there is no route" : "no \(cause)")") == 1)
        bench.kernel.change { $0.hasRoute = true }
        bench.kernel.work()
        try bench.run(after: .seconds(1))
        #expect(bench.domain.isInService)
    }

    @Test("An interface that is made anew while it is read is not taken for the old one without peers")
    func between() throws {
        let bench = try Bench()
        try bench.admit(key(1))
        let kernel = bench.kernel
        kernel.fail { call in
            // The old one is listed; then there is another.
            if case .state = call { kernel.makeInterfaces(20, 21) }
            return nil
        }
        bench.notice(ScriptedKernel.wireGuard, index: 10, isGone: false)
        kernel.pass(.seconds(1))
        bench.domain.wake()
        try bench.deliver()
        #expect(bench.log.count(of: "wg0 is gone, or is being made again") == 1)
        kernel.work()
        try bench.run(after: .seconds(1))
        #expect(Array(kernel.state.peers.keys) == [key(1)])
    }

    @Test("An interface changes while it is read: nobody is answered before the refresh that follows")
    func changed() throws {
        let bench = try Bench()
        try bench.admit(key(1))
        bench.notice(ScriptedKernel.wireGuard, index: 10, isGone: false)
        bench.kernel.pass(.seconds(1))
        bench.domain.wake()
        bench.notice(ScriptedKernel.vxlan, index: 11, isGone: false)
        try bench.deliver()
        #expect(bench.domain.isInService && !bench.domain.isSettled && bench.domain.isWaiting)
        #expect(bench.domain.register([(key(1), .fleet)]).map(isLater) == [true])
        try bench.run()
        #expect(bench.domain.isSettled)
        #expect(bench.domain.register([(key(1), .fleet)]).map(refusal) == [nil])
    }

    @Test("Settings change while the kernel is read: what was read is dropped, and a sweep is made by the next refresh")
    func settings() throws {
        let bench = try Bench()
        try bench.admit(key(1))
        bench.domain.sweep(for: 7, isDryRun: false)
        bench.domain.wake()
        var lists = try KeyLists(of: Configuration())
        lists.prohibited = [key(1)]
        #expect(bench.domain.change(to: bench.settings, keys: lists))
        try bench.deliver()
        #expect(!bench.domain.hasSweepReport(for: 7))
        try bench.run(after: .seconds(1))
        #expect(bench.kernel.state.peers.isEmpty && bench.kernel.state.entries.isEmpty)
        let report = try #require(bench.domain.takeSweepReport(for: 7))
        #expect(try report.get().peers == 1)
        #expect(!bench.domain.hasSweepReport(for: 7))
    }

    @Test("An interrupted list: who is missing once is taken for present, and who is missing twice was removed")
    func interrupted() throws {
        let bench = try Bench()
        try bench.admit(key(1), key(2), key(3))
        bench.kernel.change { state in
            state.isWhole = false
            state.peers[key(1)] = nil
        }
        try bench.refresh()
        #expect(bench.domain.table.routerCount == 3)
        try bench.refresh()
        #expect(bench.domain.table.routerCount == 2)
        #expect(bench.log.count(of: "forgot \(key(1))") == 1)
        #expect(bench.kernel.state.entries == bench.entries(of: key(2)).union(bench.entries(of: key(3))))
    }

    @Test("Entries are listed at the start and after a loss of news, not with each refresh")
    func listings() throws {
        let bench = try Bench()
        #expect(bench.kernel.state.listings == 1)
        try bench.refresh()
        #expect(bench.kernel.state.listings == 1)
        bench.domain.notice(FdbNews.missed)
        try bench.run(after: .seconds(1))
        #expect(bench.kernel.state.listings == 2)
        bench.kernel.fail(Self.noList)
        try bench.refresh()
        bench.kernel.work()
        try bench.run(after: .seconds(1))
        #expect(bench.kernel.state.listings == 3)
    }
}

func isLater(_ answer: MeshDomain.RegistrationAnswer) -> Bool { if case .later = answer { true } else { false } }
