/// Whether the broker sends what this gateway publishes under `kex/` back to it, as to every subscriber.
///
/// An account that may not read those topics gets nothing, and no word of that: mosquitto answers the subscription with
/// success (measured). Then nothing of other gateways comes either.
struct Echo: Sendable {
    /// When it is missed; `nil` while nothing is awaited.
    private(set) var due: Duration?
    private var isHeard = false
    /// Whether it was said to be missing.
    private var isReported = false

    /// A new connection to the broker, or none.
    mutating func restart() {
        due = nil
        isHeard = false
    }

    /// The broker has accepted something that it owes to its subscribers.
    mutating func await(at now: Duration) {
        if !isHeard, due == nil { due = now + BusLimit.echoTime }
    }

    /// - Returns: whether it comes again after it was said to be missing.
    mutating func hear() -> Bool {
        defer { isReported = false }
        due = nil
        isHeard = true
        return isReported
    }

    /// - Returns: whether it is missing now, and was not before.
    mutating func isMissing(at now: Duration) -> Bool {
        guard let due, due <= now else { return false }
        self.due = nil
        // One that comes later still counts, and nothing is awaited twice on one connection.
        isHeard = true
        defer { isReported = true }
        return !isReported
    }
}
