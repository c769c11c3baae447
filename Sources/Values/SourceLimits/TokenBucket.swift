/// A bucket that holds a number of tokens and gets a new one after each interval: what may happen often in a burst, and
/// at a steady pace in the long run.
///
/// Instead of a count it keeps the time at which it will be full again, which needs no refilling.
public struct TokenBucket: Hashable, Sendable {
    /// Tokens in a full bucket, and nanoseconds until the next one comes.
    public struct Size: Hashable, Sendable {
        public let burst: UInt64
        public let nanoseconds: UInt64

        /// - Precondition: both are more than zero.
        public init(burst: UInt64, interval: Duration) {
            let nanoseconds = UInt64(nanosecondsOf: interval)
            precondition(burst > 0 && nanoseconds > 0, "a bucket holds something and is refilled")
            self.burst = burst
            self.nanoseconds = nanoseconds
        }

        /// Time until the next token comes.
        public var interval: Duration { .nanoseconds(Int64(nanoseconds)) }

        /// A bucket for `factor` of those who have one of this size.
        func times(_ factor: UInt64) -> Size {
            Size(burst: burst * factor, interval: .nanoseconds(Int64(nanoseconds / factor)))
        }
    }

    /// Nanoseconds since the start of the machine.
    private(set) var fullAt: UInt64 = 0

    /// A full bucket.
    public init() {}

    /// Whether no token is missing.
    public func isFull(at now: Duration) -> Bool { fullAt <= UInt64(nanosecondsOf: now) }

    /// Takes a token, or several at once.
    ///
    /// - Parameters:
    ///   - count: 1 to 2^32. More than a full bucket holds are never there.
    ///   - now: time since the start of the machine.
    /// - Returns: whether they were there; else none is taken.
    public mutating func take(_ size: Size, count: UInt64 = 1, at now: Duration) -> Bool {
        guard count <= size.burst else { return false }
        let now = UInt64(nanosecondsOf: now)
        let next = max(fullAt, now) + size.nanoseconds * count
        guard next - now <= size.burst * size.nanoseconds else { return false }
        fullAt = next
        return true
    }
}

extension UInt64 {
    /// A time that is not negative; the 64 bits last 584 years.
    init(nanosecondsOf duration: Duration) {
        let (seconds, attoseconds) = duration.components
        self = UInt64(seconds) * 1_000_000_000 + UInt64(attoseconds) / 1_000_000_000
    }
}
