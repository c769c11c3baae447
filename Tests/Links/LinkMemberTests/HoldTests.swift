import LinkMember
import NetworkAddresses
import Testing
import Time
import VirtualNetwork
import WireGuardTypes

/// What is on its way between two machines while their allowed IPs move from the hub to the pair.
@Suite struct HoldTests {
    /// A hub and two machines. Only `b` has still to start.
    private func mesh(
        _ one: NATKind = .full,
        _ other: NATKind = .full,
        delay: Duration = .milliseconds(2)
    ) -> (VirtualMesh, VirtualMachine, VirtualMachine) {
        let mesh = VirtualMesh()
        let a = mesh.machine("a", one, delay: delay)
        let b = mesh.machine("b", other, delay: delay)
        mesh.hub.start()
        a.start()
        mesh.clock.run(for: .seconds(20))
        return (mesh, a, b)
    }

    /// Pings both ways while `b` starts, and returns how many are lost.
    private func lostAtStart(
        _ mesh: VirtualMesh,
        _ a: VirtualMachine,
        _ b: VirtualMachine
    ) -> (Int, Int) {
        let there = a.ping(b, each: .milliseconds(10))
        let back = b.ping(a, each: .milliseconds(10))
        mesh.clock.run(for: .seconds(1))
        b.start()
        mesh.clock.run(for: .seconds(10))
        for pings in [there, back] { pings.stop() }
        mesh.clock.run(for: .seconds(2))
        return (a.lost(there).count, b.lost(back).count)
    }

    @Test(arguments: [1, 5, 50, 120], [(NATKind.full, NATKind.full), (.portRestricted, .symmetric)])
    func `nothing is lost when traffic moves to a session of its own`(delay: Int, kinds: (NATKind, NATKind)) {
        for _ in 0..<2 {
            let (mesh, a, b) = mesh(kinds.0, kinds.1, delay: .milliseconds(delay))
            #expect(lostAtStart(mesh, a, b) == (0, 0))
            #expect(mesh.isDirect(a, b) || mesh.isRelayed(a, b))
            // One and a half round trips through the hub, and what the keepers take.
            let roundTrip = Duration.milliseconds(4 * (delay + 1))
            for time in a.holdTimes + b.holdTimes { #expect(time < roundTrip * 1.5 + .milliseconds(20)) }
            #expect(a.holdTimes.count == 1 && b.holdTimes.count == 1)
            #expect(a.heldPeers.isEmpty && b.heldPeers.isEmpty)
        }
    }

    @Test(arguments: [(true, false), (false, true), (false, false)])
    func `a machine that cannot hold moves as well`(holds: (Bool, Bool)) {
        let (mesh, a, b) = mesh(delay: .milliseconds(25))
        (a.holds, b.holds) = holds
        let lost = lostAtStart(mesh, a, b)
        #expect(mesh.isDirect(a, b))
        // A round trip, and what the sides do not do at one time.
        #expect(lost.0 <= 25 && lost.1 <= 25, "\(lost)")
        #expect(a.member?.status(at: mesh.clock.now).noHold != nil || holds.0)
        #expect(b.member?.status(at: mesh.clock.now).noHold != nil || holds.1)
        for machine in [a, b] { #expect(machine.holdTimes.count == (machine.holds ? 1 : 0)) }
    }

    /// Runs until a machine holds packets, and some time on.
    private func runIntoHold(_ mesh: VirtualMesh, _ machine: VirtualMachine, _ time: Duration) throws {
        _ = try #require(mesh.clock.run(upTo: .seconds(30)) { !machine.heldPeers.isEmpty })
        mesh.clock.run(for: time)
    }

    @Test(arguments: [0, 60, 130, 260])
    func `if one is killed meanwhile, the other holds no longer than a second, and traffic goes on`(after: Int) throws {
        for isInitiator in [true, false] {
            let (mesh, a, b) = mesh(delay: .milliseconds(50))
            let victim = (a.key < b.key) == isInitiator ? a : b
            let witness = victim === a ? b : a
            let pings = witness.ping(victim, each: .milliseconds(10))
            b.start()
            try runIntoHold(mesh, witness, .milliseconds(after))
            victim.kill()
            let kill = mesh.clock.now
            mesh.clock.run(for: .seconds(14))
            #expect(witness.holdTimes.allSatisfy { $0 <= .seconds(1) } && witness.heldPeers.isEmpty)
            let last = witness.lost(pings).last ?? kill
            #expect(last - kill < .seconds(10))
            #expect(mesh.clock.now - last > .seconds(3))
        }
    }

    @Test func `if the device refuses the move, what is held leaves at once, and goes through the hub`() throws {
        for isInitiator in [true, false] {
            let (mesh, a, b) = mesh(delay: .milliseconds(5))
            let machine = (a.key < b.key) == isInitiator ? a : b
            var isRefusing = true
            machine.refuses = { change in
                guard isRefusing, case .update(let settings) = change else { return false }
                return !settings.allowedIPs.isEmpty
            }
            let pings = a.ping(b, each: .milliseconds(10))
            b.start()
            mesh.clock.run(for: .seconds(20))
            #expect(a.heldPeers.isEmpty && b.heldPeers.isEmpty)
            for time in a.holdTimes + b.holdTimes { #expect(time <= .seconds(1)) }
            guard case .throughHub = a.status()[b.key]?.way else {
                Issue.record("there is a link")
                return
            }
            isRefusing = false
            _ = try #require(mesh.clock.run(upTo: .seconds(120)) { mesh.isDirect(a, b) })
            mesh.clock.run(for: .seconds(2))
            let before = a.lost(pings).count
            mesh.clock.run(for: .seconds(10))
            #expect(a.lost(pings).count == before)
        }
    }

    @Test(arguments: [50, 200, 400])
    func `words that are lost are said again`(lossPerMille: Int) throws {
        for _ in 0..<2 {
            let (mesh, a, b) = mesh(delay: .milliseconds(10))
            b.start()
            mesh.underlay.lossPerMille = lossPerMille
            _ = mesh.clock.run(upTo: .seconds(60)) { mesh.isDirect(a, b) }
            mesh.underlay.lossPerMille = 0
            _ = try #require(mesh.clock.run(upTo: .seconds(120)) { mesh.isDirect(a, b) })
            mesh.clock.run(for: .seconds(3))
            for time in a.holdTimes + b.holdTimes { #expect(time <= .seconds(1)) }
            let pings = a.ping(b, each: .milliseconds(10))
            mesh.clock.run(for: .seconds(5))
            pings.stop()
            mesh.clock.run(for: .seconds(2))
            #expect(a.lost(pings).isEmpty && a.heldPeers.isEmpty && b.heldPeers.isEmpty)
        }
    }

    @Test(arguments: [100, 250, 700, 1500])
    func `a slow keeper costs time, and no packet is held for more than its second`(delay: Int) throws {
        let (mesh, a, b) = mesh(delay: .milliseconds(5))
        for machine in [a, b] { machine.changeDelay = .milliseconds(delay) }
        b.start()
        _ = try #require(mesh.clock.run(upTo: .seconds(120)) { mesh.isDirect(a, b) })
        mesh.clock.run(for: .seconds(10))
        for time in a.holdTimes + b.holdTimes { #expect(time <= .seconds(1)) }
        let pings = a.ping(b, each: .milliseconds(10))
        mesh.clock.run(for: .seconds(5))
        pings.stop()
        mesh.clock.run(for: .seconds(2))
        #expect(a.lost(pings).isEmpty && a.heldPeers.isEmpty && b.heldPeers.isEmpty)
    }
}
