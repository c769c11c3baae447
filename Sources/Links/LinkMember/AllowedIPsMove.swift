internal import LinkMessages
internal import Time

/// Moves the allowed IPs of two members from the hub to their pair, on both sides one after the other.
///
/// Allowed IPs are routing table and source filter at once, so what is on its way meanwhile is lost, whatever the order
/// (measured). The initiator asks by `move`, the responder moves and says `moved`, the initiator moves. So both have
/// moved within one round trip, and a lost message is repeated.
struct AllowedIPsMove: Hashable, Sendable {
    /// Between repetitions.
    static let interval = Duration.milliseconds(300)

    let isInitiator: Bool
    /// Whether this side's allowed IPs are at the pair.
    private(set) var isMoved = false
    private var lastMessage: MonotonicTime?
    private var firstMessage: MonotonicTime?

    init(isInitiator: Bool) { self.isInitiator = isInitiator }

    /// What the initiator is to say now, while both have a session that works.
    mutating func message(at now: MonotonicTime) -> LinkMessage? {
        guard isInitiator, !isMoved, lastMessage.map({ $0 + Self.interval <= now }) ?? true else { return nil }
        lastMessage = now
        if firstMessage == nil { firstMessage = now }
        return .switching(.move)
    }

    /// Whether the other side should have answered: then nothing arrives, and it may have moved all the same.
    func isUnanswered(at now: MonotonicTime) -> Bool {
        !isMoved && firstMessage.map { $0 + FailureWatch.patience <= now } ?? false
    }

    var nextDeadline: MonotonicTime? {
        isInitiator && !isMoved ? lastMessage.map { $0 + Self.interval } : nil
    }

    /// The other side said something. Returns the answer.
    mutating func take(_ phase: LinkMessage.SwitchPhase) -> LinkMessage? {
        switch phase {
        case .move where !isInitiator:
            isMoved = true
            return .switching(.moved)
        case .moved where isInitiator:
            isMoved = true
        default: break
        }
        return nil
    }

    /// This side's allowed IPs are at the pair already.
    mutating func noteMoved() { isMoved = true }

    /// This side's allowed IPs are at the hub again.
    mutating func goBack() {
        isMoved = false
        lastMessage = nil
        firstMessage = nil
    }
}
