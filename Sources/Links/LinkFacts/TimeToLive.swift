/// For how long a fact holds from when it is sent or received, in whole seconds. What is relayed has only what is left of
/// it, so no fact grows older than its source meant.
public struct TimeToLive: Hashable, Sendable {
    /// 0 to 65535.
    public let seconds: UInt16

    /// Nothing is left: groups have it, where it means nothing.
    public static let none = TimeToLive(seconds: 0)
    /// What members give the facts that they make.
    public static let usual = TimeToLive(seconds: 255)

    public init(seconds: UInt16) { self.seconds = seconds }

    /// Takes the nearest that can be said: 0 for less than that, 65535 for more.
    public init(clamping seconds: Int64) { self.seconds = UInt16(clamping: seconds) }

    /// What is left at `now` of a fact that holds until `expiry`, both by one clock: whole seconds, the rest cut off.
    public init(until expiry: Duration, at now: Duration) {
        self.init(clamping: (expiry - now).components.seconds)
    }

    /// Until when a fact holds that was received at `time`.
    public func expiry(receivedAt time: Duration) -> Duration { time + .seconds(Int64(seconds)) }
}

extension TimeToLive: Comparable {
    public static func < (left: TimeToLive, right: TimeToLive) -> Bool { left.seconds < right.seconds }
}

extension TimeToLive: CustomStringConvertible {
    public var description: String { "\(seconds) s" }
}
