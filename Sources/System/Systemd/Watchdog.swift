internal import SystemCalls
public import Time

/// The service's side of `WatchdogSec=`: systemd restarts a service that it has not heard of for so long. To be fed by
/// the loop that does the work, so that it starves when that hangs. Without a watchdog it does nothing.
///
/// Source: sd_watchdog_enabled(3).
public struct Watchdog: Sendable {
    /// How often it is fed within systemd's time limit. Twice would do by the book; a round of the loop may be late.
    static let feedsPerLimit = 4

    private let interval: Duration
    /// When the loop has to call ``feed(now:)`` at the latest; `nil` if there is no watchdog. At first that is at once.
    public private(set) var nextFeed: MonotonicTime?

    /// Looks in the environment whether this process has a watchdog (`WATCHDOG_USEC`, `WATCHDOG_PID`).
    public init() {
        let limit = ManagerEnvironment.number("WATCHDOG_USEC")
        let isOurs = ManagerEnvironment.names(thisProcessIn: "WATCHDOG_PID") ?? true
        self.init(limit: limit.flatMap { isOurs && $0 > 0 ? .microseconds($0) : nil }, now: .now)
    }

    init(limit: Duration?, now: MonotonicTime) {
        interval = (limit ?? .zero) / Self.feedsPerLimit
        nextFeed = limit == nil ? nil : now
    }

    /// Tells systemd that the loop goes round, if it is time to. Cheap enough for every round.
    public mutating func feed(now: MonotonicTime) {
        guard let nextFeed, nextFeed <= now else { return }
        self.nextFeed = now + interval
        ServiceState.notify("WATCHDOG=1")
    }
}
