/// Now, by both clocks.
public struct Moment: Hashable, Sendable {
    /// Since the start of the machine. Never goes back.
    public var sinceStart: Duration
    /// Milliseconds since 1970. May step.
    public var wallClock: Int64

    public init(sinceStart: Duration, wallClock: Int64) {
        self.sinceStart = sinceStart
        self.wallClock = wallClock
    }

    /// A time in seconds since 1970, since the start of the machine. The future counts as now, and before 1970 as 1970.
    func sinceStart(of seconds: Int64) -> Duration {
        sinceStart - .seconds(max(wallClock / 1000 - max(seconds, 0), 0))
    }
}
