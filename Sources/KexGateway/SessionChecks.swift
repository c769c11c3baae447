internal import SourceLimits
internal import WireGuardTypes

/// Routers that registered although they have a peer, and what there is against their sessions.
///
/// A router whose clock went back is kept out by its own last handshake: WireGuard takes none that claims to be older
/// (whitepaper, section 5.1), and forgets only with the peer. But public keys are public, so whoever registers one must not
/// be able to end its owner's session. So the session itself is looked at: what it receives is authenticated, and a router
/// that is there sends something.
struct SessionChecks: Sendable {
    private struct Check: Sendable {
        /// Time since the start of the machine.
        var due: Duration
        /// If WireGuard has not received more than this by then, the session is dead.
        let receivedBytes: UInt64
    }

    private var checks: [PublicKey: Check] = [:]
    private var bucket = TokenBucket()
    /// When ``expired(_:at:)`` has something to find, time since the start of the machine.
    private(set) var nextDue: Duration?

    /// Has the router looked at, unless that is to be done already.
    mutating func arm(_ key: PublicKey, receivedBytes: UInt64, due: Duration) {
        guard checks[key] == nil else { return }
        checks[key] = Check(due: due, receivedBytes: receivedBytes)
        nextDue = min(nextDue ?? due, due)
    }

    /// Whether the router registered a moment ago, and is still to be looked at.
    func isArmed(_ key: PublicKey) -> Bool { checks[key] != nil }

    mutating func remove(_ key: PublicKey) {
        // Looking for the next one would take as long as there are checks, for each of many that are removed at once. One look
        // too early costs less.
        checks[key] = nil
        if checks.isEmpty { nextDue = nil }
    }

    /// Takes in what WireGuard says now.
    ///
    /// - Returns: whose session has been silent for its time, as many as may be reset now.
    mutating func expired(_ peers: [Peer], at now: Duration) -> [PublicKey] {
        var expired: [PublicKey] = []
        let bytes = Dictionary(peers.map { ($0.publicKey, $0.receivedBytes) }) { first, _ in first }
        for (key, check) in checks where check.due <= now + DomainLimit.evidenceTolerance {
            guard bytes[key] == check.receivedBytes else {
                checks[key] = nil
                continue
            }
            // Without a token it stays due, and is asked about again when there is one.
            if bucket.take(DomainLimit.resets, at: now) {
                expired.append(key)
                checks[key] = nil
            } else {
                checks[key]?.due = now + DomainLimit.resets.interval
            }
        }
        nextDue = checks.values.map(\.due).min()
        return expired
    }
}
