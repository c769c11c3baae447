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

@Suite("Routers come back into an interface that lost them") struct RestorationTests {
    private func renew(_ bench: Bench) {
        bench.notice(ScriptedKernel.wireGuard, index: 10, isGone: true)
        bench.kernel.makeInterfaces(20, 21)
        bench.notice(ScriptedKernel.wireGuard, index: 20, isGone: false)
    }

    @Test("An interface that goes, and comes back with another number: all are back, with entries through the new one")
    func renewed() throws {
        let bench = try Bench()
        try bench.admit(key(1), key(2))
        renew(bench)
        try bench.run(after: .seconds(1))
        #expect(Set(bench.kernel.state.peers.keys) == [key(1), key(2)])
        #expect(
            bench.kernel.state.entries
                == bench.entries(of: key(1), isHeard: false).union(bench.entries(of: key(2), isHeard: false))
        )
        #expect(bench.log.count(of: "brought 2 routers back into wg0") == 1)
        #expect(bench.domain.identity?.interfaceIndex == 20)
        #expect(bench.domain.isSettled)
    }

    @Test("While it is gone, the domain is out of service")
    func gone() throws {
        let bench = try Bench()
        try bench.admit(key(1))
        bench.kernel.change { $0.links = [:] }
        bench.notice(ScriptedKernel.wireGuard, index: 10, isGone: true)
        try bench.run(after: .seconds(1))
        #expect(bench.log.count(of: "out of service: there is no interface wg0") == 1)
        bench.kernel.makeInterfaces(10, 11)
        bench.notice(ScriptedKernel.wireGuard, index: 10, isGone: false)
        try bench.run(after: .seconds(1))
        #expect(Array(bench.kernel.state.peers.keys) == [key(1)], "with the number of the one before, too")
    }

    @Test("WireGuard refuses them: out of service, and all are brought back later")
    func refused() throws {
        let bench = try Bench()
        try bench.admit(key(1), key(2))
        renew(bench)
        bench.kernel.fail { call in
            if case .apply(let change) = call, change.publicKey == key(2) { DomainFailure("no", .refused) } else { nil }
        }
        try bench.run(after: .seconds(1))
        #expect(!bench.domain.isInService && bench.domain.mustRestore)
        #expect(bench.log.count(of: "out of service: cannot bring routers back: no") == 1)
        #expect(bench.domain.identity == nil, "the routers are not in it")
        bench.kernel.work()
        for _ in 0..<3 { try bench.run(after: .seconds(2)) }
        #expect(Set(bench.kernel.state.peers.keys) == [key(1), key(2)])
        #expect(bench.domain.isSettled && !bench.domain.mustRestore)
    }

    @Test("Who registers before its turn is brought back at once; there is no refresh before all are back")
    func turn() throws {
        let bench = try Bench()
        let keys = (1...100).map { key($0) }
        for key in keys { #expect(try bench.register(key) == [nil]) }
        for key in keys { bench.kernel.handshake(key) }
        try bench.run(after: .seconds(1))
        renew(bench)
        bench.kernel.pass(.seconds(1))
        bench.domain.wake()
        try bench.deliver()
        let waiting = try #require(bench.domain.state.restoration?.waiting)
        #expect(!waiting.isEmpty && waiting.count < 100, "it is done in rounds")
        let late = try #require(waiting.keys.first)
        #expect(bench.domain.register([(late, .fleet)]).map(refusal) == [nil])
        #expect(bench.kernel.state.peers[late] != nil)
        bench.domain.scheduleRefresh(at: bench.kernel.state.now, isUrgent: true)
        bench.domain.wake()
        #expect(!bench.domain.schedule.isRunning)
        try bench.run()
        #expect(bench.kernel.state.peers.count == 100)
        #expect(bench.log.count(of: "brought 100 routers back into wg0") == 1)
    }

    @Test("Most peers go at once from an interface that stays: they are brought back, also after a failure in between")
    func massLoss() throws {
        let bench = try Bench()
        try bench.admit(key(1), key(2), key(3))
        bench.kernel.change { $0.peers = [:] }
        bench.kernel.fail { if case .apply = $0 { DomainFailure("no answer") } else { nil } }
        try bench.refresh()
        #expect(bench.log.count(of: "3 of 3 routers disappeared from wg0 at once") == 1)
        #expect(!bench.domain.isInService && bench.domain.mustRestore)
        bench.kernel.work()
        try bench.run(after: .seconds(2))
        #expect(bench.kernel.state.peers.count == 3)
    }

    @Test("The interface goes while they come back: what is left of the work is dropped, and begins anew")
    func twice() throws {
        let bench = try Bench()
        try bench.admit(key(1), key(2))
        renew(bench)
        bench.kernel.fail { if case .apply = $0 { DomainFailure("no", .refused) } else { nil } }
        bench.kernel.pass(.seconds(1))
        bench.domain.wake()
        try bench.deliver()
        bench.kernel.work()
        bench.notice(ScriptedKernel.wireGuard, index: 20, isGone: true)
        bench.kernel.makeInterfaces(30, 31)
        bench.notice(ScriptedKernel.wireGuard, index: 30, isGone: false)
        try bench.run(after: .seconds(2))
        #expect(bench.kernel.state.peers.count == 2)
        #expect(bench.domain.identity?.interfaceIndex == 30)
    }

    @Test("The next process brings back those who were heard of, from the saved state")
    func saved() throws {
        let bench = try Bench()
        try bench.admit(key(1))
        #expect(try bench.register(key(2)) == [nil])
        bench.kernel.makeInterfaces(20, 21)
        try bench.restart()
        try bench.run()
        #expect(Array(bench.kernel.state.peers.keys) == [key(1)])
    }
}
