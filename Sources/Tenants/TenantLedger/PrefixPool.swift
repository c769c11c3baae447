internal import NetworkAddresses
internal import TenantModel

/// The /64s of an allocation that can be handed out, in their order.
struct PrefixPool: Hashable, Sendable {
    let allocation: Allocation
    /// /64s between two reserved parts: 65,536, or all of an allocation that is smaller.
    private let blockSize: UInt64
    private let reserved: UInt64
    /// /64s of a block that can be handed out.
    let usableInBlock: UInt64

    /// Routers are in the first /64, and the second would have the tag of `::1`, whatever the document reserves.
    private static let minimumReserved: UInt64 = 2

    init(_ allocation: Allocation) {
        self.allocation = allocation
        blockSize = min(allocation.segmentCount, 0x1_0000)
        reserved = max(Self.minimumReserved, allocation.reservedCount)
        let last = Segment(upper: allocation.prefix.address.high | (blockSize - 1))
        let unusable = reserved + (Self.hasUnusableEnd(last) ? 1 : 0)
        usableInBlock = unusable < blockSize ? blockSize - unusable : 0
    }

    /// What ends with ones only has the broadcast address of its network's IPv4. What ends with zeros is reserved.
    private static func hasUnusableEnd(_ segment: Segment) -> Bool { segment.low16 == .max }

    /// How many can be handed out.
    var usable: UInt64 { allocation.segmentCount / blockSize * usableInBlock }

    /// - Parameter place: less than ``usable``.
    func segment(at place: UInt64) -> Segment {
        precondition(place < usable, "the pool has \(usable) places")
        let (block, rest) = place.quotientAndRemainder(dividingBy: usableInBlock)
        return Segment(upper: allocation.prefix.address.high | (block * blockSize + reserved + rest))
    }

    func contains(_ segment: Segment) -> Bool { allocation.index(of: segment) != nil }

    /// Whether the /64 is one of those that can be handed out.
    func offers(_ segment: Segment) -> Bool {
        guard let index = allocation.index(of: segment) else { return false }
        return index % blockSize >= reserved && !Self.hasUnusableEnd(segment)
    }
}

extension Segment {
    /// What IPv4 and, in small allocations, the whole tag is made of: no two of a network may share it.
    var low16: UInt16 { UInt16(truncatingIfNeeded: upper) }
}
