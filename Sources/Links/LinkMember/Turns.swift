internal import Time
internal import WireGuardTypes

/// Who may call another member now. A hub forwards so much for one machine, and a machine that comes to a large mesh has
/// more to say: it calls one after the other. What belongs to a session that is being made goes at once, and is counted.
struct Turns: Sendable {
    /// Less than a hub forwards: ``Switchboard/forwardLimit``.
    static let burst = 192
    static let interval = Duration.milliseconds(22)

    /// When as much may be said again as ever. With what had to be said at once it may be later than the limit allows.
    private var fullAt = MonotonicTime.start
    private var urgent: [PublicKey] = []
    private var others: [PublicKey] = []
    private var waiting: Set<PublicKey> = []

    /// Whether one more may call.
    func mayCall(at now: MonotonicTime) -> Bool { fullAt + Self.interval <= now + Self.interval * Self.burst }

    /// So many messages went.
    mutating func note(_ count: Int, at now: MonotonicTime) { fullAt = max(fullAt, now) + Self.interval * count }

    /// A member is to be called when there is room; those with traffic before others.
    mutating func wait(_ key: PublicKey, isUrgent: Bool) {
        guard waiting.insert(key).inserted else { return }
        if isUrgent { urgent.append(key) } else { others.append(key) }
    }

    /// Those who may be called now.
    mutating func take(at now: MonotonicTime) -> [PublicKey] {
        guard !waiting.isEmpty, mayCall(at: now) else { return [] }
        let room = Int((now + Self.interval * Self.burst - max(fullAt, now)) / Self.interval)
        let first = urgent.prefix(room)
        let then = others.prefix(room - first.count)
        urgent.removeFirst(first.count)
        others.removeFirst(then.count)
        waiting.subtract(first)
        waiting.subtract(then)
        return Array(first + then)
    }

    /// When there is room for the next one; `nil` if nobody waits.
    func nextDeadline(at now: MonotonicTime) -> MonotonicTime? {
        guard !waiting.isEmpty else { return nil }
        let tooMuch = fullAt + Self.interval - (now + Self.interval * Self.burst)
        return now + max(tooMuch, .zero)
    }
}
