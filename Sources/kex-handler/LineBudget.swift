internal import Logging
internal import SystemCalls

/// Keeps strangers from filling the log: so many lines a second are written, the rest is counted.
struct LineBudget {
    /// Lines that strangers can cause in one second.
    static let linesPerSecond = 50

    private var second: UInt64 = 0
    private var lines = 0

    /// Writes `message`, or counts it.
    mutating func log(
        _ level: Logger.Level,
        _ message: @autoclosure () -> String,
        to log: Logger,
        at time: MonotonicTime = .now
    ) {
        let now = time.nanoseconds / 1_000_000_000
        if now != second {
            if lines > Self.linesPerSecond { log.notice("\(lines - Self.linesPerSecond) more lines left out") }
            second = now
            lines = 0
        }
        lines += 1
        if lines <= Self.linesPerSecond { log.log(level: level, "\(message())") }
    }
}
