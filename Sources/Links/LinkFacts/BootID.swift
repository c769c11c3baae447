/// Sixteen bytes that a member chooses at each start. A member that sees new ones sends everything again. Members of
/// the field put a random UUID there and check none of its bits.
public struct BootID: Hashable, Sendable {
    /// Length in bytes.
    public static let length = 16

    private let high, low: UInt64

    /// Returns `nil` unless there are ``length`` bytes.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == Self.length else { return nil }
        high = bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
        low = bytes.suffix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }

    public var bytes: [UInt8] {
        [high, low].flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (56 - 8 * UInt64($0))) } }
    }
}
