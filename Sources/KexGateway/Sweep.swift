public import WireGuardTypes

/// What a sweep makes of one router.
public struct SweepVerdict: Hashable, Sendable {
    /// What is to be done about the router.
    public enum Action: Hashable, Sendable {
        /// Stale for the first time.
        case mark
        /// Marked, but not long enough ago.
        case wait
        /// Stale, and marked long enough ago: take it out, then call ``DomainTable/remove(_:)``.
        case remove
        /// Heard of since it was marked.
        case unmark
    }

    public var key: PublicKey
    public var addresses: RouterAddresses
    public var action: Action
    /// Seconds since the last handshake; `nil` if there never was one.
    public var silence: Int64?
}

extension DomainTable {
    /// Goes through all routers, in the order of their keys' text. Call it right after ``reset(to:)``.
    ///
    /// A router is stale if its last handshake is older than ``DomainRules/staleAfter``, or if there never was one.
    /// WireGuard gives that time by the wall clock, so a handshake of the future counts as fresh, and one more thing
    /// is asked before a router is taken out: that no authenticated byte came in since it was marked.
    ///
    /// - Parameters:
    ///   - sinceStart: time since the start of the machine.
    ///   - wallClock: seconds since 1970.
    ///   - isDryRun: leave the marks as they are.
    public mutating func sweep(sinceStart: Duration, wallClock: Int64, isDryRun: Bool) -> [SweepVerdict] {
        var verdicts: [SweepVerdict] = []
        for (key, router) in routers {
            // Before 1970 is as good as in 1970, and then the difference has no overflow.
            let silence = router.lastHandshake.map { wallClock - max($0, 0) }
            let isStale = silence.map { .seconds($0) > rules.staleAfter } ?? true
            var mark: StaleMark? = nil
            let action: SweepVerdict.Action?
            switch (isStale, router.mark) {
            case (false, nil): action = nil
            case (false, .some): action = .unmark
            case (true, nil):
                action = .mark
                mark = StaleMark(since: sinceStart, receivedBytes: router.receivedBytes)
            case (true, let old?) where old.receivedBytes != router.receivedBytes: action = .unmark
            case (true, let old?):
                action = sinceStart - old.since < rules.sweepInterval ? .wait : .remove
                mark = old
            }
            if !isDryRun { routers[key]?.mark = mark }
            if let action {
                verdicts.append(SweepVerdict(key: key, addresses: router.addresses, action: action, silence: silence))
            }
        }
        return verdicts.sorted { $0.key.description < $1.key.description }
    }
}
