internal import CSystemd
public import SystemCalls

/// Tells systemd that the service still works. systemd kills one that it has not heard of for `WatchdogSec=`.
///
/// Whoever feeds it must be the loop that does the work: a thread of its own would tell only that the process exists.
///
/// Source: sd_watchdog_enabled(3).
public struct Watchdog: Sendable {
    /// Time from one feeding to the next: a quarter of what systemd allows. `nil` without a watchdog.
    private let pause: Duration?
    /// When to feed it next; `nil` without a watchdog.
    public private(set) var nextFeed: MonotonicTime?

    /// The watchdog of this process, if systemd wants one.
    public init() {
        var microseconds: UInt64 = 0
        let isWanted = unsafe sd_watchdog_enabled(0, &microseconds) > 0
        pause = isWanted ? .microseconds(Int64(clamping: microseconds / 4)) : nil
        nextFeed = isWanted ? .now : nil
    }

    /// Feeds it, if it is time to. Cheap enough for every round of a loop.
    public mutating func feed(now: MonotonicTime) {
        guard let pause, let nextFeed, nextFeed <= now else { return }
        ServiceState.notify("WATCHDOG=1")
        self.nextFeed = now + pause
    }
}
