/// The two clocks at one moment. Together they show whether one of them was stepped.
public struct Clocks: Hashable, Sendable {
    /// Seconds since 1970, as the machine believes. WireGuard tells the time of a handshake by this one.
    public var wallClock: Int64
    /// Time since the start of the machine, which never steps.
    public var sinceStart: Duration

    public init(wallClock: Int64, sinceStart: Duration) {
        self.wallClock = wallClock
        self.sinceStart = sinceStart
    }
}
