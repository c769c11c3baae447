internal import Glibc
// Whoever waits or watches with this module says until when, so all its users see the type.
public import Time

extension MonotonicTime {
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
}

/// Time since the start of the machine, without that in which it slept. Source: CLOCK_MONOTONIC of clock_gettime(2).
public func awakeTime() -> Duration {
    var time = timespec()
    let result = unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    precondition(result == 0, "CLOCK_MONOTONIC exists everywhere")
    return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
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
