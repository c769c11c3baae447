import LinkFacts
import LinkMessages
import NetworkAddresses
import SourceLimits
import Surroundings
import Testing
import Time
import VirtualNetwork
import WireGuardTypes

@testable import LinkMember

/// Many machines of ours with one hub.
@Suite struct ScaleTests {
    private func mesh(_ count: Int) -> VirtualMesh {
        let mesh = VirtualMesh()
        for number in 0..<count { _ = mesh.machine("m\(number)", .none) }
        mesh.hub.start()
        for machine in mesh.machines { machine.start() }
        return mesh
    }

    private func bytes(_ mesh: VirtualMesh) -> Int { mesh.machines.map(\.sentBytes).reduce(0, +) }
    private func wakeups(_ mesh: VirtualMesh) -> Int { mesh.machines.map(\.wakeups).reduce(0, +) }

    @Test(arguments: Extent.isLong ? [10, 30, 100] : [10, 20])
    func `what an idle mesh costs each machine`(count: Int) throws {
        let mesh = mesh(count)
        let start = ContinuousClock.now
        let time = mesh.clock.run(upTo: .seconds(600)) {
            // Not each time, for it takes long.
            mesh.machines[0].wakeups % 16 == 0
                && mesh.machines.allSatisfy { one in
                    one.status().values.count { if case .direct = $0.way { true } else { false } } == count - 1
                }
        }
        let meshed = try #require(time)
        print("figure: \(count) machines have all links after \(meshed), \(ContinuousClock.now - start) of the test")
        // So long a link is looked after.
        mesh.clock.run(for: FailureWatch.remembered + .seconds(60))
        let (before, wokenBefore) = (bytes(mesh), wakeups(mesh))
        mesh.clock.run(for: .seconds(300))
        let cost = (bytes(mesh) - before) / count / 5
        let woken = (wakeups(mesh) - wokenBefore) / count / 5
        print("figure: \(count) machines: \(cost) bytes a minute and machine, woken \(woken) times")
        #expect(cost < 1_000 + 1_000 * count)
    }

    @Test func `a newcomer says no more than its hub forwards`() throws {
        let mesh = VirtualMesh()
        // Calls to 250 are more than a hub forwards at once, with what belongs to the sessions. The others have no
        // traffic, and wake when they are called.
        let count = Extent.isLong ? 250 : 40
        for number in 0..<count { mesh.machine("m\(number)", .none).settings.linksOnDemand = true }
        for machine in [mesh.hub] + mesh.machines { machine.start() }
        mesh.clock.run(for: .seconds(30))
        let newcomer = mesh.machine("newcomer", .none)
        newcomer.start()
        let time = mesh.clock.run(upTo: .seconds(60)) {
            var board = mesh.hub.member?.own?.switchboard
            let isForwarded = board?.forwards(for: newcomer.key, at: mesh.clock.now)
            #expect(isForwarded == true)
            return newcomer.member?.own?.pairs.values.count { $0.kind == .ours && $0.callCount > 0 } == count
        }
        print("figure: a newcomer has called \(count) others after \(try #require(time))")
        mesh.clock.run(for: .seconds(10))
        #expect(newcomer.status().values.count { if case .direct = $0.way { true } else { false } } == count)
    }

    @Test func `who has traffic is called first, and then those that have waited longest`() {
        var turns = Turns()
        let now = MonotonicTime(sinceStart: .seconds(1000))
        #expect(turns.mayCall(at: now) && turns.nextDeadline(at: now) == nil)
        turns.note(Turns.burst - 1, at: now)
        #expect(turns.mayCall(at: now))
        turns.note(1, at: now)
        #expect(!turns.mayCall(at: now))
        for number in [5, 3, 5] { turns.wait(key(number), isUrgent: false) }
        turns.wait(key(9), isUrgent: true)
        func take(after intervals: Int) -> [PublicKey] { turns.take(at: now + Turns.interval * intervals) }
        #expect(take(after: 0) == [] && turns.nextDeadline(at: now) == now + Turns.interval)
        #expect(take(after: 2) == [key(9), key(5)])
        turns.note(2, at: now + Turns.interval * 2)
        #expect(turns.nextDeadline(at: now + Turns.interval * 2) == now + Turns.interval * 3)
        // What had to be said at once is owed.
        turns.note(10, at: now + Turns.interval * 3)
        #expect(take(after: 12) == [])
        #expect(take(after: 13) == [key(3)])
        #expect(turns.nextDeadline(at: now + Turns.interval * 13) == nil)
        // All of it stays below what a hub forwards.
        #expect(Turns.burst < Switchboard.forwardLimit.burst && Turns.interval > Switchboard.forwardLimit.interval)
    }

    @Test func `a datagram concerns the pair that it is of, however many there are`() throws {
        var times: [Duration] = []
        for count in [10, 1_000] {
            let mesh = VirtualMesh()
            let a = mesh.machine("a", .none)
            let c = mesh.machine("c", .none)
            for machine in [mesh.hub, a, c] { machine.start() }
            _ = try #require(mesh.clock.run(upTo: .seconds(30)) { mesh.isDirect(a, c) })
            var member = try #require(a.seize())
            var other = try #require(c.seize()?.own?.sealers[a.key])
            let now = mesh.clock.now + .seconds(1)
            for number in 1...count {
                member.own?.pairs[key(number)] = Pair(own: a.key, other: key(number), at: now)
                member.own?.touched.insert(key(number))
            }
            _ = member.work(at: now)
            var dice = Dice(seed: 1)
            let datagrams = (0..<200).map { other.seal(.echo(UInt64($0), isAnswer: true), using: &dice) }
            let start = ContinuousClock.now
            for bytes in datagrams {
                member.take(.datagram(bytes, from: c.key.memberAddress, port: 7), at: now + .milliseconds(1))
                #expect(member.own?.touched == [c.key])
                _ = member.work(at: now + .milliseconds(1))
            }
            times.append((ContinuousClock.now - start) / 200)
        }
        print("figure: a datagram costs \(times[0]) with 10 pairs, \(times[1]) with 1,000")
    }
}

/// Links on demand.
@Suite struct DemandTests {
    private func mesh(_ count: Int, idleTime: Duration = .seconds(60)) -> VirtualMesh {
        let mesh = VirtualMesh()
        for number in 0..<count { _ = mesh.machine("m\(number)", .none) }
        mesh.hub.start()
        for machine in mesh.machines {
            machine.settings.linksOnDemand = true
            machine.settings.idleTime = idleTime
            machine.start()
        }
        return mesh
    }

    @Test func `two have a link while they talk, and go back to the hub without a loss`() throws {
        let mesh = mesh(Extent.isLong ? 100 : 6)
        let (a, b) = (mesh.machines[0], mesh.machines[1])
        mesh.clock.run(for: .seconds(120))
        #expect(mesh.machines.allSatisfy { $0.member?.own?.busy.isEmpty == true && $0.probes.isEmpty })
        let pings = a.ping(b, each: .milliseconds(100))
        let time = try #require(mesh.clock.run(upTo: .seconds(30)) { mesh.isDirect(a, b) })
        print("figure: a link on demand after \(time) of 10 packets a second")
        #expect(time < .seconds(5))
        mesh.clock.run(for: .seconds(300))
        #expect(mesh.isDirect(a, b))
        pings.stop()
        let gone = try #require(mesh.clock.run(upTo: .seconds(300)) { !mesh.isDirect(a, b) && !mesh.isDirect(b, a) })
        #expect(gone > .seconds(50) && gone < .seconds(150))
        mesh.clock.run(for: .seconds(30))
        let probes = [a, b].map { $0.probes.values.reduce(0, +) }
        let sent = a.wireGuard.state.count
        #expect(sent == 1)
        mesh.clock.run(for: .seconds(600))
        #expect([a, b].map { $0.probes.values.reduce(0, +) } == probes)
        #expect(!mesh.isDirect(a, b))
        #expect(a.lost(pings).count <= 3)
        // The others had nothing to do with it.
        #expect(mesh.machines.dropFirst(2).allSatisfy { $0.probes.isEmpty })
    }

    @Test func `what WireGuard and the program send by themselves is no traffic`() {
        var peer = Peer(publicKey: key(1), allowedIPs: [])
        var meter = TrafficMeter(peer, at: 1000)
        func read(_ sent: UInt64, at seconds: Int) {
            peer.sentBytes += sent
            meter.note(peer, at: MonotonicTime(sinceStart: .seconds(seconds)))
        }
        // 64 bytes a second, and 1,024 more.
        for second in 1001...2000 { read(64, at: second) }
        #expect(meter.lastTraffic == nil)
        read(1_024, at: 2017)
        #expect(meter.lastTraffic == nil)
        read(1, at: 2017)
        #expect(meter.lastTraffic == 2017)
        peer.sentBytes = 0
        read(0, at: 2042)
        read(.max, at: 2043)
        #expect(meter.lastTraffic == 2043)
    }

    @Test func `an address is of the member that may send from it`() {
        var owners = AddressOwners()
        owners.set([prefix("10.0.0.1/32"), prefix("10.1.0.0/16")], of: key(1))
        owners.set([prefix("10.1.2.3/32")], of: key(2))
        func owner(_ text: String) -> PublicKey? { owners[endpoint("\(text):1").source] }
        #expect(owner("10.0.0.1") == key(1) && owner("10.1.2.3") == key(2) && owner("10.1.2.4") == key(1))
        #expect(owner("10.2.0.1") == nil)
        owners.set([], of: key(1))
        #expect(owner("10.0.0.1") == nil && owner("10.1.2.4") == nil && owner("10.1.2.3") == key(2))
    }
}
