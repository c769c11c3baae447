public import Time

/// How long a fact holds from when it is sent or received, in whole seconds. A relayed fact has only the time that is
/// left, so relaying does not prolong it.
public struct TimeToLive: Hashable, Sendable {
    /// 0 to 65535.
    public let seconds: UInt16

    /// No time is left. Groups have it, where it has no meaning.
    public static let none = TimeToLive(seconds: 0)
    /// What members give to facts of their own.
    public static let usual = TimeToLive(seconds: 255)

    public init(seconds: UInt16) { self.seconds = seconds }

    /// Takes 0 for a negative number and 65535 for a larger one.
    public init(clamping seconds: Int64) { self.seconds = UInt16(clamping: seconds) }

    /// The time left at `now` until `expiry`, rounded down.
    public init(until expiry: MonotonicTime, at now: MonotonicTime) {
        self.init(clamping: (expiry - now).components.seconds)
    }

    /// When a fact expires that was received at `time`.
    public func expiry(receivedAt time: MonotonicTime) -> MonotonicTime { time + .seconds(Int64(seconds)) }
}

extension TimeToLive: Comparable {
    public static func < (left: TimeToLive, right: TimeToLive) -> Bool { left.seconds < right.seconds }
}

extension TimeToLive: CustomStringConvertible {
    public var description: String { "\(seconds) s" }
}
