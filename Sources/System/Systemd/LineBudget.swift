public import Logging
public import SystemCalls

/// Keeps strangers from filling the log: so many lines a second are written, the rest is counted.
public struct LineBudget: Sendable {
    /// Lines that strangers can cause in one second.
    public static let linesPerSecond = 50

    private var second: UInt64 = 0
    private var lines = 0

    public init() {}

    /// Writes a line as `Logger.log` of an event does, or counts it. The count comes with the first line of a later
    /// second, as ``GatewayEvent/leftOut``.
    ///
    /// - Parameters:
    ///   - event: what the line is about, and so on as for the logger.
    ///   - time: when, for a caller that knows.
    public mutating func log(
        _ event: GatewayEvent,
        _ level: Logger.Level,
        domain: String? = nil,
        key: String? = nil,
        _ message: @autoclosure () -> String,
        to log: Logger,
        at time: MonotonicTime = .now
    ) {
        guard log.logLevel <= level else { return }
        let now = time.nanoseconds / 1_000_000_000
        if now != second {
            if lines > Self.linesPerSecond {
                log.log(.leftOut, .notice, "\(lines - Self.linesPerSecond) more lines left out")
            }
            second = now
            lines = 0
        }
        lines += 1
        if lines <= Self.linesPerSecond { log.log(event, level, domain: domain, key: key, message()) }
    }
}
