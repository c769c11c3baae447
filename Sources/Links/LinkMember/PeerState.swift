internal import LinkFacts
internal import NetworkAddresses
internal import SourceLimits
internal import Time
internal import WireGuardTypes

/// What is known of one peer of the device, at first hand.
struct PeerState: Sendable {
    var peer: Peer
    /// Whether it is this program that made the peer, and not the operator.
    var isMade: Bool
    /// When it was not in the device any more.
    var goneAt: MonotonicTime?
    private(set) var handshakeAt: MonotonicTime?
    /// The last alive fact, until it expires.
    private(set) var boot: BootID?
    private var aliveUntil: MonotonicTime = .start
    private(set) var isHealthy = false
    private(set) var isAlive = false
    /// Since when the last three are as they are.
    private(set) var since: MonotonicTime
    /// Where WireGuard has heard it, the last one first.
    private(set) var heardAt: [Endpoint] = []
    /// The first endpoint that it had, from the operator.
    let givenEndpoint: Endpoint?
    var trust: Trust = .untrusted
    var rounds = PlainRounds()
    /// Of a machine of ours.
    var stream: DeltaStream?
    var streamBeganAt: MonotonicTime?
    /// Whether it has begun anew, so that it may not know this machine.
    var wantsGreeting = false
    var inbox = DeltaInbox()
    /// Of what start the stream in ``inbox`` is.
    var inboxBoot: BootID?
    var bucket = TokenBucket()
    /// When it sent the last datagram that was taken.
    var heardDatagramAt: MonotonicTime?

    /// Of ``heardAt``.
    private static let mostHeardAt = 4

    init(_ peer: Peer, isMade: Bool, wallClock: Int64, at now: MonotonicTime) {
        self.peer = peer
        self.isMade = isMade
        since = now
        givenEndpoint = peer.endpoint
        handshakeAt = Self.handshake(of: peer, wallClock: wallClock, at: now)
        noteEndpoint()
    }

    /// When a handshake was, which is told by the wall clock. After that clock was set back it may be in the future,
    /// and counts as now.
    private static func handshake(of peer: Peer, wallClock: Int64, at now: MonotonicTime) -> MonotonicTime? {
        peer.lastHandshake.map { seconds in
            let (age, isTooMuch) = wallClock.subtractingReportingOverflow(seconds)
            let limited = isTooMuch ? 0 : min(max(age, 0), 1 << 31)
            let since = now.sinceStart - .seconds(limited)
            return MonotonicTime(sinceStart: since)
        }
    }

    /// Takes a later reading. A handshake that is new was after the reading before, whatever the wall clock says.
    mutating func take(_ peer: Peer, isMade: Bool, wallClock: Int64, previous: MonotonicTime, at now: MonotonicTime) {
        if peer.lastHandshake != self.peer.lastHandshake {
            handshakeAt = Self.handshake(of: peer, wallClock: wallClock, at: now).map { max($0, previous) }
        }
        self.peer = peer
        self.isMade = isMade
        goneAt = nil
        noteEndpoint()
    }

    private mutating func noteEndpoint() {
        guard let endpoint = peer.endpoint, handshakeAt != nil, heardAt.first != endpoint else { return }
        heardAt.removeAll { $0 == endpoint }
        heardAt.insert(endpoint, at: 0)
        if heardAt.count > Self.mostHeardAt { heardAt.removeLast() }
    }

    /// Takes an alive fact of the peer about itself.
    ///
    /// - Returns: whether it has begun anew, or was not known before.
    mutating func takeAlive(_ boot: BootID, until expiry: MonotonicTime, at now: MonotonicTime) -> Bool {
        let isNew = boot != self.boot
        if isNew { since = now }
        self.boot = boot
        aliveUntil = isNew ? expiry : max(aliveUntil, expiry)
        return isNew
    }

    /// What the peer said of itself, if it is one of ours.
    var ours: OurBoot? { boot.flatMap { OurBoot($0) } }

    /// Brings ``isHealthy`` and ``isAlive`` up to date.
    ///
    /// - Returns: whether one of them has changed.
    mutating func update(at now: MonotonicTime) -> Bool {
        let isHealthy =
            goneAt == nil && peer.endpoint != nil
            && handshakeAt.map { now - $0 < FactTimes.handshakeValidity } ?? false
        let isAlive = goneAt == nil && aliveUntil > now
        guard isHealthy != self.isHealthy || isAlive != self.isAlive else { return false }
        self.isHealthy = isHealthy
        self.isAlive = isAlive
        since = now
        return true
    }

    /// Whether something was heard of the peer lately.
    var isLive: Bool { isAlive || isHealthy }

    /// Whether it is a router: it may send from a network that is wider than one machine.
    var isRouter: Bool { goneAt == nil && peer.isRouter }

    /// Whether it is a session of two of ours that this program made.
    var isPair: Bool { isMade && ours != nil }

    /// Whether it is a router that the operator made a peer.
    var isHub: Bool { isRouter && !isMade }

    /// When ``update(at:)`` may have something to say, or the peer is to be forgotten; `nil` if only an event changes
    /// something.
    var nextChange: MonotonicTime? {
        var times: [MonotonicTime] = []
        if isAlive { times.append(aliveUntil) }
        if isHealthy, let handshakeAt { times.append(handshakeAt + FactTimes.handshakeValidity) }
        if let goneAt { times.append(goneAt + FactTimes.absence) }
        return times.min()
    }

    /// Whether the peer has been healthy and alive for so long, and will stay alive for so long.
    func isSteady(for past: Duration, andFor future: Duration, at now: MonotonicTime) -> Bool {
        isHealthy && isAlive && now - since >= past && aliveUntil - now > future
    }

    /// Whether the peer will stay alive for so long.
    func isAlive(for future: Duration, at now: MonotonicTime) -> Bool { isAlive && aliveUntil - now >= future }
}

extension Peer {
    /// Whether the peer may send from a network, and not only from addresses of its own.
    var isRouter: Bool { allowedIPs.contains { !$0.isHost && $0.mapped.isGlobal || $0.length == 0 } }
}
