internal import SystemCalls
public import Time
internal import WireGuardTypes

/// When a domain's table is refreshed.
struct RefreshSchedule {
    /// When the next refresh is to be begun; `nil` for not before somebody asks.
    var next: MonotonicTime?
    /// No refresh before this.
    var earliest = MonotonicTime.start
    var isRunning = false
    /// Something happened while one was made.
    var isWantedAgain = false
    /// Whether an interface has changed, or was never read: nothing is known until the refresh that follows.
    var isOutdated = true
    /// Whether somebody waits for the refresh that is being made, or the next one.
    var isAwaited = false
    /// Whether fdb entries must be listed with the next refresh: between listings the kernel reports them.
    var needsEntries = true
    /// When the last one that came to something was begun, or the first that did not.
    var last: MonotonicTime?
    /// When registrations want a newer one.
    var expires = MonotonicTime.start
    /// How long a refresh takes: the quicker one of the last two, because one is slow too when WireGuard in user space
    /// was stopped for a while.
    private(set) var cost = Duration.zero
    private var lastCost: Duration?
    /// Until then the table is kept fresh.
    var demandEnd = MonotonicTime.start
    /// Grows when a refresh that is being made is worth nothing.
    var generation = 0
    /// Who was missing in an interrupted list.
    var absent: Set<PublicKey> = []

    /// How much longer a refresh is used than it took: so at most this share of the time goes into asking the kernel,
    /// however fast registrations come in. What somebody else changes meanwhile is seen that much later: some
    /// hundredths of a second with 10 peers, half a second with 1,000.
    static let use = 100
    /// Refreshes that are asked for take one part in so many of the time at most.
    static let share = 20
    /// Longest use of a refresh, when there are few domains, unless that is less than ``share`` allows.
    static func longestUse(_ cost: Duration) -> Duration { max(.seconds(2), cost * share) }
    /// Who needs a refresh that takes no longer than this waits for it.
    static let shortCost = Duration.milliseconds(2)
    /// Registrations wait for a refresh when the last one is older than this, however long it takes.
    static let oldest = Duration.seconds(60)
    /// For how long after the last registration or question the table is kept fresh, so that the next one need not
    /// wait.
    static let demandTime = Duration.seconds(60)
    /// After a failure the domain rests for this long at least.
    static let restAfterFailure = Duration.milliseconds(100)
    /// A domain out of service is refreshed this often, without being asked; or after four times what the last attempt
    /// took, if that is longer.
    static let retryPause = Duration.seconds(1)
    /// Changes of interfaces come in bursts; they are given this time.
    static let settlingTime = Duration.milliseconds(10)

    /// Has a refresh begin no later than at this time, or when one may be begun again.
    ///
    /// - Parameter isUrgent: without regard to how much of the time goes into refreshes.
    mutating func want(at time: MonotonicTime, isUrgent: Bool = false) {
        if isRunning {
            // What is being read may be from before.
            isWantedAgain = true
        } else {
            let time = isUrgent ? time : max(time, earliest)
            next = min(next ?? time, time)
        }
    }

    mutating func begin() {
        next = nil
        isRunning = true
        isWantedAgain = false
        needsEntries = false
    }

    mutating func end() {
        isRunning = false
        isAwaited = false
    }

    /// What was read is as new as the last report of the kernel, unless that came while it was read.
    mutating func noteRead() { isOutdated = isWantedAgain && isOutdated }

    /// A refresh succeeded.
    ///
    /// - Parameters:
    ///   - cost: how long it took.
    ///   - pause: how long registrations use it, given its cost and the longest use.
    mutating func noteSuccess(
        begun: MonotonicTime,
        cost: Duration,
        at now: MonotonicTime,
        pause: (Duration, Duration) -> Duration
    ) {
        self.cost = min(lastCost ?? cost, cost)
        lastCost = cost
        last = begun
        let limit = Self.longestUse(self.cost)
        expires = now + pause(self.cost, limit)
        earliest = now + min(self.cost * Self.share, limit)
    }

    /// A refresh failed, or a change that should not fail. It was begun at `start`.
    mutating func noteFailure(since start: MonotonicTime, at now: MonotonicTime) {
        needsEntries = true
        last = last ?? now
        earliest = now + max(Self.restAfterFailure, now - start)
        want(at: now + max(Self.retryPause, (now - start) * 4))
    }
}

/// The earlier one of two times that may be never. Asked for each domain in each round of the loop, so it makes no
/// array.
public func earliest(_ one: MonotonicTime?, _ other: MonotonicTime?) -> MonotonicTime? {
    guard let one, let other else { return one ?? other }
    return min(one, other)
}
