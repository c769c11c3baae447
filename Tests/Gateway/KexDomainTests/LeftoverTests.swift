import NetworkAddresses
import SystemCalls
import Testing
import Time
import VXLANFdb

@testable import KexDomain

@Suite("What nobody waits for any more") struct LeftoverTests {
    @Test("A table that was full is not full any more when its interface has no limit")
    func noLimit() throws {
        let bench = try Bench(starts: false)
        bench.kernel.makeInterfaces(20, 21, limit: 2)
        try bench.run()
        // As after an attempt in vain.
        bench.domain.learned.isFull = true
        bench.domain.learned.earliest = bench.kernel.state.now + .seconds(5)
        bench.kernel.makeInterfaces(20, 31)
        bench.notice(ScriptedKernel.vxlan, index: 31, isGone: false)
        try bench.run(after: .seconds(1))
        #expect(!bench.domain.learned.isFull)
        #expect(!bench.domain.isWaiting)
    }

    @Test("Room is made although another round ends while the table is full")
    func otherRound() throws {
        let bench = try Bench(starts: false)
        bench.kernel.makeInterfaces(20, 21, limit: 4)
        try bench.run()
        let via = InterfaceIndex(20)!
        let hoarder = IPv6Address("fe80::7")!
        bench.kernel.change { state in
            state.learned = Set(
                (0..<4).map { FdbEntry(mac: MACAddress(2, 0, 0, 0, 0, $0), destination: hoarder, via: via) }
            )
        }
        bench.kernel.pass(.seconds(1))
        bench.domain.learned.departed = [IPv6Address("fe80::8")!]
        bench.domain.careForLearned(at: bench.kernel.state.now)
        #expect(bench.domain.learned.isAtWork)
        bench.domain.learned.isFull = true
        try bench.deliver()
        #expect(bench.domain.learned.isFull)
        try bench.run(after: .seconds(1))
        #expect(!bench.domain.learned.isFull)
        #expect(bench.kernel.state.learned.isEmpty)
    }

    @Test("The report of a sweep is not kept for a program that has gone", arguments: [true, false])
    func forgotten(fails: Bool) throws {
        let bench = try Bench()
        try bench.admit(key(1))
        bench.kernel.pass(.seconds(10))
        bench.domain.sweep(for: 7, isDryRun: false)
        bench.domain.wake()
        #expect(bench.domain.schedule.isRunning)
        bench.domain.forgetSweep(for: 7)
        if fails { bench.kernel.fail { if case .state = $0 { DomainFailure("no answer") } else { nil } } }
        try bench.run()
        #expect(!bench.domain.hasSweepReport(for: 7))
        // The next one has its own.
        bench.kernel.work()
        try bench.run(after: .seconds(20))
        bench.domain.sweep(for: 8, isDryRun: false)
        try bench.run()
        #expect(bench.domain.hasSweepReport(for: 8))
    }
}
