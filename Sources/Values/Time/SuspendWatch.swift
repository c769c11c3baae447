/// Tells that the machine has slept. It knows no clock: it compares one that goes on meanwhile with one that does not.
public struct SuspendWatch: Hashable, Sendable {
    /// A shorter sleep counts with the next one, or for nothing. No session is lost by it.
    public static let least = Duration.seconds(2)

    /// How long it has slept, as far as it was noticed.
    private var slept: Duration

    /// - Parameters:
    ///   - sinceStart: time since the start of the machine, that in which it slept included.
    ///   - awake: the same without that.
    public init(sinceStart: Duration, awake: Duration) { slept = sinceStart - awake }

    /// Whether the machine has slept since the last sleep that was noticed.
    public mutating func noticesSleep(sinceStart: Duration, awake: Duration) -> Bool {
        let now = sinceStart - awake
        guard now - slept > Self.least else { return false }
        slept = now
        return true
    }
}
