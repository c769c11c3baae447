public import NetworkAddresses

/// A block of IPv6 addresses of which networks get a /64 for each of their nodes.
public struct Allocation: Hashable, Sendable {
    /// Shorter ones would have tags that no interface name has room for; in longer ones nothing is left to hand out.
    public static let lengths: ClosedRange<UInt8> = 32...62
    /// Interface names end with the number.
    public static let numbers: ClosedRange<UInt8> = 0...99

    /// A network of ``lengths``.
    public let prefix: IPv6Prefix
    /// Unique in a document; it stands in the names of interfaces.
    public let number: UInt8
    /// The router of the first /64; `nil` for its `::1`.
    public var gateway: IPv6Address?
    /// Whose block it is.
    public var site: PlaceName?
    /// How many /64 at the head are reserved instead of what ``reservedCount`` says: at the head of each /48, or of the
    /// block itself if that is smaller.
    public let reserve: UInt32?

    /// Returns `nil` if the prefix has host bits or a length out of ``lengths``, or the number is out of ``numbers``.
    public init?(
        prefix: IPv6Prefix,
        number: UInt8,
        gateway: IPv6Address? = nil,
        site: PlaceName? = nil,
        reserve: UInt32? = nil
    ) {
        guard prefix.isNetwork, Self.lengths.contains(prefix.length), Self.numbers.contains(number) else { return nil }
        self.prefix = prefix
        self.number = number
        self.gateway = gateway
        self.site = site
        self.reserve = reserve
    }

    /// Bits of the number of a /64 in the block: 2 to 32.
    public var indexBits: UInt8 { 64 - prefix.length }

    /// How many /64 there are.
    public var segmentCount: UInt64 { 1 << UInt64(indexBits) }

    /// How many /64 at the head are for routers: of each /48, or of the block if it is smaller. A /48 keeps 256, so that
    /// `::1` to `::ff` are the site's. A smaller one keeps a sixteenth, and at least two, for the second would have the
    /// tag of `::1`.
    public var reservedCount: UInt64 {
        if let reserve { return UInt64(reserve) }
        return prefix.length <= 48 ? 256 : max(2, min(256, segmentCount / 16))
    }

    /// How many /64 can be handed out to networks with IPv4.
    public var usableCount: UInt64 {
        let block = min(segmentCount, 0x1_0000)
        let first = min(reservedCount, block)
        // In a whole block of 16 bits, those that end with 0000 and ffff; in a smaller one, if it lies there.
        let unusable = [UInt64(0), 0xffff].count { low in
            let base = prefix.address.high & 0xffff
            let inBlock = block == 0x1_0000 ? low : low &- base
            return inBlock < block && inBlock >= first
        }
        return (block - first - UInt64(unusable)) * (segmentCount / block)
    }

    /// The number of a /64 in the block, from 0; `nil` if it is elsewhere.
    public func index(of segment: Segment) -> UInt64? {
        prefix.contains(segment.prefix) ? segment.upper & (segmentCount - 1) : nil
    }

    /// The /64 with this number; `nil` if there are not so many.
    public func segment(at index: UInt64) -> Segment? {
        index < segmentCount ? Segment(upper: prefix.address.high | index) : nil
    }

    /// Whether a /64 of this block is for routers.
    public func isReserved(_ index: UInt64) -> Bool { index & 0xffff < reservedCount }

    /// The first /64, in which the routers are.
    public var routerSegment: Segment { Segment(upper: prefix.address.high) }

    /// Where the exits send what leaves by IPv6.
    public var gatewayAddress: IPv6Address { gateway ?? routerSegment.address(1) }

    /// The tag of a /64 of this block; `nil` if it is elsewhere.
    public func tag(of segment: Segment) -> Tag? {
        guard prefix.contains(segment.prefix) else { return nil }
        let bits = max(16, indexBits)
        return Tag(value: UInt32(truncatingIfNeeded: segment.upper & (1 << UInt64(bits) - 1)), bits: bits)
    }

    /// The address of an exit in the first /64: the tag behind it.
    public func exitAddress(of tag: Tag) -> IPv6Address { routerSegment.address(UInt64(tag.value)) }
}

/// A /64: what one network has on one node.
public struct Segment: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// The first 64 bits of all its addresses.
    public let upper: UInt64

    public init(upper: UInt64) { self.upper = upper }

    /// Returns `nil` if the prefix is no /64, or has bits behind it.
    public init?(_ prefix: IPv6Prefix) {
        guard prefix.length == 64, prefix.address.low == 0 else { return nil }
        upper = prefix.address.high
    }

    public var prefix: IPv6Prefix {
        guard let prefix = IPv6Prefix(address(0), length: 64) else { preconditionFailure("64 is at most 128") }
        return prefix
    }

    /// The address with these last 64 bits.
    public func address(_ lower: UInt64) -> IPv6Address { IPv6Address(high: upper, low: lower) }

    /// Of the network resource itself, on its inner side.
    public var routerAddress: IPv6Address { address(1) }

    public var description: String { prefix.description }

    public static func < (left: Self, right: Self) -> Bool { left.upper < right.upper }
}
