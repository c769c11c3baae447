import Keys
import LinkMessages
import PathProbe
import Testing
import Time
import VirtualNetwork
import WireGuardTypes

@testable import LinkMember

@Suite struct AgendaTests {
    @Test func `who is due comes once, in order, and at the last time that was set`() {
        var agenda = Agenda()
        for number in [5, 3, 9, 1] { agenda.set(key(number), at: MonotonicTime(sinceStart: .seconds(number))) }
        agenda.set(key(9), at: 2)
        agenda.set(key(1), at: 20)
        agenda.remove(key(3))
        #expect(agenda.next() == 2)
        #expect(agenda.take(at: 1).isEmpty)
        #expect(agenda.take(at: 10) == [key(9), key(5)])
        #expect(agenda.take(at: 10).isEmpty)
        #expect(agenda.next() == 20)
    }

    @Test func `times that are set again and again are not kept`() {
        var agenda = Agenda()
        for number in 0..<10_000 { agenda.set(key(number % 3), at: MonotonicTime(sinceStart: .seconds(number))) }
        #expect(agenda.length <= 2 * 3 + 64)
        #expect(agenda.take(at: 9_999).count == 3)
    }
}

@Suite struct DepartureTests {
    @Test func `what a hub keeps of a member goes with its peer`() {
        let mesh = VirtualMesh()
        let (a, b) = (mesh.machine("a", .symmetric), mesh.machine("b", .symmetric))
        for machine in [mesh.hub, a, b] { machine.start() }
        _ = mesh.clock.run(upTo: .seconds(30)) { mesh.isRelayed(a, b) }
        #expect(mesh.isRelayed(a, b))
        #expect(mesh.hub.member?.own?.switchboard.members == [a.key, b.key])
        mesh.hub.wireGuard.apply([.remove(b.key)])
        mesh.clock.run(for: .seconds(10))
        #expect(mesh.hub.member?.own?.switchboard.members == [a.key])
        #expect(mesh.hub.relayPortCount == 1)
        // Nobody says any more that b is a member.
        mesh.clock.run(for: .seconds(500))
        #expect(a.member?.own?.pairs.isEmpty == true)
        #expect(a.member?.own?.busy.isEmpty == true)
    }

    @Test func `a member that is not connected for 10 min has its port no more`() {
        var board = Switchboard()
        #expect(board.want(key(1), by: key(2), at: 0) == .opens)
        #expect(board.absent(of: [key(1)], at: 10).isEmpty)
        #expect(board.absent(of: [key(1)], at: 609).isEmpty)
        #expect(board.absent(of: [key(1)], at: 610) == [key(1)])
        #expect(board.absent(of: [], at: 611).isEmpty)
        #expect(board.absent(of: [key(1)], at: 612).isEmpty)
        #expect(board.remove(key(2)) == (false, [key(1)]))
        #expect(board.remove(key(1)) == (true, []))
        #expect(board.members.isEmpty)
    }

    @Test func `secrets of members that have gone are forgotten, and no number is used twice`() throws {
        let a = VirtualMesh().machine("a", .none)
        a.start()
        var member = try #require(a.member)
        var own = try #require(member.own)
        let limit = LinkMember.maximumDeparted
        let secret = try PrivateKey().sharedSecret(with: PrivateKey().publicKey)
        for number in 0...limit {
            own.askedSecrets.insert(key(number))
            own.note(secret, of: key(number), boot: 1)
            for _ in 0..<3 { _ = own.sealers[key(number)]?.seal(.switching(.back), using: &member.random) }
            let now = MonotonicTime(sinceStart: .seconds(2_000 + 60 * number))
            member.sweep(&own, at: now)
        }
        #expect(own.departed.count == limit)
        #expect(own.sealers[key(0)] == nil && own.sealers[key(1)] != nil)
        #expect(own.table.members.count == limit)
        #expect(own.addresses.count == limit)
        own.note(secret, of: key(0), boot: 1)
        #expect(own.sealers[key(0)]?.counter == 3)
    }
}
