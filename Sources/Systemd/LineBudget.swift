public import Logging
public import SystemCalls

/// Keeps strangers from filling the log: so many lines a second are written, the rest is counted.
public struct LineBudget: Sendable {
    /// Lines that strangers can cause in one second.
    public static let linesPerSecond = 50

    private var second: UInt64 = 0
    private var lines = 0

    public init() {}

    /// Whether a line may be written now; otherwise it is counted.
    private mutating func permits(_ log: Logger, at time: MonotonicTime) -> Bool {
        let now = time.nanoseconds / 1_000_000_000
        if now != second {
            if lines > Self.linesPerSecond { log.notice("\(lines - Self.linesPerSecond) more lines left out") }
            second = now
            lines = 0
        }
        lines += 1
        return lines <= Self.linesPerSecond
    }

    /// Writes `message`, or counts it.
    public mutating func log(
        _ level: Logger.Level,
        _ message: @autoclosure () -> String,
        to log: Logger,
        at time: MonotonicTime = .now
    ) {
        if permits(log, at: time) { log.log(level: level, "\(message())") }
    }

    /// The same for a line with fields.
    public mutating func log(
        _ event: GatewayEvent,
        _ level: Logger.Level,
        domain: String? = nil,
        key: String? = nil,
        _ message: @autoclosure () -> String,
        to log: Logger,
        at time: MonotonicTime = .now
    ) {
        if permits(log, at: time) { log.log(event, level, domain: domain, key: key, message()) }
    }
}
