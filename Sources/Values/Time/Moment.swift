/// Now, by both clocks. Together they show whether the wall clock was stepped.
public struct Moment: Hashable, Sendable {
    /// Time since the start of the machine, which never goes back.
    public var sinceStart: Duration
    /// Time since 1970, as the machine believes. It may step.
    public var wallClock: Duration

    public init(wallClock: Duration, sinceStart: Duration) {
        self.wallClock = wallClock
        self.sinceStart = sinceStart
    }

    /// - Parameter seconds: since 1970.
    public init(seconds: Int64, sinceStart: Duration) {
        self.init(wallClock: .seconds(seconds), sinceStart: sinceStart)
    }

    /// - Parameter milliseconds: since 1970.
    public init(milliseconds: Int64, sinceStart: Duration) {
        self.init(wallClock: .milliseconds(milliseconds), sinceStart: sinceStart)
    }

    /// Whole seconds since 1970: WireGuard tells the time of a handshake so.
    public var seconds: Int64 {
        get { wallClock.components.seconds }
        set { wallClock = .seconds(newValue) }
    }

    /// Whole milliseconds since 1970, at most what the type can hold.
    public var milliseconds: Int64 {
        get {
            let (seconds, attoseconds) = wallClock.components
            let (whole, isTooMuch) = seconds.multipliedReportingOverflow(by: 1000)
            return isTooMuch ? (seconds < 0 ? .min : .max) : whole + attoseconds / 1_000_000_000_000_000
        }
        set { wallClock = .milliseconds(newValue) }
    }

    /// A time in seconds since 1970, since the start of the machine. The future counts as now, and before 1970 as 1970.
    public func sinceStart(of seconds: Int64) -> Duration {
        sinceStart - .seconds(max(self.seconds - max(seconds, 0), 0))
    }
}
