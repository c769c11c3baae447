/// A subscription that is to be made.
public struct Subscription: Hashable, Sendable {
    public let filter: String
    /// Whether our own messages are wanted too.
    public var withOwn = false
    /// Whether those are wanted that the broker keeps.
    public var withKept = true
    /// Whether each is to be acknowledged: quality 1, and else 0.
    public var isAcknowledged = true
    /// Index of the domain whose notes come, if it is about notes.
    var notesOf: Int?

    /// What is kept, our own messages of an earlier connection included, and then the later messages of others.
    static func keptAndOthers(_ filter: String) -> [Subscription] {
        [Subscription(filter: filter, withOwn: true), Subscription(filter: filter, withKept: false)]
    }

    /// Notes that are kept, our own of an earlier connection included, and then the later notes of others.
    ///
    /// - Parameters:
    ///   - index: of the domain whose notes these are.
    ///   - isAcknowledged: whether the broker sends the kept ones with quality 1.
    static func notes(_ filter: String, of index: Int, isAcknowledged: Bool) -> [Subscription] {
        [
            Subscription(filter: filter, withOwn: true, isAcknowledged: isAcknowledged, notesOf: index),
            Subscription(filter: filter, withKept: false),
        ]
    }
}
