import Keys
import LinkFacts
import NetworkAddresses
import PathProbe
import Testing
import Time
import VirtualNetwork
import WireGuardTypes

@testable import LinkMember

/// A member with a valid key, which was taken over, against two that have a link.
@Suite struct HostileTests {
    private struct Scene {
        let mesh = VirtualMesh()
        let a, b: VirtualMachine
        /// Places that are somebody's.
        var known: Set<IPv6Address> {
            Set(
                ([mesh.hub] + mesh.machines).flatMap { machine in
                    [machine.endpoint.source] + (machine.site.address.map { [IPv6Address(mapping: $0)] } ?? [])
                }
            )
        }

        init(_ one: NATKind, _ other: NATKind) {
            (a, b) = (mesh.machine("a", one), mesh.machine("b", other))
            mesh.hub.start()
            a.start()
            b.start()
        }

        func hostile(_ number: Int) -> VirtualMachine {
            let machine = mesh.machine("c\(number)", .none)
            machine.start()
            return machine
        }

        func isLinked() -> Bool { mesh.isDirect(a, b) || mesh.isRelayed(a, b) }

        /// Probes of a machine to places that are nobody's.
        func strays(_ machine: VirtualMachine, _ hostiles: [Hostile]) -> [Endpoint: Int] {
            var strays = machine.probes.filter { !known.contains($0.key.source) }
            // Who sends a probe from there is answered there, with no more bytes.
            for source in hostiles.flatMap(\.forgedSources) { strays[source]? -= 1 }
            return strays
        }
    }

    static let stormTime = Duration.seconds(10)

    @Test(arguments: [(NATKind.portRestricted, NATKind.full), (.symmetric, .symmetric)])
    func `a member that was taken over disturbs no link of others`(one: NATKind, other: NATKind) throws {
        let scene = Scene(one, other)
        let mesh = scene.mesh
        let c = scene.hostile(1)
        let newcomer = mesh.machine("d", .full)
        _ = try #require(mesh.clock.run(upTo: .seconds(60)) { scene.isLinked() && mesh.isDirect(scene.a, c) })
        mesh.clock.run(for: .seconds(30))
        let wasDirect = mesh.isDirect(scene.a, scene.b)
        let pings = scene.a.ping(scene.b, each: .milliseconds(10))
        mesh.clock.run(for: .seconds(5))
        let hostile = try #require(Hostile(c, in: mesh))
        let notices = [mesh.hub, scene.a, scene.b].map(\.notices.count)
        // 1,000 events a second, some of several datagrams.
        hostile.storm(each: .milliseconds(1), against: [mesh.hub, scene.a])
        mesh.clock.run(for: Self.stormTime)
        #expect(wasDirect == mesh.isDirect(scene.a, scene.b) && scene.isLinked())
        newcomer.start()
        let time = mesh.clock.run(upTo: .seconds(30)) { mesh.isDirect(scene.b, newcomer) && scene.isLinked() }
        #expect(try #require(time) < .seconds(3))
        mesh.clock.run(for: .seconds(5))
        hostile.stop()
        pings.stop()
        mesh.clock.run(for: .seconds(5))
        #expect(scene.a.lost(pings).count == 0)
        for (machine, before) in zip([mesh.hub, scene.a, scene.b], notices) {
            try expectBounds(machine, scene, [hostile])
            let lines = machine.notices.count - before
            print("figure: lines of \(machine.name) in \(hostile.count) hostile events: \(lines)")
            #expect(lines < 100)
        }
    }

    private func expectBounds(_ machine: VirtualMachine, _ scene: Scene, _ hostiles: [Hostile]) throws {
        let own = try #require(machine.member?.own)
        let count = scene.mesh.machines.count
        #expect(own.pairs.count <= count)
        #expect(own.sealers.count <= count + 1)
        #expect(own.addresses.count <= count + 1)
        #expect(own.arrivals.count <= count + 1)
        #expect(own.relayProbes.count <= 200)
        #expect(own.agenda.length <= 2 * count + 64)
        #expect(own.switchboard.members.count <= count)
        for pair in own.pairs.values {
            #expect(pair.prober.paths.count <= PathProber.maximumCandidates)
            #expect(pair.called.count <= 32)
        }
        // Nobody believes a leaf about machines that are no peers.
        #expect(own.exchange.members.count <= count + 1)
        // Nobody has packets held for long, or again and again.
        #expect(machine.holdTimes.allSatisfy { $0 <= .seconds(1) } && machine.holdTimes.count <= 8 * count)
        let strays = scene.strays(machine, hostiles)
        let all = strays.values.reduce(0, +)
        let most = strays.values.max() ?? 0
        print("figure: probes of \(machine.name) to places that never answered: \(all), to one: \(most)")
        // Of one place 16 at once and 6 a minute, in 60 s.
        #expect(strays.values.allSatisfy { $0 <= 22 })
        // Of one pair 128 at once and 2 a second, in 60 s at most.
        #expect(all <= 128 + 2 * 60)
    }

    @Test func `a request of an earlier start moves no end of the relay of a hub that was started anew`() throws {
        let scene = Scene(.symmetric, .symmetric)
        let (mesh, a, b) = (scene.mesh, scene.a, scene.b)
        _ = try #require(mesh.clock.run(upTo: .seconds(60)) { mesh.isRelayed(a, b) })
        mesh.hub.kill()
        mesh.hub.start()
        // The relay of the hub is another one now, and the two have to find it.
        mesh.clock.run(for: .seconds(120))
        #expect(mesh.isRelayed(a, b))
        let door = try #require(a.member?.own?.pairs[b.key]?.relay.endpoint)
        // What somebody could have recorded: made with the keys of the two, by another start.
        var table = ProbeTable(own: a.key, boot: 4711)
        let secret = try a.privateKey.sharedSecret(with: mesh.hub.key)
        _ = table.add(mesh.hub.key, secret: secret)
        let pings = a.ping(b, each: .milliseconds(100))
        mesh.clock.run(for: .seconds(2))
        for _ in 0..<3 {
            let made = table.request(to: mesh.hub.key, at: nil, now: mesh.clock.now)
            let request = try #require(made)
            mesh.underlay.sendForged(request.datagram, from: Hostile.victim, to: door)
            mesh.clock.run(for: .seconds(30))
        }
        #expect(mesh.isRelayed(a, b))
        #expect(a.lost(pings).isEmpty)
    }

    @Test func `many members that were taken over name one place, which gets a few packets a minute`() throws {
        let scene = Scene(.full, .full)
        let mesh = scene.mesh
        let machines = (0..<8).map { scene.hostile($0) }
        let newcomer = mesh.machine("d", .full)
        _ = try #require(
            mesh.clock.run(upTo: .seconds(60)) {
                scene.isLinked() && machines.allSatisfy { mesh.isDirect(scene.a, $0) }
            }
        )
        mesh.clock.run(for: .seconds(10))
        let pings = scene.a.ping(scene.b, each: .milliseconds(20))
        let hostiles = machines.compactMap { Hostile($0, in: mesh) }
        for hostile in hostiles {
            let kinds = [Hostile.Kind.calls, .victims, .spoofed, .forwarded]
            hostile.storm(each: .milliseconds(100), against: [mesh.hub, scene.a], kinds)
        }
        mesh.clock.run(for: .seconds(60))
        newcomer.start()
        let time = mesh.clock.run(upTo: .seconds(30)) { mesh.isDirect(scene.a, newcomer) }
        #expect(try #require(time) < .seconds(3))
        for hostile in hostiles { hostile.stop() }
        pings.stop()
        mesh.clock.run(for: .seconds(5))
        #expect(scene.a.lost(pings).count == 0)
        let strays = scene.strays(scene.a, hostiles)
        print("figure: probes to the place that 8 members named in 60 s: \(strays[Hostile.victim] ?? 0)")
        let ofVictim = strays[Hostile.victim] ?? 0
        #expect(ofVictim > 0 && ofVictim <= 23)
        let all: Int = strays.values.reduce(0, +)
        #expect(all <= 8 * (128 + 140))
    }
}
