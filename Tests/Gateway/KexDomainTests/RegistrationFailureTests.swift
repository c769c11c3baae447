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

@Suite("A registration that the kernel does not carry out") struct RegistrationFailureTests {
    @Test("WireGuard refuses one of several: that one is unavailable, and the others are in")
    func refusedPeer() throws {
        let bench = try Bench()
        bench.kernel.fail { call in
            if case .apply(let change) = call, change.publicKey == key(2) { DomainFailure("no", .refused) } else { nil }
        }
        let answers = bench.domain.register([1, 2, 3].map { (key($0), .fleet) })
        #expect(answers.map(refusal) == [nil, .unavailable, nil])
        try bench.run()
        #expect(Set(bench.kernel.state.peers.keys) == [key(1), key(3)])
        #expect(
            bench.kernel.state.entries
                == bench.entries(of: key(1), isHeard: false).union(bench.entries(of: key(3), isHeard: false))
        )
        #expect(bench.log.count(of: "could not register \(key(2)) from another gateway: no") == 1)
        #expect(bench.domain.isInService)
        bench.kernel.work()
        #expect(try bench.register(key(2)) == [nil])
    }

    @Test("WireGuard does not answer: nobody is in, the domain is out of service, and comes back by itself")
    func noAnswer() throws {
        let bench = try Bench()
        try bench.admit(key(1))
        bench.kernel.fail { if case .apply = $0 { DomainFailure("no answer") } else { nil } }
        #expect(
            bench.domain.register([(key(2), .fleet), (key(3), .fleet)]).map(refusal) == [.unavailable, .unavailable]
        )
        #expect(!bench.domain.isInService)
        #expect(bench.log.count(of: "out of service: no answer") == 1)
        let attempts = bench.kernel.state.applied.count
        #expect(bench.domain.register([(key(2), .fleet)]).map(refusal) == [.unavailable])
        #expect(bench.kernel.state.applied.count == attempts, "it is not asked again")
        bench.kernel.work()
        try bench.run(after: .seconds(1))
        #expect(bench.domain.isInService)
        #expect(bench.log.count(of: "in service again: 1 router") == 1)
        #expect(try bench.register(key(1), key(2)) == [nil, nil])
    }

    @Test(
        "An entry is refused: the entries that are in and the peer are taken back, and who asks meanwhile waits for that"
    )
    func refusedEntry() throws {
        let bench = try Bench { $0.floodAfter = .registration }
        bench.kernel.fail { call in
            if case .append(let entry) = call, entry.mac == .zero { DomainFailure("no entry", .refused) } else { nil }
        }
        #expect(bench.domain.register([(key(1), .fleet)]).map(refusal) == [.unavailable])
        #expect(bench.kernel.state.entries.isEmpty)
        bench.kernel.work()
        // The peer is taken back beside the loop.
        guard case .later = bench.domain.register([(key(1), .fleet)])[0] else {
            Issue.record("the peer that is being taken back would be taken for good")
            return
        }
        #expect(bench.domain.isWaiting)
        try bench.run()
        #expect(bench.kernel.state.peers.isEmpty)
        #expect(bench.domain.table.routerCount == 0)
        #expect(try bench.register(key(1)) == [nil])
        #expect(bench.kernel.state.entries == bench.entries(of: key(1)))
    }

    @Test("The fdb is full: what was learned of who has most goes, and who registers waits for it")
    func full() throws {
        let bench = try Bench(starts: false)
        bench.kernel.makeInterfaces(10, 11, limit: 40)
        try bench.run()
        let crowd = RouterAddresses(of: key(9), profile: .eui64)
        let via = bench.kernel.state.links[ScriptedKernel.wireGuard]!.index
        bench.kernel.change { state in
            for number in 0..<40 {
                let mac = MACAddress(0x06, 0, 0, 0, 0, UInt8(number))
                state.learned.insert(FdbEntry(mac: mac, destination: crowd.linkLocal, via: via))
            }
        }
        guard case .later = bench.domain.register([(key(1), .fleet)])[0] else {
            Issue.record("it is answered at once")
            return
        }
        #expect(bench.domain.isWaiting)
        #expect(try bench.register(key(1)) == [nil])
        #expect(bench.kernel.state.learned.isEmpty)
        #expect(bench.kernel.state.entries == bench.entries(of: key(1), isHeard: false))
        #expect(bench.log.count(of: "removed 40 MAC addresses") == 1)
    }

    @Test("The fdb is full, and nothing in it can go: unavailable, and the peer is taken back")
    func hopeless() throws {
        let bench = try Bench(starts: false)
        bench.kernel.makeInterfaces(10, 11, limit: 0)
        try bench.run()
        // Zero is for no limit.
        bench.kernel.makeInterfaces(10, 11, limit: 1)
        bench.kernel.change { $0.limit = 0 }
        bench.notice(ScriptedKernel.vxlan, index: 11, isGone: false)
        try bench.run(after: .seconds(1))
        #expect(try bench.register(key(1)) == [.unavailable])
        try bench.run()
        #expect(bench.kernel.state.peers.isEmpty)
        #expect(bench.domain.table.routerCount == 0)
    }

    @Test("What other gateways report is unavailable too, and is asked again")
    func news() throws {
        let bench = try Bench()
        bench.kernel.fail { if case .apply = $0 { DomainFailure("no", .refused) } else { nil } }
        #expect(bench.domain.take([bench.heard(key(1))]) == [.unavailable])
        try bench.run()
        bench.kernel.work()
        #expect(bench.domain.take([bench.heard(key(1))]) == [nil])
        #expect(bench.kernel.state.peers[key(1)] != nil)
    }

    @Test("An entry that a router lacks is tried again after the next refresh; the log says it once")
    func repairs() throws {
        let bench = try Bench()
        #expect(try bench.register(key(1)) == [nil])
        bench.kernel.fail { call in
            if case .append(let entry) = call, entry.mac == .zero { DomainFailure("no entry", .refused) } else { nil }
        }
        bench.kernel.handshake(key(1))
        try bench.run(after: .seconds(1))
        for _ in 0..<3 {
            _ = bench.domain.status
            try bench.run(after: .seconds(1))
        }
        #expect(bench.kernel.state.entries == bench.entries(of: key(1), isHeard: false))
        #expect(bench.log.count(of: "cannot repair fdb entries: no entry") == 1)
        bench.kernel.work()
        _ = bench.domain.status
        try bench.run(after: .seconds(1))
        #expect(bench.kernel.state.entries == bench.entries(of: key(1)))
    }
}

func refusal(_ answer: MeshDomain.RegistrationAnswer) -> Refusal? {
    if case .said(let refusal) = answer { refusal } else { .invalidKey }
}
