internal import KexProtocol

/// Whether the broker has sent all that it keeps of one domain. A broker that limits what waits for a client drops the
/// rest of a large set silently, so each gateway keeps the number of its notes there as well.
struct Replay: Sendable {
    /// What is to be done after a check.
    enum Verdict: Hashable, Sendable {
        /// Subscribe once more, without acknowledgements: such messages need no place in the broker's queue (measured
        /// with mosquitto 2.0.11: all of 20,000 come, where 20 and `max_queued_messages` came before).
        case ask
        /// Notes of this gateway are missing still. Each comes when it is refreshed.
        case giveUp(GatewayName, seen: Int, of: Int64)
    }

    private var seen: [GatewayName: Int] = [:]
    private var counts: [GatewayName: Int64] = [:]
    /// How often the missing notes of a gateway were requested again.
    private var tries: [GatewayName: Int] = [:]
    /// When to check; `nil` if nothing is missing, or nothing more is to be done about it.
    private(set) var due: Duration?

    /// A subscription begins, and the broker sends all notes once more. A broker that drops messages may drop its
    /// answer too.
    mutating func begin(at now: Duration) {
        seen.removeAll()
        due = now + BusLimit.subscriptionTime
    }

    /// The broker has answered the subscription.
    mutating func answered(at now: Duration) { due = now + BusLimit.replayTime }

    /// The connection is another one.
    mutating func forget() { self = Replay() }

    mutating func see(_ gateway: GatewayName) {
        guard seen[gateway] != nil || seen.count < BusLimit.gateways else { return }
        seen[gateway, default: 0] += 1
    }

    mutating func take(_ count: Int64, of gateway: GatewayName) {
        guard counts[gateway] != nil || counts.count < BusLimit.gateways else { return }
        counts[gateway] = count
    }

    /// - Returns: `nil` if nothing is missing, or it is not time.
    mutating func check(at now: Duration) -> Verdict? {
        guard let due, due <= now else { return nil }
        self.due = nil
        let missing = counts.filter { Int64(seen[$0.key] ?? 0) < $0.value }
        tries = tries.filter { missing[$0.key] != nil }
        let askable = missing.keys.filter { tries[$0, default: 0] < BusLimit.replays }
        for gateway in askable { tries[gateway, default: 0] += 1 }
        if !askable.isEmpty { return .ask }
        return missing.first.map { .giveUp($0.key, seen: seen[$0.key] ?? 0, of: $0.value) }
    }
}
