import LinkMember
import NetworkAddresses
import Testing
import Time
import VirtualNetwork
import WireGuardTypes

/// Whole machines on virtual time: two that share a hub.
@Suite struct PairTests {
    /// A hub and two machines, all with the program, which have settled.
    private func mesh(
        _ one: NATKind,
        _ other: NATKind,
        besideEachOther: Bool = false,
        hubDelay: Duration = .milliseconds(1)
    ) -> (VirtualMesh, VirtualMachine, VirtualMachine) {
        let mesh = VirtualMesh(hubDelay: hubDelay)
        let a = mesh.machine("a", one)
        let b = mesh.machine("b", other, beside: besideEachOther ? a : nil)
        mesh.hub.start()
        a.start()
        mesh.clock.run(for: .seconds(20))
        return (mesh, a, b)
    }

    @Test func `two on one network are direct within a second`() throws {
        let (mesh, a, b) = mesh(.portRestricted, .portRestricted, besideEachOther: true)
        b.start()
        let time = try #require(mesh.clock.run(upTo: .seconds(30)) { mesh.isDirect(a, b) })
        #expect(time < .seconds(1))
        // They found the addresses that they share, and not a way around through the router.
        #expect(a.status()[b.key]?.way == .direct(b.endpoint))
        #expect(b.status()[a.key]?.way == .direct(a.endpoint))
    }

    /// Whether two NATs let a direct path be. Source: measured in namespaces with Linux routers.
    private static func isPossible(_ one: NATKind, _ other: NATKind) -> Bool {
        switch (one, other) {
        case (.symmetric, .symmetric), (.symmetric, .portRestricted), (.portRestricted, .symmetric): false
        default: true
        }
    }

    static let cells = NATKind.allCases.flatMap { one in NATKind.allCases.map { (one, $0) } }

    @Test(arguments: cells)
    func `behind two NATs there is a direct path where there can be one, and else the relay`(
        one: NATKind,
        other: NATKind
    ) throws {
        let (mesh, a, b) = mesh(one, other)
        b.start()
        let pings = a.ping(b, each: .milliseconds(10))
        if Self.isPossible(one, other) {
            let time = try #require(mesh.clock.run(upTo: .seconds(30)) { mesh.isDirect(a, b) })
            #expect(time < .seconds(2))
        } else {
            let time = try #require(mesh.clock.run(upTo: .seconds(30)) { mesh.isRelayed(a, b) })
            #expect(time < .seconds(2))
            mesh.clock.run(for: .seconds(30))
            #expect(!mesh.isDirect(a, b))
            #expect(mesh.isRelayed(a, b))
        }
        mesh.clock.run(for: .seconds(20))
        pings.stop()
        mesh.clock.run(for: .seconds(2))
        // Only the move of the allowed IPs from the hub to the pair may cost something: the rate times the round trip.
        let lost = a.lost(pings)
        #expect(lost.count <= 3, "\(lost.count) of \(pings.sent.count)")
    }

    @Test func `a silent cut under traffic is noticed within 5 s, and the path is used again after its repair`() throws
    {
        let (mesh, a, b) = mesh(.portRestricted, .full)
        b.start()
        _ = try #require(mesh.clock.run(upTo: .seconds(30)) { mesh.isDirect(a, b) })
        mesh.clock.run(for: .seconds(1))
        let pings = a.ping(b, each: .milliseconds(10))
        mesh.clock.run(for: .seconds(20))
        #expect(a.lost(pings).isEmpty)
        let cut = mesh.clock.now
        mesh.underlay.cut(a.site.address!, b.site.address!)
        _ = try #require(mesh.clock.run(upTo: .seconds(30)) { mesh.isRelayed(a, b) })
        mesh.clock.run(for: .seconds(20))
        let lost = a.lost(pings)
        let last = try #require(lost.last)
        #expect(last - cut < .seconds(5))
        mesh.underlay.repair(a.site.address!, b.site.address!)
        let back = try #require(mesh.clock.run(upTo: .seconds(60)) { mesh.isDirect(a, b) })
        #expect(back < .seconds(10))
        mesh.clock.run(for: .seconds(20))
        // Nothing more was lost on the way back.
        #expect(a.lost(pings).count == lost.count)
    }

    @Test func `who stops says so, and traffic goes through the hub at once`() throws {
        let (mesh, a, b) = mesh(.full, .full)
        b.start()
        _ = try #require(mesh.clock.run(upTo: .seconds(30)) { mesh.isDirect(a, b) })
        let pings = a.ping(b, each: .milliseconds(10))
        mesh.clock.run(for: .seconds(5))
        b.stop()
        mesh.clock.run(for: .seconds(20))
        #expect(a.lost(pings).count <= 3)
        guard case .throughHub = a.status()[b.key]?.way else {
            Issue.record("a still has a link")
            return
        }
    }

    @Test func `when one is killed, traffic goes through the hub within 10 s`() throws {
        let (mesh, a, b) = mesh(.full, .full)
        b.start()
        _ = try #require(mesh.clock.run(upTo: .seconds(30)) { mesh.isDirect(a, b) })
        let pings = a.ping(b, each: .milliseconds(10))
        mesh.clock.run(for: .seconds(5))
        let kill = mesh.clock.now
        b.kill()
        mesh.clock.run(for: .seconds(30))
        let last = try #require(a.lost(pings).last)
        #expect(last - kill < .seconds(10))
    }

    @Test(arguments: [(NATKind.full, NATKind.full), (.symmetric, .symmetric)], [true, false])
    func `when one of an idle pair is killed, what it sends through the hub is taken at once`(
        kinds: (NATKind, NATKind),
        isInitiator: Bool
    ) throws {
        let (mesh, a, b) = mesh(kinds.0, kinds.1)
        b.start()
        _ = try #require(mesh.clock.run(upTo: .seconds(30)) { mesh.isDirect(a, b) || mesh.isRelayed(a, b) })
        // Longer than an idle pair is looked after.
        mesh.clock.run(for: .seconds(1000))
        #expect(mesh.isDirect(a, b) || mesh.isRelayed(a, b))
        let (victim, other) = (a.key < b.key) == isInitiator ? (a, b) : (b, a)
        victim.kill(saysFarewell: true)
        mesh.clock.run(for: .milliseconds(100))
        let pings = victim.ping(other, each: .milliseconds(100))
        mesh.clock.run(for: .seconds(400))
        #expect(victim.lost(pings).isEmpty)
        guard case .throughHub = other.status()[victim.key]?.way else {
            Issue.record("the other has a link to nobody")
            return
        }
    }

    @Test(arguments: [true, false])
    func `who is started again at once has its link back`(isInitiator: Bool) throws {
        let (mesh, a, b) = mesh(.full, .full)
        b.start()
        _ = try #require(mesh.clock.run(upTo: .seconds(30)) { mesh.isDirect(a, b) })
        mesh.clock.run(for: .seconds(5))
        let machine = (a.key < b.key) == isInitiator ? a : b
        machine.kill()
        mesh.clock.run(for: .milliseconds(200))
        machine.start()
        let time = try #require(mesh.clock.run(upTo: .seconds(60)) { mesh.isDirect(a, b) })
        #expect(time < .seconds(3))
        mesh.clock.run(for: .seconds(1))
        let pings = a.ping(b, each: .milliseconds(10))
        mesh.clock.run(for: .seconds(5))
        pings.stop()
        mesh.clock.run(for: .seconds(2))
        #expect(a.lost(pings).isEmpty)
    }

    @Test func `when the hub dies, the direct link stays`() throws {
        let (mesh, a, b) = mesh(.portRestricted, .portRestricted)
        b.start()
        _ = try #require(mesh.clock.run(upTo: .seconds(30)) { mesh.isDirect(a, b) })
        mesh.clock.run(for: .seconds(1))
        let pings = a.ping(b, each: .milliseconds(50))
        mesh.hub.kill()
        mesh.underlay.cut(a.site.address!, IPv4Address("198.51.100.1")!)
        mesh.underlay.cut(b.site.address!, IPv4Address("198.51.100.1")!)
        mesh.clock.run(for: .seconds(900))
        #expect(mesh.isDirect(a, b))
        #expect(a.lost(pings).isEmpty)
    }

    @Test func `a laptop that changes its address is direct again`() throws {
        let (mesh, a, b) = mesh(.none, .portRestricted)
        b.start()
        _ = try #require(mesh.clock.run(upTo: .seconds(30)) { mesh.isDirect(a, b) })
        let pings = b.ping(a, each: .milliseconds(20))
        mesh.clock.run(for: .seconds(5))
        let moved = mesh.clock.now
        a.move(to: "203.0.113.77")
        mesh.clock.run(for: .seconds(60))
        #expect(mesh.isDirect(a, b))
        let last = b.lost(pings).last ?? moved
        #expect(last - moved < .seconds(6))
    }

    @Test(arguments: [100, 300])
    func `packets that are lost now and then cut no link`(lossPerMille: Int) throws {
        let (mesh, a, b) = mesh(.portRestricted, .portRestricted)
        b.start()
        _ = try #require(mesh.clock.run(upTo: .seconds(30)) { mesh.isDirect(a, b) })
        let pings = a.ping(b, each: .milliseconds(20))
        mesh.underlay.lossPerMille = lossPerMille
        for _ in 0..<60 {
            mesh.clock.run(for: .seconds(1))
            #expect(mesh.isDirect(a, b))
        }
        pings.stop()
    }

    @Test func `a step of the clock cuts nothing`() throws {
        let (mesh, a, b) = mesh(.portRestricted, .portRestricted)
        b.start()
        _ = try #require(mesh.clock.run(upTo: .seconds(30)) { mesh.isDirect(a, b) })
        mesh.clock.run(for: .seconds(1))
        let pings = a.ping(b, each: .milliseconds(50))
        for step: Int64 in [86_400, -200_000, 1_000_000_000] {
            mesh.clock.wallClockOffset += step
            mesh.clock.run(for: .seconds(300))
            #expect(mesh.isDirect(a, b))
        }
        #expect(a.lost(pings).isEmpty)
    }

    @Test func `a machine that never runs the program stays behind the hub, for hours`() {
        let (mesh, a, b) = mesh(.full, .full)
        let pings = a.ping(b, each: .seconds(1))
        mesh.clock.run(for: .seconds(4000))
        guard case .throughHub = a.status()[b.key]?.way else {
            Issue.record("a has a link to who has none")
            return
        }
        #expect(a.lost(pings).isEmpty)
    }

    /// Which changes are refused for a minute.
    enum Refused: CaseIterable {
        case peer, allowedIPs, removal

        func covers(_ change: PeerChange) -> Bool {
            switch (self, change) {
            case (.peer, .add), (.removal, .remove): true
            case (.allowedIPs, .update(let settings)): settings.allowedIPs.count > 0
            default: false
            }
        }
    }

    @Test(arguments: Refused.allCases, [true, false])
    func `while changes are refused traffic goes through the hub, and then there is a link`(
        refused: Refused,
        isAtA: Bool
    ) throws {
        let (mesh, a, b) = mesh(.full, .full)
        let one = isAtA ? a : b
        // What the operator's peers get is not refused: it is there already.
        mesh.clock.run(for: .seconds(1))
        b.start()
        mesh.clock.run(for: .milliseconds(20))
        one.refuses = { change in
            change.publicKey != mesh.hub.key && refused.covers(change)
        }
        let pings = a.ping(b, each: .milliseconds(100))
        mesh.clock.run(for: .seconds(60))
        let during = a.lost(pings).count
        #expect(during <= pings.sent.count / 5, "\(during) of \(pings.sent.count)")
        one.refuses = { _ in false }
        _ = try #require(mesh.clock.run(upTo: .seconds(180)) { mesh.isDirect(a, b) })
        mesh.clock.run(for: .seconds(5))
        let settled = a.lost(pings).count
        mesh.clock.run(for: .seconds(60))
        #expect(a.lost(pings).count == settled)
    }

    @Test func `who waits does not wake up all the time`() throws {
        let (mesh, a, b) = mesh(.portRestricted, .symmetric)
        b.start()
        mesh.clock.run(for: .seconds(30))
        let before = (mesh.hub.wakeups, a.wakeups, b.wakeups)
        mesh.clock.run(for: .seconds(60))
        for count in [mesh.hub.wakeups - before.0, a.wakeups - before.1, b.wakeups - before.2] { #expect(count < 600) }
        // The other one is there, and answers nothing.
        b.kill()
        let later = a.wakeups
        mesh.clock.run(for: .seconds(600))
        #expect(a.wakeups - later < 3000)
    }
}
