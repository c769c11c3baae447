/// The times of our notes, and the steps of the clock that they come from.
struct NoteClock: Sendable {
    private var lastTime: Int64 = 0
    /// Wall clock less time since the start of the machine, at the last look.
    private var offset: Duration?

    /// The time of the next note, in milliseconds since 1970. Each is later than the one before, so that no two notes on a
    /// router are taken for the same; but where the clock was put back by more than ``BusLimit/clockGuard``, right goes
    /// before later.
    mutating func next(at now: Moment) -> Int64 {
        let isFarAhead = lastTime - now.wallClock > Int64(BusLimit.clockGuard / .milliseconds(1))
        lastTime = isFarAhead ? now.wallClock : max(now.wallClock, lastTime + 1)
        return lastTime
    }

    /// By how much the clock was stepped since the last look, forward if it is positive; `nil` if it was not.
    mutating func step(at now: Moment) -> Duration? {
        let offset = .milliseconds(now.wallClock) - now.sinceStart
        defer { self.offset = offset }
        guard let before = self.offset else { return nil }
        let step = offset - before
        return abs(step.components.seconds) >= BusLimit.clockStep.components.seconds ? step : nil
    }
}
