import EventLoop
import Glibc
import LinkLaboratory
import NetworkAddresses
import PathProbe
import Relay
import Surroundings
import SystemCalls
import Testing
import Time
import WireGuardControl
import WireGuardTypes

/// Two hosts with WireGuard, and a hub with a relay, each with what makes and moves their session.
private final class Scene {
    let laboratory: LinkLaboratory
    let a: Side
    let b: Side
    private let hub: Node
    private var loop: EventLoop
    private var relay = Relay(firstToken: 1)
    let cables: [LabCable]
    var settles = true

    final class Side {
        let node: Node
        let device: any WireGuardInterface
        let address: String
        var initiation: Initiation
        /// Where the relay takes what is for the other side.
        var relayed: Endpoint?

        init(_ node: Node, address: String, other: Node, at otherAddress: String) throws {
            self.node = node
            self.address = address
            device = try openWireGuardInterface(InterfaceName(node.machine.interface)!)
            initiation = Initiation(own: node.key, other: other.key, address: IPPrefix("\(otherAddress)/32")!)
        }

        var peer: Peer? { get throws { try device.state().peers.first { $0.publicKey == initiation.other } } }

        func apply(_ changes: [PeerChange]) throws { try device.apply(changes) }

        func begin(at endpoint: Endpoint) throws {
            try apply(initiation.begin(at: endpoint, roundTrip: nil, peer: peer, now: moment))
        }

        func move(to endpoint: Endpoint) throws { try apply(initiation.move(to: endpoint)) }

        private var nextLook = MonotonicTime.start

        /// WireGuard follows what was on its way.
        func settle() throws {
            guard MonotonicTime.now >= nextLook else { return }
            nextLook = .now + .milliseconds(.random(in: 3...10))
            try apply(initiation.settle(peer: peer))
        }

        func step() throws {
            guard initiation.state != .established, initiation.state != .idle else { return }
            try apply(initiation.step(peer: peer, now: moment))
        }

        private var moment: Moment {
            Moment(milliseconds: wallClockMilliseconds(), sinceStart: MonotonicTime.now.sinceStart)
        }
    }

    init(_ first: LabNAT, _ second: LabNAT, hasCables: Bool = false) throws {
        let laboratory = try LinkLaboratory()
        self.laboratory = laboratory
        hub = try Node(on: laboratory.makeHub())
        let sites = try [first, second].map { try laboratory.makeSite($0, hasCable: hasCables) }
        cables = sites.compactMap(\.cable)
        let addresses = ["10.99.0.2", "10.99.0.3"]
        let nodes = try (0..<2).map { index in
            let machine = try sites[index].makeHost("host\(index)")
            try machine.startWireGuard(addresses: ["\(addresses[index])/24"], port: Node.port)
            return try Node(on: machine, hasWireGuard: true)
        }
        a = try Side(nodes[0], address: addresses[0], other: nodes[1], at: addresses[1])
        b = try Side(nodes[1], address: addresses[1], other: nodes[0], at: addresses[0])
        loop = try EventLoop()
        for side in [a, b] {
            try side.node.meet(hub)
            try hub.meet(side.node)
        }
        try a.node.meet(b.node)
        try b.node.meet(a.node)
        for (side, other) in [(a, b), (b, a)] {
            let port = try hub.machine.inside { try openPort(for: side.node.key) }
            other.relayed = Endpoint("\(hub.machine.address):\(port)")
        }
    }

    private func openPort(for key: PublicKey) throws -> UInt16 {
        try #require(try relay.open(for: key, on: loop))
    }

    var counts: RelayCounts { relay.counts }

    /// Lets everybody work until something holds.
    @discardableResult
    func run(for duration: Duration, until condition: () throws -> Bool = { false }) throws -> Duration? {
        let start = MonotonicTime.now
        while MonotonicTime.now - start < duration {
            for index in 0..<(try loop.wait(until: .now + .milliseconds(1))) {
                relay.serve(loop[index].token, probes: &hub.table, at: .now)
            }
            for node in [hub, a.node, b.node] { try node.step() }
            for side in [a, b] {
                try side.step()
                if settles { try side.settle() }
            }
            if try condition() { return .now - start }
        }
        return nil
    }

    /// Both are heard by the relay, and then the session is made over it.
    ///
    /// - Returns: how long the session took.
    func connect() throws -> Duration? {
        for side in [a, b] { side.node.offer(hub, [PathCandidate(try #require(side.relayed), isNear: false)]) }
        try run(for: .seconds(2)) { [a, b].allSatisfy { $0.node.best(to: hub) != nil } }
        let (initiator, responder) = a.initiation.isInitiator ? (a, b) : (b, a)
        try responder.begin(at: #require(responder.relayed))
        try initiator.begin(at: #require(initiator.relayed))
        return try run(for: .seconds(20)) { [a, b].allSatisfy { $0.initiation.state == .established } }
    }

    /// Both look for each other directly.
    func findDirectPath() throws -> Bool {
        a.node.offer(b.node, b.node.places)
        b.node.offer(a.node, a.node.places)
        return try run(for: .seconds(5)) { a.node.best(to: b.node) != nil && b.node.best(to: a.node) != nil } != nil
    }

    func moveToDirectPath() throws {
        try a.move(to: #require(a.node.best(to: b.node)).candidate.endpoint)
        try b.move(to: #require(b.node.best(to: a.node)).candidate.endpoint)
    }

    func moveToRelay() throws { for side in [a, b] { try side.move(to: #require(side.relayed)) } }
}

@Suite(.needsRoot, .serialized) struct `A session of two hosts` {
    @Test func `is made over the relay where there is no direct path, at once`() throws {
        let scene = try Scene(.symmetric, .portRestricted)
        let time = try #require(try scene.connect())
        #expect(time < .seconds(4), "another attempt of WireGuard's own takes five seconds")
        let pings = try scene.a.node.machine.ping(scene.b.address)
        try scene.run(for: .seconds(20)) { pings.received >= 100 }
        let count = pings.count()
        #expect(count.received >= 100 && count.lost == [])
        #expect(try !scene.findDirectPath())
    }

    @Test func `moves from the relay to the direct path and back, and loses nothing`() throws {
        let scene = try Scene(.portRestricted, .portRestricted, hasCables: true)
        for cable in scene.cables { try cable.delay(.milliseconds(10)) }
        #expect(try scene.connect() != nil)
        #expect(try scene.findDirectPath())
        let pings = try scene.a.node.machine.ping(scene.b.address)
        for _ in 0..<2 {
            try scene.run(for: .milliseconds(500))
            try scene.moveToDirectPath()
            try scene.run(for: .milliseconds(500))
            let before = scene.counts.forwardedPackets
            try scene.run(for: .milliseconds(500))
            #expect(scene.counts.forwardedPackets == before)
            try scene.moveToRelay()
            try scene.run(for: .milliseconds(500))
            let after = scene.counts.forwardedPackets
            try scene.run(for: .milliseconds(500))
            #expect(scene.counts.forwardedPackets - after > 50, "100 pings a second, and their answers")
        }
        try scene.run(for: .milliseconds(500))
        let count = pings.count()
        #expect(count.lost == [] && count.received > 200, "\(count)")
    }

    @Test func `goes on over the relay when the direct path is cut`() throws {
        let scene = try Scene(.portRestricted, .portRestricted)
        #expect(try scene.connect() != nil)
        #expect(try scene.findDirectPath())
        try scene.moveToDirectPath()
        let pings = try scene.a.node.machine.ping(scene.b.address)
        try scene.run(for: .seconds(20)) { pings.received >= 50 }
        try scene.laboratory.cut(scene.a.node.machine, scene.b.node.machine)
        try scene.run(for: .milliseconds(300))
        try scene.moveToRelay()
        let before = pings.received
        try scene.run(for: .seconds(20)) { pings.received >= before + 50 }
        let count = pings.count()
        #expect(count.lost.count > 10 && count.lost.count == count.longestGap && count.longestGap < 150, "\(count)")
        // And the probes find out when it works again.
        scene.a.node.distrust(scene.b.node)
        scene.b.node.distrust(scene.a.node)
        try scene.run(for: .seconds(2))
        #expect(scene.a.node.best(to: scene.b.node) == nil)
        try scene.laboratory.repair(scene.a.node.machine, scene.b.node.machine)
        let again = try scene.run(for: .seconds(20)) {
            scene.a.node.best(to: scene.b.node) != nil && scene.b.node.best(to: scene.a.node) != nil
        }
        #expect(again != nil)
    }

    @Test func `is made anew when one of the two has lost it`() throws {
        let scene = try Scene(.portRestricted, .portRestricted)
        #expect(try scene.connect() != nil)
        let (initiator, responder) = scene.a.initiation.isInitiator ? (scene.a, scene.b) : (scene.b, scene.a)
        try responder.apply([.remove(initiator.node.key)])
        try responder.begin(at: #require(responder.relayed))
        let now = Moment(milliseconds: wallClockMilliseconds(), sinceStart: MonotonicTime.now.sinceStart)
        try initiator.apply(initiator.initiation.beginAgain(peer: initiator.peer, now: now))
        let time = try scene.run(for: .seconds(20)) {
            [scene.a, scene.b].allSatisfy { $0.initiation.state == .established }
        }
        // The spacing of two handshakes, and what a busy machine takes.
        #expect(try #require(time) < .seconds(5))
        let pings = try scene.a.node.machine.ping(scene.b.address)
        #expect(try scene.run(for: .seconds(20)) { pings.received >= 10 } != nil)
    }
}
