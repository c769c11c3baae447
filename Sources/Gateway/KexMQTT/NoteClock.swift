internal import Time

/// The times of our notes, and steps of the clock that they are taken from.
struct NoteClock: Sendable {
    private var lastTime: Int64 = 0
    /// Wall clock less time since the start of the machine, at the last check.
    private var offset: Duration?

    /// The time of the next note, in milliseconds since 1970. It is later than that of the note before, so that no two
    /// notes on a router are taken for the same. After the clock was set back by more than ``BusLimit/clockGuard``, it
    /// is the right time instead.
    mutating func next(at now: Moment) -> Int64 {
        let isFarAhead = lastTime - now.milliseconds > Int64(BusLimit.clockGuard / .milliseconds(1))
        lastTime = isFarAhead ? now.milliseconds : max(now.milliseconds, lastTime + 1)
        return lastTime
    }

    /// How far the clock was stepped since the last check, forward if positive; `nil` if it was not stepped.
    mutating func step(at now: Moment) -> Duration? {
        let offset = .milliseconds(now.milliseconds) - now.sinceStart
        defer { self.offset = offset }
        guard let before = self.offset else { return nil }
        let step = offset - before
        return abs(step.components.seconds) >= BusLimit.clockStep.components.seconds ? step : nil
    }
}
