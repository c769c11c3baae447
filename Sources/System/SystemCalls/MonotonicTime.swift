internal import Glibc

/// A point in time that no step of the wall clock moves.
public struct MonotonicTime: Comparable, Hashable, Sendable {
    /// Nanoseconds since this machine was started, those in which it slept included.
    public let nanoseconds: UInt64

    public init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

    /// Source: CLOCK_BOOTTIME of clock_gettime(2), which unlike CLOCK_MONOTONIC goes on while the machine sleeps.
    public static var now: MonotonicTime {
        var time = timespec()
        let result = unsafe clock_gettime(CLOCK_BOOTTIME, &time)
        precondition(result == 0, "CLOCK_BOOTTIME exists since Linux 2.6.39")
        return MonotonicTime(nanoseconds: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec))
    }

    /// Sleeps until this time is there. Source: clock_nanosleep(2).
    public func sleep() {
        var time = timespec(tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
        while unsafe clock_nanosleep(CLOCK_BOOTTIME, TIMER_ABSTIME, &time, nil) == EINTR {}
    }

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

/// Seconds since 1970 by the wall clock, which may step. Only for comparing with times that the kernel gives so.
public func wallClockSeconds() -> Int64 { Int64(time(nil)) }

/// Milliseconds since 1970 by the wall clock. Only for telling the later one of two messages.
public func wallClockMilliseconds() -> Int64 {
    var time = timespec()
    let result = unsafe clock_gettime(CLOCK_REALTIME, &time)
    precondition(result == 0, "CLOCK_REALTIME exists everywhere")
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
}
