internal import SystemCalls
public import Time

/// Lets one log line on a subject through in a given time.
public struct NoticeLimiter: Sendable {
    private let interval: Duration
    private var next: MonotonicTime?

    public init(interval: Duration) { self.interval = interval }

    /// Whether the line may be written now.
    public mutating func permits(now: MonotonicTime) -> Bool {
        if let next, now < next { return false }
        next = now + interval
        return true
    }
}
