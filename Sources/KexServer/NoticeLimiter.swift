internal import SystemCalls

/// Lets one log line on a subject through in a given time.
struct NoticeLimiter {
    private let interval: Duration
    private var next: MonotonicTime?

    init(interval: Duration) { self.interval = interval }

    /// Whether the line may be written now.
    mutating func permits(now: MonotonicTime) -> Bool {
        if let next, now < next { return false }
        next = now + interval
        return true
    }
}
