/// A point in time that no step of the wall clock moves.
///
/// "Never" is an optional without a value, and spans are `Duration`.
public struct MonotonicTime: Comparable, Hashable, Sendable {
    /// Nanoseconds since this machine was started, those in which it slept included.
    public let nanoseconds: UInt64

    public init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

    /// When this machine was started, which is before any now: what is due then is due at once.
    public static let start = MonotonicTime(nanoseconds: 0)

    /// The point so long after ``start``. A negative duration counts as none.
    public init(sinceStart duration: Duration) { self = .start + duration }

    /// Time since ``start``.
    public var sinceStart: Duration { self - .start }

    public static func < (left: Self, right: Self) -> Bool { left.nanoseconds < right.nanoseconds }

    /// The point `duration` later. A negative duration counts as none.
    public static func + (time: Self, duration: Duration) -> Self {
        let (seconds, attoseconds) = duration.components
        guard duration > .zero else { return time }
        return MonotonicTime(
            nanoseconds: time.nanoseconds + UInt64(seconds) * 1_000_000_000 + UInt64(attoseconds / 1_000_000_000)
        )
    }

    /// The time from `right` to `left`, negative if `left` came first.
    public static func - (left: Self, right: Self) -> Duration {
        .nanoseconds(Int64(bitPattern: left.nanoseconds &- right.nanoseconds))
    }
}
