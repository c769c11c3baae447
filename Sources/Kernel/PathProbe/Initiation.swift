public import NetworkAddresses
public import Time
public import WireGuardTypes

/// Makes the session of two machines that reach each other, from the side of one of them.
///
/// If both begin, each consumes the other's first message and cannot use the answer to its own: five seconds go by
/// until they try again, and they may do the same again (measured). So the one with the lower key is the *initiator*:
/// it takes the peer out and puts it in again with an endpoint and a keepalive, in one message, which starts at once
/// whatever went before. The other, the *responder*, has the endpoint too, and sends nothing.
public struct Initiation: Hashable, Sendable {
    /// Least time that a handshake gets before it is begun anew; it grows with each attempt, up to the other.
    public static let patience = Duration.milliseconds(300)
    public static let longestPatience = Duration.seconds(30)
    /// A session that is no older is not touched: it works, or WireGuard renews it. Source: Reject-After-Time of the
    /// WireGuard paper, section 6.5.
    public static let sessionLifetime = Duration.seconds(180)
    /// Two handshakes that are begun within 40 ms spoil each other (measured). A device tells whole seconds.
    public static let spacing = Duration.seconds(2)
    /// Seconds between keepalives of the initiator.
    public static let keepalive: UInt16 = 25

    public enum State: Hashable, Sendable {
        /// Nothing was begun.
        case idle
        /// The peer is there, and the other side is to begin.
        case responding
        /// So many attempts were made, and the next is due then.
        case initiating(attempts: Int, next: MonotonicTime)
        /// A handshake was seen since.
        case established
    }

    public let other: PublicKey
    public let isInitiator: Bool
    public private(set) var state = State.idle
    private var settings: PeerSettings
    private var roundTrip = Duration.zero
    /// Where the peer was before its last move.
    private var left: Endpoint?
    /// Of the handshake that was there before the beginning.
    private var lastHandshake: Int64?

    /// - Parameter address: the link-local address of the other machine, its only allowed IP at first.
    public init(own: PublicKey, other: PublicKey, address: IPPrefix) {
        self.other = other
        isInitiator = own < other
        settings = PeerSettings(publicKey: other, allowedIPs: [address], replacesAllowedIPs: true)
    }

    /// Begins: a path is proven, and the initiator knows that the responder has begun.
    ///
    /// - Parameters:
    ///   - roundTrip: of the path, if it is known.
    ///   - peer: as the device has it, `nil` if it has none.
    /// - Returns: the changes to make in one message. If there is a session only the endpoint moves.
    public mutating func begin(
        at endpoint: Endpoint,
        roundTrip: Duration?,
        peer: Peer?,
        now: Moment
    ) -> [PeerChange] {
        settings.endpoint = endpoint
        left = nil
        self.roundTrip = roundTrip ?? .zero
        lastHandshake = peer?.lastHandshake
        if hasSession(peer, at: now) {
            state = .established
            return [.update(PeerSettings(publicKey: other, allowedIPs: [], endpoint: endpoint))]
        }
        guard isInitiator else {
            state = .responding
            settings.persistentKeepalive = 0
            return [.add(settings)]
        }
        return initiate(attempt: 1, at: now)
    }

    /// The session goes on over another path: only the endpoint is written. An attempt that is under way goes on there.
    ///
    /// Nothing is lost if both paths work. But WireGuard follows each packet that comes, and packets that were on their
    /// way lead it back, and so the other side with the next: without ``settle(peer:)`` three of four packets still took
    /// the old path half a second later (measured).
    public mutating func move(to endpoint: Endpoint) -> [PeerChange] {
        if settings.endpoint != endpoint { left = settings.endpoint }
        settings.endpoint = endpoint
        guard state != .idle else { return [] }
        return [.update(PeerSettings(publicKey: other, allowedIPs: [], endpoint: endpoint))]
    }

    /// Brings the peer back from the path that it was moved away from. To be called by both sides for a second or more
    /// after a move, each 3 to 10 ms, by chance, for packets come in a rhythm as well. Of 200 packets a second some 10 to
    /// 40 then still take the old path, of 4,000 some 400; of 15,000 half still did after a second. If one side alone does
    /// it, it may take longer than it is done (measured, round trips of 8 to 200 ms). None is lost.
    ///
    /// A place that is neither is left alone: the other side may have roamed.
    public func settle(peer: Peer?) -> [PeerChange] {
        guard state != .idle, let now = peer?.endpoint, now == left, let endpoint = settings.endpoint else { return [] }
        return [.update(PeerSettings(publicKey: other, allowedIPs: [], endpoint: endpoint))]
    }

    /// The other side has been started anew, or has lost its session otherwise: what looks like one here is none.
    ///
    /// - Returns: the changes to make in one message; later ones come from ``step(peer:now:)``.
    public mutating func beginAgain(peer: Peer?, now: Moment) -> [PeerChange] {
        guard state != .idle else { return [] }
        lastHandshake = peer?.lastHandshake
        guard isInitiator else {
            state = .responding
            return []
        }
        if let last = peer?.lastHandshake, age(of: last, at: now) < Self.spacing {
            state = .initiating(attempts: 0, next: MonotonicTime(sinceStart: now.sinceStart) + Self.spacing)
            return []
        }
        return initiate(attempt: 1, at: now)
    }

    /// Looks at the peer, and begins anew if the handshake takes too long.
    ///
    /// - Parameter peer: as the device has it since the last changes were made, `nil` if it has none.
    /// - Returns: the changes to make in one message.
    public mutating func step(peer: Peer?, now: Moment) -> [PeerChange] {
        switch state {
        case .idle, .established: return []
        case .responding:
            if let last = peer?.lastHandshake, last != lastHandshake { state = .established }
            return []
        case .initiating(let attempts, let next):
            if let last = peer?.lastHandshake, last != lastHandshake {
                state = .established
                return []
            }
            guard MonotonicTime(sinceStart: now.sinceStart) >= next else { return [] }
            return initiate(attempt: attempts + 1, at: now)
        }
    }

    /// Something came through the session: it is there, whatever the device has said so far.
    public mutating func noteSession() { if state != .idle { state = .established } }

    /// The peer was taken out.
    public mutating func end() { state = .idle }

    /// When ``step(peer:now:)`` has something to do at the latest, if nothing else happens.
    public var nextDeadline: MonotonicTime? {
        if case .initiating(_, let next) = state { next } else { nil }
    }

    private mutating func initiate(attempt: Int, at now: Moment) -> [PeerChange] {
        let first = max(Self.patience, roundTrip * 2)
        let wait = min(first * (1 << min(attempt - 1, 10)), max(Self.longestPatience, first))
        state = .initiating(attempts: attempt, next: MonotonicTime(sinceStart: now.sinceStart) + wait)
        settings.persistentKeepalive = Self.keepalive
        return [.remove(other), .add(settings)]
    }

    private func hasSession(_ peer: Peer?, at now: Moment) -> Bool {
        peer?.lastHandshake.map { age(of: $0, at: now) < Self.sessionLifetime } ?? false
    }

    private func age(of handshake: Int64, at now: Moment) -> Duration { now.sinceStart - now.sinceStart(of: handshake) }
}
