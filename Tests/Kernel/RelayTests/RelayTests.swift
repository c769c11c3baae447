import EventLoop
import Keys
import NetworkAddresses
import PathProbe
@testable import Relay
import SourceLimits
import SystemCalls
import SystemPackage
import Testing
import Time
import WireGuardTypes

/// Two members, each with a port, that the relay has heard both.
private struct Scene: ~Copyable {
    var hub: Hub
    var a: Member
    var b: Member
    let portOfA: UInt16
    let portOfB: UInt16

    init(limits: RelayLimits = .standard, host: String = "127.0.0.1") throws {
        var hub = try Hub(limits: limits)
        let a = try Member(1, host: host)
        let b = try Member(2, host: host)
        let ports = (try hub.take(a), try hub.take(b))
        (portOfA, portOfB) = ports
        self.hub = hub
        self.a = a
        self.b = b
    }

    mutating func meet() throws {
        try a.probe(portOfB)
        try b.probe(portOfA)
        try hub.serve()
        #expect(try a.receive().count == 1)
        #expect(try b.receive().count == 1)
    }
}

private func limits(
    ports: Int = 10,
    pairs: Int = 10,
    packets: UInt64 = 1000,
    bytes: UInt64 = 1_000_000
) -> RelayLimits {
    RelayLimits(
        ports: ports,
        pairs: pairs,
        packets: TokenBucket.Size(burst: packets, interval: .seconds(1)),
        bytes: TokenBucket.Size(burst: bytes, interval: .seconds(1))
    )
}

@Suite struct `A relay` {
    @Test(arguments: ["127.0.0.1", "[::1]"])
    func `forwards both ways, as it came, each from the port of the other`(host: String) throws {
        // A fast machine sends more in a second than a pair may.
        var scene = try Scene(limits: limits(packets: 1_000_000, bytes: 1_000_000_000), host: host)
        try scene.meet()
        var (toA, toB) = (0, 0)
        for round in 0..<100 {
            for number in 0..<100 {
                // Of all lengths that WireGuard sends, and empty.
                let head = [4, UInt8(round), UInt8(number)]
                let packet = head + [UInt8](repeating: UInt8(round), count: (round * 100 + number) % 1450)
                try scene.a.send(packet, to: scene.portOfB)
                try scene.b.send(packet, to: scene.portOfA)
            }
            try scene.hub.serve()
            let (atA, atB) = (try scene.a.receive(), try scene.b.receive())
            toA += atA.count
            toB += atB.count
            #expect(atA.allSatisfy { $0.from == scene.portOfB } && atB.allSatisfy { $0.from == scene.portOfA })
            #expect(atA.map(\.bytes) == atB.map(\.bytes) && atA.last?.bytes.prefix(3) == [4, UInt8(round), 99])
        }
        #expect(toA == 10_000 && toB == 10_000)
        #expect(scene.hub.relay.counts.forwardedPackets == 20_000 && scene.hub.relay.counts.lost == 0)
        try scene.a.send([], to: scene.portOfB)
        try scene.hub.serve()
        #expect(try scene.b.receive().map(\.bytes) == [[]])
    }

    @Test func `answers probes from the port that they came to, and tells their place`() throws {
        var scene = try Scene()
        try scene.a.probe(scene.portOfB)
        try scene.hub.serve()
        let answer = try #require(try scene.a.receive().first)
        #expect(answer.from == scene.portOfB)
        let from = try #require(Endpoint("127.0.0.1:\(scene.portOfB)"))
        let event = try scene.a.probes.read(answer.bytes.span, from: from, at: .now)
        #expect(event == .answer(from: Hub.key, counter: 1, observed: try scene.a.place))
        // Nobody is on the other side yet, and who asks at his own port is on none.
        try scene.a.probe(scene.portOfA)
        try scene.a.send([4], to: scene.portOfB)
        try scene.hub.serve()
        #expect(scene.hub.relay.pairCount == 1 && scene.hub.relay.counts.strangers == 1)
    }

    @Test func `sends from the address that a member has found it at`() throws {
        var scene = try Scene()
        try scene.a.probe(scene.portOfB, at: "127.0.0.5")
        try scene.b.probe(scene.portOfA, at: "127.0.0.6")
        try scene.hub.serve()
        try scene.a.send([4], to: scene.portOfB, at: "127.0.0.5")
        try scene.b.send([4], to: scene.portOfA, at: "127.0.0.6")
        try scene.hub.serve()
        let (placeOfA, placeOfB) = (Endpoint("127.0.0.5:\(scene.portOfB)"), Endpoint("127.0.0.6:\(scene.portOfA)"))
        #expect(try scene.a.receiveWithPlaces().map(\.from) == [placeOfA, placeOfA])
        #expect(try scene.b.receiveWithPlaces().map(\.from) == [placeOfB, placeOfB])
    }

    @Test func `moves nothing for strangers, and answers them nothing`() throws {
        var scene = try Scene()
        try scene.meet()
        var stranger = try Member(3)
        let forged = [UInt8](repeating: 0x6b, count: 92)
        let magic: [UInt8] = [0x6b, 0x78, 0x70, 0x31]
        for round in 0..<100 {
            for _ in 0..<50 { try stranger.send([4] + forged, to: scene.portOfB) }
            for _ in 0..<25 { try stranger.send(magic + forged.dropFirst(4), to: scene.portOfA) }
            for _ in 0..<25 { try stranger.probe(scene.portOfA) }
            try scene.hub.serve()
            if round == 50 { try scene.a.send([4, 4], to: scene.portOfB) }
        }
        #expect(try stranger.receive().isEmpty && scene.a.receive().isEmpty)
        #expect(try scene.b.receive().map(\.bytes) == [[4, 4]])
        #expect(scene.hub.relay.counts.strangers == 10_000 && scene.hub.relay.pairCount == 1)
    }

    @Test func `follows one who roams and proves it, and nobody who only says so`() throws {
        var scene = try Scene()
        try scene.meet()
        let old = try scene.a.place
        try scene.a.roam()
        try scene.a.send([4, 1], to: scene.portOfB)
        try scene.hub.serve()
        #expect(try scene.b.receive().isEmpty)
        try scene.a.probe(scene.portOfB)
        try scene.hub.serve()
        #expect(try scene.a.receive().count == 1 && scene.a.place != old)
        try scene.a.send([4, 2], to: scene.portOfB)
        try scene.b.send([4, 3], to: scene.portOfA)
        try scene.hub.serve()
        #expect(try scene.b.receive().map(\.bytes) == [[4, 2]])
        #expect(try scene.a.receive().map(\.bytes) == [[4, 3]])
    }

    @Test func `takes a probe once, so nobody else gets a place with it`() throws {
        var scene = try Scene()
        try scene.meet()
        let request = scene.a.probes.request(to: Hub.key, at: nil, now: .now)!.datagram
        try scene.a.send(request, to: scene.portOfB)
        try scene.hub.serve()
        #expect(try scene.a.receive().count == 1)
        var thief = try Member(3)
        try thief.send(request, to: scene.portOfB)
        try scene.hub.serve()
        try scene.b.send([4], to: scene.portOfA)
        try scene.hub.serve()
        #expect(try thief.receive().isEmpty)
        #expect(try scene.a.receive().map(\.bytes) == [[4]])
    }

    @Test func `knows nobody any more at the place that he has left`() {
        var pairs = RelayPairs()
        func place(_ port: UInt16) -> RelayAddress { RelayAddress(address: IPv6Address("::1")!, port: port, scope: 0) }
        for port in [7, 7, 8] as [UInt16] {
            pairs.learn(key(1), at: place(port), local: nil, key(2), 1, .standard, .now)
        }
        #expect(pairs.route(from: place(7), at: 1) == nil && pairs.route(from: place(8), at: 1) != nil)
    }

    @Test func `gives a place to the pair that proved it last`() {
        // Behind one NAT a member may get the port that another had.
        let (a, b, c) = (key(1), key(2), key(3))
        var pairs = RelayPairs()
        let place = RelayAddress(address: IPv6Address("::1")!, port: 7, scope: 0)
        func learn(_ sender: PublicKey, _ owner: PublicKey, _ slot: Int) {
            pairs.learn(sender, at: place, local: nil, owner, slot, .standard, .now)
        }
        let slots = [a: 0, b: 1, c: 2]
        learn(a, b, 1)
        learn(b, a, 0)
        learn(c, b, 1)
        #expect(pairs.way(pairs.route(from: place, at: 0)!, slots: slots) == nil, "A is nowhere")
        learn(b, c, 2)
        #expect(pairs.way(pairs.route(from: place, at: 1)!, slots: slots)?.slot == 2)
    }
}

@Suite struct `What a relay does at most` {
    @Test func `packets of a pair are counted, both ways together`() throws {
        var scene = try Scene(limits: limits(packets: 10))
        try scene.meet()
        let now = MonotonicTime.now
        for _ in 0..<6 {
            try scene.a.send([4], to: scene.portOfB)
            try scene.b.send([4], to: scene.portOfA)
        }
        try scene.hub.serve(at: now)
        #expect(try scene.a.receive().count + scene.b.receive().count == 10)
        #expect(scene.hub.relay.counts.limited == 2)
        try scene.a.send([4], to: scene.portOfB)
        try scene.a.send([4], to: scene.portOfB)
        try scene.hub.serve(at: now + .seconds(1))
        #expect(try scene.b.receive().count == 1)
    }

    @Test func `and so are their bytes`() throws {
        var scene = try Scene(limits: limits(bytes: 1000))
        try scene.meet()
        let now = MonotonicTime.now
        for count in [600, 401, 400] { try scene.a.send([UInt8](repeating: 4, count: count), to: scene.portOfB) }
        try scene.hub.serve(at: now)
        #expect(try scene.b.receive().map(\.bytes.count) == [600, 400])
    }

    @Test func `a packet of 2,048 bytes goes, and a longer one is lost`() throws {
        var scene = try Scene()
        try scene.meet()
        for count in [2049, 2048] { try scene.a.send([UInt8](repeating: 4, count: count), to: scene.portOfB) }
        try scene.hub.serve()
        #expect(try scene.b.receive().map(\.bytes.count) == [2048])
        #expect(scene.hub.relay.counts.lost == 1)
    }

    @Test func `as many members have a port as the limit says`() throws {
        var hub = try Hub(limits: limits(ports: 2))
        func open(_ number: UInt8) throws -> UInt16? { try hub.open(number) }
        let first = try #require(try open(1))
        #expect(try open(2) != nil)
        #expect(try open(3) == nil)
        #expect(try open(1) == first && hub.relay.port(of: key(1)) == first)
        hub.relay.close(key(1))
        hub.relay.close(key(1))
        #expect(hub.relay.port(of: key(1)) == nil && hub.relay.portCount == 1)
        #expect(try open(3) != nil)
        #expect(hub.relay.owns(Hub.token) && hub.relay.owns(Hub.token + 1))
        #expect(!hub.relay.owns(Hub.token + 2) && !hub.relay.owns(Hub.token - 1))
        hub.serve(token: Hub.token + 9)
    }

    @Test func `ports are of the range, and those that somebody has are left out`() throws {
        let taken = try Socket.datagrams(at: Endpoint("[::]:0")!)
        let port = try #require(Socket.localAddress(of: taken.raw).endpoint?.port)
        var hub = try Hub(range: port...port + 2)
        func open(_ number: UInt8) throws -> UInt16? { try hub.open(number) }
        #expect(Set([try open(1), try open(2)]) == [port + 1, port + 2])
        #expect(try open(3) == nil)
    }

    @Test func `there are as many pairs as the limit says, and idle ones make place`() throws {
        var hub = try Hub(limits: limits(pairs: 1))
        var a = try Member(1)
        var b = try Member(2)
        var c = try Member(3)
        let (_, portOfB) = (try hub.take(a), try hub.take(b))
        let portOfC = try hub.take(c)
        let now = MonotonicTime.now
        try a.probe(portOfB)
        try hub.serve(at: now)
        #expect(hub.relay.nextDeadline == now + .seconds(30))
        try a.probe(portOfC)
        try b.probe(portOfC)
        try hub.serve(at: now + .milliseconds(179_999))
        #expect(hub.relay.pairCount == 1)
        #expect(try a.receive().count == 2, "it is answered all the same")
        try c.probe(portOfB)
        try hub.serve(at: now + .seconds(180))
        #expect(hub.relay.pairCount == 1)
        try b.probe(portOfC)
        try hub.serve(at: now + .seconds(181))
        try b.send([4], to: portOfC)
        try hub.serve(at: now + .seconds(181))
        #expect(try c.receive().map(\.bytes.count) == [92, 1])
    }

    @Test func `what nothing is heard of for 180 s is forgotten`() throws {
        var scene = try Scene()
        let start = MonotonicTime.now
        try scene.a.probe(scene.portOfB)
        try scene.b.probe(scene.portOfA)
        try scene.hub.serve(at: start)
        try scene.a.send([4], to: scene.portOfB)
        try scene.hub.serve(at: start + .seconds(100))
        scene.hub.relay.expire(at: start + .milliseconds(279_999))
        #expect(scene.hub.relay.pairCount == 1)
        let deadline = scene.hub.relay.nextDeadline
        let next = try #require(deadline)
        #expect(next > start + .seconds(280))
        scene.hub.relay.expire(at: next)
        #expect(scene.hub.relay.pairCount == 0 && scene.hub.relay.nextDeadline == nil)
        try scene.a.send([4], to: scene.portOfB)
        try scene.hub.serve(at: next)
        #expect(try scene.b.receive().count == 2)
    }

    @Test func `a member that has lost its port is in no pair`() throws {
        var scene = try Scene()
        try scene.meet()
        scene.hub.relay.close(scene.b.key)
        #expect(scene.hub.relay.pairCount == 0)
        try scene.b.send([4], to: scene.portOfA)
        try scene.hub.serve()
        #expect(try scene.a.receive().isEmpty)
    }
}
