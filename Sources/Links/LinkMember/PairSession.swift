internal import LinkMessages
internal import NetworkAddresses
internal import PathProbe
internal import Time
internal import WireGuardTypes

// The WireGuard session of the two, from the first proven path until it is lost.
extension Pair {
    /// Between messages of the responder that it is ready: the first ten, and later ones.
    static let readyInterval = Duration.milliseconds(300)
    static let laterReadyInterval = Duration.seconds(5)
    /// Between the initiator's questions to a session that is being made.
    static let greetingInterval = Duration.milliseconds(100)
    /// Without a hub that forwards, the initiator gives the responder so long to find out that the path works.
    static let unannouncedDelay = Duration.milliseconds(500)
    /// What a round trip through a relay may take, which nobody has measured before there is a session.
    static let relayRoundTrip = Duration.milliseconds(200)
    /// A lost word would leave the other side with allowed IPs that lead nowhere. So it is said again, so many times.
    static let mostFarewells = 8
    static let farewellInterval = Duration.seconds(1)
    /// Words that were on their way when the session was made mean nothing for it.
    static let wordsOnTheWay = Duration.milliseconds(300)
    /// After a session was lost the next one is not made for so long, and twice as long each time up to the other.
    static let resetDelay = Duration.milliseconds(500)
    /// After a refusal, which seldom has a reason that goes by itself.
    static let refusalDelay = Duration.seconds(10)
    static let longestResetDelay = Duration.seconds(60)

    /// The peer as it was read; `nil` if it is not there.
    mutating func note(_ peer: Peer?, _ outbox: inout Outbox, at now: MonotonicTime) {
        // What was read before the device had made our changes says nothing.
        guard pendingChanges == 0 else { return }
        self.peer = peer
        guard let peer else {
            // Somebody else has taken it out, or it could not be made.
            if initiation.state != .idle { reset(&outbox, isTold: true, at: now) }
            return
        }
        if let roamed = peer.endpoint {
            // The other side has left the direct path for the relay, and has its reasons: the path is to be proven again.
            if settling == nil, roamed == relay.endpoint, let aim, aim != roamed {
                prober.distrust(aim, at: now)
                self.aim = roamed
            }
            endpoint = roamed
        }
        // It may have been made as the peer of a machine of the field.
        if hasSession, !allowedIPs.isEmpty, Set(allowedIPs).isSubset(of: peer.allowedIPs) {
            move.noteMoved()
            movedIPs = allowedIPs
        }
        if meter == nil { meter = TrafficMeter(peer, at: now) } else { meter?.note(peer, at: now) }
        failure?.note(received: peer.receivedBytes, sent: peer.sentBytes, at: now)
    }

    /// Whether a reading of the peer says something that is not known.
    func isNews(_ peer: Peer?) -> Bool { self.peer != peer || (peer != nil && hasSession && !move.isMoved) }

    /// The device has made a batch of changes of this pair, or has refused one.
    mutating func noteChanged() { pendingChanges = max(pendingChanges - 1, 0) }

    /// The device has refused a change. What it has now is not known, so the pair begins anew.
    mutating func noteRefused(_ outbox: inout Outbox, at now: MonotonicTime) {
        noteChanged()
        reset(&outbox, isTold: true, at: now)
        notBefore = max(notBefore, now + Self.refusalDelay)
    }

    /// Something came through the pair's own tunnel.
    mutating func noteArrival(at now: MonotonicTime) {
        guard initiation.state != .idle else { return }
        if !hasSession { sessionSince = now }
        hasSession = true
        initiation.noteSession()
        if failure == nil {
            failure = FailureWatch(received: peer?.receivedBytes ?? 0, sent: peer?.sentBytes ?? 0, at: now)
        }
        failure?.noteSign(at: now)
    }

    /// Says once more that the pair is over, as long as it is and the other member may not know.
    mutating func sayFarewell(_ outbox: inout Outbox, at now: MonotonicTime) {
        guard farewells > 0, initiation.state == .idle, let last = lastFarewell, last + Self.farewellInterval <= now
        else { return }
        farewells -= 1
        lastFarewell = now
        outbox.forwarded.append(.switching(.back))
    }

    mutating func makeSession(_ surroundings: Surroundings, _ outbox: inout Outbox, at now: MonotonicTime) {
        guard kind == .ours, !hasSession else { return }
        let best = usablePath(at: now)
        guard let way = best?.candidate.endpoint ?? relay.proven(at: now) else { return }
        if firstProof == nil { firstProof = now }
        if initiation.state == .idle {
            let isAnnounced =
                surroundings.hub != nil ? isOtherReady : (firstProof ?? now) + Self.unannouncedDelay <= now
            guard now >= notBefore, !initiation.isInitiator || isAnnounced else { return }
            outbox.changes += initiation.begin(
                at: way,
                // Half as much more: a handshake is known by what comes through it, and that takes two round trips.
                roundTrip: (best?.roundTrip ?? Self.relayRoundTrip) * 1.5,
                peer: peer,
                now: surroundings.moment
            )
            endpoint = way
            aim = way
            failure = nil
            lastGreeting = nil
            readyCount = 0
            complaints = 0
            return
        }
        if endpoint != way, endpoint == relay.endpoint || prober.path(to: endpoint)?.isBelieved != true {
            outbox.changes += initiation.move(to: way)
            endpoint = way
            aim = way
        }
        guard pendingChanges == 0 else { return }
        if initiation.isInitiator {
            outbox.changes += initiation.step(peer: peer, now: surroundings.moment)
            greet(&outbox, at: now)
        } else if lastReady.map({ $0 + interval(ofReady: readyCount) <= now }) ?? true {
            lastReady = now
            readyCount += 1
            outbox.forwarded.append(.switching(.ready))
        }
    }

    func interval(ofReady count: Int) -> Duration { count < 10 ? Self.readyInterval : Self.laterReadyInterval }

    /// The first packet makes WireGuard begin, and its answer shows that there is a session.
    private mutating func greet(_ outbox: inout Outbox, at now: MonotonicTime) {
        guard lastGreeting.map({ $0 + Self.greetingInterval <= now }) ?? true else { return }
        lastGreeting = now
        ask(&outbox, at: now)
    }

    /// A question through the pair's own tunnel.
    mutating func ask(_ outbox: inout Outbox, at now: MonotonicTime) {
        echoes += 1
        lastEcho = now
        failure?.noteOwn()
        outbox.direct.append(.echo(echoes, isAnswer: false))
    }

    mutating func take(echo number: UInt64, isAnswer: Bool, _ outbox: inout Outbox, at now: MonotonicTime) {
        if isAnswer {
            if number == echoes, let lastEcho { roundTrip = now - lastEcho }
        } else {
            failure?.noteOwn()
            outbox.direct.append(.echo(number, isAnswer: true))
        }
    }

    /// Takes the peer away: traffic goes through the hub's tunnel. Paths and what is known of them stay.
    ///
    /// - Parameter isTold: whether the other member is told, so that it does the same.
    mutating func reset(_ outbox: inout Outbox, isTold: Bool, at now: MonotonicTime) {
        guard initiation.state != .idle else { return }
        outbox.changes.append(.remove(other))
        if isTold {
            outbox.forwarded.append(.switching(.back))
            if hasSession { outbox.direct.append(.switching(.back)) }
            farewells = Self.mostFarewells
            lastFarewell = now
        }
        if move.isHolding { outbox.isReleased = true }
        initiation.end()
        move.goBack()
        movedIPs = []
        peer = nil
        hasSession = false
        isOtherReady = false
        failure = nil
        meter = nil
        settling = nil
        aim = nil
        endpoint = nil
        firstProof = nil
        lastReady = nil
        // Who has a session and gives it up again and again has to wait.
        if let lastReset, lastReset + Self.forgiveness <= now { resets = 0 }
        lastReset = now
        sessionSince = nil
        let delay = min(Self.resetDelay * (1 << min(resets, 10)), Self.longestResetDelay)
        notBefore = now + delay
        resets += 1
    }
}
