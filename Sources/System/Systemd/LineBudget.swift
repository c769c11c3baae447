public import Logging
public import SystemCalls
public import Time

/// Keeps strangers from filling the log: so many lines a second are written, the rest is counted.
public struct LineBudget: Sendable {
    /// Lines that strangers can cause in one second.
    public static let linesPerSecond = 50

    private var second: UInt64 = 0
    private var lines = 0

    public init() {}

    /// Whether one more line may be written now. One that may not is counted; the count comes with the first line of a
    /// later second, as ``ServiceEvent/leftOut``. A line that the log would not take anyhow costs nothing.
    ///
    /// - Parameters:
    ///   - level: of the line.
    ///   - time: when, for a caller that knows.
    public mutating func permits(_ level: Logger.Level, to log: Logger, at time: MonotonicTime = .now) -> Bool {
        guard log.logLevel <= level else { return false }
        let now = time.nanoseconds / 1_000_000_000
        if now != second {
            if lines > Self.linesPerSecond {
                log.log(.leftOut, .notice, "\(lines - Self.linesPerSecond) more lines left out")
            }
            second = now
            lines = 0
        }
        lines += 1
        return lines <= Self.linesPerSecond
    }
}
