internal import SourceLimits
internal import WireGuardTypes

/// Routers that registered although they have a peer, and what there is against their sessions.
///
/// A router whose clock went back is kept out by its own last handshake: WireGuard takes none that claims to be older
/// (whitepaper, section 5.1), and forgets only with the peer. But public keys are public, so whoever registers one must
/// not be able to end its owner's session. So the session itself is checked: what it receives is authenticated, and a
/// router that is there sends something.
struct SessionChecks: Sendable {
    private struct Check: Sendable {
        /// Time since the start of the machine.
        var due: Duration
        /// If WireGuard has not received more than this by then, the session is dead.
        var receivedBytes: UInt64
        /// Time since the start of the machine. A snapshot that was begun later knows better what had been received
        /// then.
        let since: Duration
    }

    private var checks: [PublicKey: Check] = [:]
    private var bucket = TokenBucket()
    /// When ``expired(_:at:)`` has something to find, time since the start of the machine.
    private(set) var nextDue: Duration?

    /// Schedules a check of the router, unless there is one.
    mutating func arm(_ key: PublicKey, receivedBytes: UInt64, at now: Duration, due: Duration) {
        guard checks[key] == nil else { return }
        checks[key] = Check(due: due, receivedBytes: receivedBytes, since: now)
        nextDue = min(nextDue ?? due, due)
    }

    /// Whether the router registered a moment ago, and is still to be checked.
    func isArmed(_ key: PublicKey) -> Bool { checks[key] != nil }

    /// When the router is to be checked; `nil` for never.
    func due(of key: PublicKey) -> Duration? { checks[key]?.due }

    mutating func remove(_ key: PublicKey) {
        // To find the next one takes a pass over all checks, for each of many removals at once. One check too early
        // costs less.
        checks[key] = nil
        if checks.isEmpty { nextDue = nil }
    }

    /// Takes in what a snapshot of WireGuard says of those who registered shortly before it was begun: what the table
    /// knew then may have been older. Not of those who are to be checked now: for them only what has come in since is
    /// evidence.
    mutating func begin(inSnapshotOf time: Duration, receivedBytes: (PublicKey) -> UInt64?) {
        for (key, check) in checks
        where check.due > check.since && check.since <= time && time < check.since + DomainLimit.evidenceDelay {
            if let bytes = receivedBytes(key) { checks[key]?.receivedBytes = bytes }
        }
    }

    /// Takes in what a snapshot of WireGuard says.
    ///
    /// - Parameters:
    ///   - time: when it was begun. Who is due only after that is asked about again.
    ///   - receivedBytes: what it says of a router; `nil` if nothing.
    /// - Returns: whose session has been silent for its time, as many as may be reset now.
    mutating func expired(
        inSnapshotOf time: Duration,
        at now: Duration,
        receivedBytes: (PublicKey) -> UInt64?
    ) -> [PublicKey] {
        var expired: [PublicKey] = []
        for (key, check) in checks where check.due <= time + DomainLimit.evidenceTolerance {
            guard let received = receivedBytes(key) else { continue }
            guard received == check.receivedBytes else {
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
