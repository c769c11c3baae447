internal import NetworkAddresses
internal import WireGuardTypes

/// Where members are when they send to a port of the hub's relay. A request alone proves nothing: it may be one of an
/// earlier start of the member, which somebody has recorded and sends from elsewhere to a hub that was started anew. So
/// a place that is new is asked, and counts once it has answered.
struct RelayEnds: Hashable, Sendable {
    /// A member that sends to the port of another one.
    struct Door: Hashable, Sendable {
        var member: PublicKey
        var other: PublicKey
    }

    private struct Question: Hashable {
        var counter: UInt64
        var place: Endpoint
    }

    private var ends: [Door: Endpoint] = [:]
    /// The last question for each door.
    private var questions: [Door: Question] = [:]

    /// Whether a member has answered at that place, and nowhere else since.
    func isEnd(_ place: Endpoint, of door: Door) -> Bool { ends[door] == place }

    mutating func ask(_ door: Door, at place: Endpoint, counter: UInt64) {
        questions[door] = Question(counter: counter, place: place)
    }

    /// An answer came from there. Returns whether it is the one that was asked for.
    mutating func takes(_ counter: UInt64, from place: Endpoint, at door: Door) -> Bool {
        guard questions[door] == Question(counter: counter, place: place) else { return false }
        questions[door] = nil
        ends[door] = place
        return true
    }

    /// Forgets all doors of a member.
    mutating func remove(_ member: PublicKey) {
        ends = ends.filter { $0.key.member != member && $0.key.other != member }
        questions = questions.filter { $0.key.member != member && $0.key.other != member }
    }
}
