public import Time
internal import WireGuardTypes

/// One machine among those that share a hub. It does no I/O and knows no clock: it is told what happened and when, and
/// says what is to be done.
public struct LinkMember {
    private let settings: LinkSettings
    private var random: any RandomNumberGenerator & Sendable
    private var work: [LinkWork] = []

    /// - Parameter random: outside of tests one that nobody can predict.
    public init(settings: LinkSettings, random: any RandomNumberGenerator & Sendable = SystemRandomNumberGenerator()) {
        self.settings = settings
        self.random = random
    }

    /// Takes what happened at `now`, which never goes back.
    public mutating func take(_ event: LinkEvent, at now: MonotonicTime) {
    }

    /// What is to be done now. Call it after events, and at ``nextDeadline``.
    public mutating func work(at now: MonotonicTime) -> [LinkWork] {
        defer { work = [] }
        return work
    }

    /// When there is something to do without an event; `nil` before the first snapshot.
    public var nextDeadline: MonotonicTime? { nil }

    /// Leaves the mesh: what is to be done before the program ends.
    public mutating func leave(at now: MonotonicTime) -> [LinkWork] { [] }

    public func status(at now: MonotonicTime) -> LinkStatus { LinkStatus(members: []) }
}
