internal import SystemCalls
public import Time

/// What the log says of something that is lost, and comes back: why, again when the reason is another one, and that it
/// is back. All of it not more often than once in a given time.
public struct LossNotice: Sendable {
    /// The last reason that was said; `nil` if it was not lost since it was said to be back.
    private var reason: String?
    private var losses: NoticeLimiter
    private var returns: NoticeLimiter

    public init(interval: Duration) {
        losses = NoticeLimiter(interval: interval)
        returns = NoticeLimiter(interval: interval)
    }

    /// Whether this reason is to be said now.
    public mutating func permits(loss reason: String, now: MonotonicTime) -> Bool {
        guard reason != self.reason, losses.permits(now: now) else { return false }
        self.reason = reason
        return true
    }

    /// Whether it is to be said now that it is back.
    public mutating func permitsReturn(now: MonotonicTime) -> Bool {
        guard reason != nil, returns.permits(now: now) else { return false }
        reason = nil
        return true
    }
}
