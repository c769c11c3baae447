internal import LinkFacts
internal import LinkMessages
internal import NetworkAddresses
internal import PathProbe
internal import Time
internal import WireGuardTypes

// Where the session leads: the best proven path, else the relay, and when all fails the hub's tunnel.
extension Pair {
    /// A path that failed is not used again for so long, and twice as long each time up to the other.
    static let probation = Duration.seconds(2)
    static let longestProbation = Duration.seconds(60)
    /// After so long without a failure all is forgiven.
    static let forgiveness = Duration.seconds(120)
    /// WireGuard follows each packet that arrives, so what is still on its way over the old path leads it back. So the
    /// endpoint is written again and again after a move, at irregular times, until nothing comes that way any more. With
    /// 200 packets a second and round trips of 8 to 200 ms it settles in 0.1 to 1 s if both sides do so (measured).
    static let settling = Duration.seconds(1)
    static let settleIntervals = 3...10
    /// Keepalive of a side whose NAT would forget, in seconds: common ones do after 30 s.
    static let keepalive: UInt16 = 25
    /// A responder that is not asked to move says so after this time, and then after twice as long each time, 32 times
    /// at most.
    static let complaintInterval = Duration.seconds(2)

    struct FailedPath: Hashable {
        var endpoint: Endpoint
        var at: MonotonicTime
        var until: MonotonicTime
        var count: Int
    }

    /// Whether the session leads over a direct path.
    var isDirect: Bool { hasSession && endpoint != nil && endpoint != relay.endpoint }

    /// The best path that is proven and not on probation.
    mutating func usablePath(at now: MonotonicTime) -> Path? {
        guard let best = prober.best(at: now), best.isProven(at: now) else { return nil }
        if let failed, failed.endpoint == best.candidate.endpoint, now < failed.until { return nil }
        return best
    }

    mutating func steer(_ surroundings: Surroundings, _ outbox: inout Outbox, at now: MonotonicTime) {
        guard hasSession, var watch = failure else { return }
        // The other side may have gone without a word, and what it sends through the hub is refused here.
        let mayHaveGone = surroundings.hub == nil || watch.wasUsed(at: now)
        if move.isMoved, mayHaveGone, watch.lastSign + FailureWatch.quiet <= now { watch.suspect(at: now) }
        let asks = watch.asks(at: now)
        failure = watch
        if asks { ask(&outbox, at: now) }
        if watch.verdict == .dead {
            fail(surroundings, &outbox, at: now)
            return
        }
        if let best = usablePath(at: now)?.candidate.endpoint, best != endpoint {
            // The initiator decides; the responder only leaves what is no proven path, for WireGuard itself follows the
            // initiator's packets.
            let isOnProven = endpoint != relay.endpoint && prober.path(to: endpoint)?.isProven(at: now) == true
            if initiation.isInitiator || !isOnProven { lead(to: best, surroundings, &outbox, at: now) }
        }
        settle(&outbox, at: now)
        if isLed, pendingChanges == 0 {
            // The first packet there shows the other side the way. The one before may have left too early.
            isLed = false
            ask(&outbox, at: now)
        }
        moveAllowedIPs(surroundings, &outbox, at: now)
    }

    private mutating func lead(
        to endpoint: Endpoint,
        _ surroundings: Surroundings,
        _ outbox: inout Outbox,
        at now: MonotonicTime
    ) {
        self.endpoint = endpoint
        aim = endpoint
        let isFar = !surroundings.networks.contains { $0.contains(endpoint.source) }
        let needsKeepalive = isFar && surroundings.mapping != .none
        outbox.changes.append(
            .update(
                PeerSettings(
                    publicKey: other,
                    allowedIPs: [],
                    endpoint: endpoint,
                    persistentKeepalive: needsKeepalive ? Self.keepalive : 0
                )
            )
        )
        failure?.restart(at: now)
        settling = Settling(until: now + Self.settling, next: now)
        isLed = true
    }

    struct Settling: Hashable {
        var until: MonotonicTime
        var next: MonotonicTime
        var count = 0
    }

    /// Writes the endpoint again while a move settles.
    private mutating func settle(_ outbox: inout Outbox, at now: MonotonicTime) {
        // One at a time, however slow the device is.
        guard var settling, let aim, settling.next <= now, pendingChanges == 0 else { return }
        guard settling.until > now else {
            self.settling = nil
            return
        }
        // Irregular, for at a steady pace the writes can keep step with the traffic.
        let spread = Self.settleIntervals.count
        let pause = Self.settleIntervals.lowerBound + Int(other.bytes[settling.count % PublicKey.length]) % spread
        settling.count += 1
        settling.next = now + .milliseconds(pause)
        self.settling = settling
        outbox.changes.append(.update(PeerSettings(publicKey: other, allowedIPs: [], endpoint: aim)))
    }

    /// Nothing comes any more on the path that the session leads over.
    private mutating func fail(_ surroundings: Surroundings, _ outbox: inout Outbox, at now: MonotonicTime) {
        guard let endpoint else { return }
        if endpoint != relay.endpoint {
            prober.distrust(endpoint, at: now)
            let count = failed.map { $0.at + Self.forgiveness > now ? $0.count + 1 : 0 } ?? 0
            let wait = min(Self.probation * (1 << min(count, 8)), Self.longestProbation)
            failed = FailedPath(endpoint: endpoint, at: now, until: now + wait, count: count)
            if let next = usablePath(at: now)?.candidate.endpoint ?? relay.proven(at: now) {
                lead(to: next, surroundings, &outbox, at: now)
                failure?.suspect(at: now)
                return
            }
        }
        reset(&outbox, isTold: true, at: now)
    }

    private mutating func moveAllowedIPs(
        _ surroundings: Surroundings,
        _ outbox: inout Outbox,
        at now: MonotonicTime
    ) {
        guard !allowedIPs.isEmpty else { return }
        // Twice, for what the device has already need not be waited for.
        for _ in 0..<2 {
            let isDone = pendingChanges == 0 && outbox.changes.isEmpty
            for step in move.due(isDone: isDone, hasHub: surroundings.hub != nil, at: now) {
                switch step {
                case .hold: outbox.held = allowedIPs
                case .say(let phase):
                    failure?.noteOwn()
                    outbox.direct.append(.switching(phase))
                case .sayDrained: outbox.forwarded.append(.switching(.drained))
                case .release: outbox.isReleased = true
                }
            }
            if move.isMoved { giveAllowedIPs(&outbox) }
        }
        if move.isUnanswered(at: now) { failure?.suspect(at: now) }
        complain(&outbox, at: now)
    }

    /// The initiator does not ask to move: it may have done so in a session that this side has lost since, and has no
    /// reason to ask again. It begins anew when it hears that another session is expected.
    private mutating func complain(_ outbox: inout Outbox, at now: MonotonicTime) {
        guard let next = nextComplaint, next <= now else { return }
        complaints += 1
        lastReady = now
        outbox.forwarded.append(.switching(.ready))
    }

    /// When the responder says so; `nil` if there is no reason.
    var nextComplaint: MonotonicTime? {
        guard !initiation.isInitiator, hasSession, !move.isMoved, !allowedIPs.isEmpty, let sessionSince
        else { return nil }
        let last = complaints == 0 ? sessionSince : max(sessionSince, lastReady ?? sessionSince)
        return last + Self.complaintInterval * (1 << min(complaints, 5))
    }

    /// Gives the peer what it may send from.
    private mutating func giveAllowedIPs(_ outbox: inout Outbox) {
        guard movedIPs != allowedIPs else { return }
        let isGrowing = Set(movedIPs).isSubset(of: allowedIPs)
        outbox.changes.append(
            .update(
                PeerSettings(
                    publicKey: other,
                    allowedIPs: isGrowing ? allowedIPs : [other.memberAllowedIP] + allowedIPs,
                    replacesAllowedIPs: !isGrowing
                )
            )
        )
        movedIPs = allowedIPs
    }

    mutating func take(_ phase: LinkMessage.SwitchPhase, isDirect: Bool, _ outbox: inout Outbox, at now: MonotonicTime)
    {
        switch phase {
        case .ready:
            farewells = 0
            // It expects a new session: it has lost the one that looks alive here.
            if let since = sessionSince, hasSession, since + Self.wordsOnTheWay <= now {
                reset(&outbox, isTold: false, at: now)
            }
            isOtherReady = true
        case .back:
            farewells = 0
            // Said again, perhaps, after a new session was made.
            if let since = sessionSince, hasSession, since + Self.wordsOnTheWay > now { break }
            reset(&outbox, isTold: false, at: now)
            // With links on demand it is made again for traffic only, else two would wake each other.
            wantedUntil = .start
        case .move, .moved, .settled, .drained:
            guard isDirect == (phase != .drained), hasSession, !allowedIPs.isEmpty else { return }
            move.take(phase, at: now)
        }
    }
}
