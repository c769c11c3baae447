import NetworkAddresses
import PathProbe
import Testing
import Time
import WireGuardTypes

private let address = IPPrefix("fe80::1/128")!
private let place = Endpoint("192.0.2.1:7")!
private let other = Endpoint("192.0.2.2:7")!

private func moment(_ duration: Duration) -> Moment {
    Moment(wallClock: .seconds(1_700_000_000) + duration, sinceStart: .seconds(1000) + duration)
}

/// A peer whose handshake was so many seconds after the beginning.
private func peer(_ key: PublicKey, handshake seconds: Int64? = nil) -> Peer {
    Peer(publicKey: key, lastHandshake: seconds.map { 1_700_000_000 + $0 })
}

@Suite struct `Who begins a session` {
    private let anew: [PeerChange] = [
        .remove(key(64)),
        .add(
            PeerSettings(
                publicKey: key(64),
                allowedIPs: [address],
                replacesAllowedIPs: true,
                endpoint: place,
                persistentKeepalive: 25
            )
        ),
    ]
    private var initiator = Initiation(own: key(32), other: key(64), address: address)
    private var responder = Initiation(own: key(64), other: key(32), address: address)

    private func moved(_ key: PublicKey, to endpoint: Endpoint) -> [PeerChange] {
        [.update(PeerSettings(publicKey: key, allowedIPs: [], endpoint: endpoint))]
    }

    @Test func `the lower key does`() {
        #expect(initiator.isInitiator && !responder.isInitiator)
    }

    @Test mutating func `the responder waits, without a keepalive`() {
        let settings = PeerSettings(
            publicKey: key(32),
            allowedIPs: [address],
            replacesAllowedIPs: true,
            endpoint: place,
            persistentKeepalive: 0
        )
        #expect(responder.begin(at: place, roundTrip: nil, peer: nil, now: moment(.zero)) == [.add(settings)])
        #expect(responder.state == .responding && responder.nextDeadline == nil)
        #expect(responder.step(peer: peer(key(32)), now: moment(.seconds(60))) == [])
        #expect(responder.state == .responding)
        #expect(responder.step(peer: peer(key(32), handshake: 60), now: moment(.seconds(60))) == [])
        #expect(responder.state == .established)
    }

    @Test mutating func `the initiator begins anew, first after 300 ms, then later and later`() {
        #expect(initiator.begin(at: place, roundTrip: .milliseconds(20), peer: nil, now: moment(.zero)) == anew)
        var due: [Duration] = []
        for step in 1...30_000 {
            let now = Duration.milliseconds(step * 10)
            guard initiator.step(peer: peer(key(64)), now: moment(now)) == anew else { continue }
            due.append(now)
        }
        #expect(
            due.prefix(5) == [
                .milliseconds(300), .milliseconds(900), .milliseconds(2100), .milliseconds(4500), .milliseconds(9300),
            ]
        )
        #expect(due.count > 10 && zip(due, due.dropFirst()).allSatisfy { $1 - $0 <= .seconds(30) })
    }

    @Test mutating func `a far one gets two round trips`() {
        _ = initiator.begin(at: place, roundTrip: .milliseconds(400), peer: nil, now: moment(.zero))
        #expect(initiator.nextDeadline == after(.milliseconds(800)))
        #expect(initiator.step(peer: nil, now: moment(.milliseconds(799))) == [])
        #expect(initiator.step(peer: nil, now: moment(.milliseconds(800))) == anew)
    }

    @Test mutating func `a handshake ends it, and the one before the beginning does not`() {
        _ = initiator.begin(at: place, roundTrip: nil, peer: peer(key(64), handshake: -500), now: moment(.zero))
        // What the device said before the change.
        #expect(initiator.step(peer: peer(key(64), handshake: -500), now: moment(.seconds(1))) == anew)
        #expect(initiator.step(peer: peer(key(64), handshake: 1), now: moment(.seconds(9))) == [])
        #expect(initiator.state == .established && initiator.nextDeadline == nil)
    }

    @Test mutating func `a session that lives only moves`() {
        for seconds in [0, -179] as [Int64] {
            let peer = peer(key(64), handshake: seconds)
            let changes = initiator.begin(at: place, roundTrip: nil, peer: peer, now: moment(.zero))
            #expect(changes == moved(key(64), to: place) && initiator.state == .established)
        }
        let old = peer(key(64), handshake: -180)
        #expect(initiator.begin(at: place, roundTrip: nil, peer: old, now: moment(.zero)) == anew)
        let late = peer(key(32), handshake: -1)
        let changes = responder.begin(at: place, roundTrip: nil, peer: late, now: moment(.zero))
        #expect(changes == moved(key(32), to: place) && responder.state == .established)
        #expect(responder.move(to: other) == moved(key(32), to: other))
    }

    @Test mutating func `a peer comes back from the path that it has left, and from no other`() {
        var peer = peer(key(64), handshake: 0)
        _ = initiator.begin(at: place, roundTrip: nil, peer: peer, now: moment(.zero))
        peer.endpoint = place
        #expect(initiator.settle(peer: peer) == [])
        _ = initiator.move(to: other)
        _ = initiator.move(to: other)
        #expect(initiator.settle(peer: peer) == moved(key(64), to: other))
        peer.endpoint = other
        #expect(initiator.settle(peer: peer) == [])
        peer.endpoint = Endpoint("192.0.2.3:7")
        #expect(initiator.settle(peer: peer) == [] && initiator.settle(peer: nil) == [])
    }

    @Test mutating func `an attempt goes on at another place`() {
        #expect(initiator.move(to: other) == [])
        _ = initiator.begin(at: other, roundTrip: nil, peer: nil, now: moment(.zero))
        #expect(initiator.move(to: place) == moved(key(64), to: place))
        #expect(initiator.step(peer: peer(key(64)), now: moment(.milliseconds(300))) == anew)
        initiator.end()
        #expect(initiator.state == .idle && initiator.step(peer: nil, now: moment(.seconds(9))) == [])
    }

    @Test mutating func `a session that the other side has lost is made anew, not at once after a handshake`() {
        #expect(initiator.beginAgain(peer: nil, now: moment(.zero)) == [])
        _ = initiator.begin(at: place, roundTrip: nil, peer: peer(key(64), handshake: -5), now: moment(.zero))
        var again = initiator
        #expect(again.beginAgain(peer: peer(key(64), handshake: -5), now: moment(.zero)) == anew)
        again = initiator
        let fresh = peer(key(64), handshake: 0)
        #expect(again.beginAgain(peer: fresh, now: moment(.milliseconds(500))) == [])
        #expect(again.step(peer: fresh, now: moment(.milliseconds(2499))) == [])
        #expect(again.step(peer: fresh, now: moment(.milliseconds(2500))) == anew)
        _ = responder.begin(at: place, roundTrip: nil, peer: peer(key(32), handshake: -5), now: moment(.zero))
        #expect(responder.beginAgain(peer: peer(key(32), handshake: -5), now: moment(.zero)) == [])
        #expect(responder.state == .responding)
    }
}
