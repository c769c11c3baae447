internal import BusMessages

/// Topics under which somebody else spoke of this gateway, until they are published anew.
struct Corrections: Sendable {
    private var topics: Set<BusTopic> = []
    /// When they are to be published; `nil` if there are none.
    private(set) var due: Duration?
    private var earliest = Duration.zero
    private var earliestNotice = Duration.zero

    /// Takes in a topic.
    ///
    /// - Returns: whether the operator is to hear of it.
    mutating func insert(_ topic: BusTopic, at now: Duration) -> Bool {
        let isFirst = topics.isEmpty
        topics.insert(topic)
        guard isFirst else { return false }
        due = max(now, earliest)
        guard earliestNotice <= now else { return false }
        earliestNotice = now + BusLimit.noticeInterval
        return true
    }

    /// The topics that are to be published now.
    mutating func take(at now: Duration) -> Set<BusTopic> {
        guard let due, due <= now else { return [] }
        defer { forget() }
        earliest = now + BusLimit.correctionInterval
        return topics
    }

    /// The connection is gone. The next one begins with all that this gateway says of itself.
    mutating func forget() {
        topics.removeAll()
        due = nil
    }
}
