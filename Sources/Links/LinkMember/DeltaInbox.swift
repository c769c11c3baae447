/// Which deltas of one machine have come. Each is taken once, in whatever order they come.
struct DeltaInbox: Sendable {
    /// What a delta means.
    enum Arrival: Hashable, Sendable {
        /// Everything that was said before is forgotten.
        case first
        case next
        /// It has come before: it is acknowledged again, and not taken.
        case again
        /// It is of another stream, or far ahead. It is not acknowledged.
        case unknown
    }

    /// Streams that were replaced, and do not come back.
    private static let remembered = 8

    private var start: UInt32?
    /// The first number that has not come, counted from the start.
    private var floor: UInt32 = 0
    /// Bit n: whether `floor` + n has come.
    private var ahead: UInt64 = 0
    private var replaced: [UInt32] = []

    init() {}

    mutating func take(_ sequence: UInt32, isFirst: Bool) -> Arrival {
        if isFirst {
            if sequence == start { return .again }
            guard !replaced.contains(sequence) else { return .unknown }
            if let start {
                replaced.append(start)
                if replaced.count > Self.remembered { replaced.removeFirst() }
            }
            start = sequence
            floor = 1
            ahead = 0
            return .first
        }
        guard let start else { return .unknown }
        let number = sequence &- start
        guard number >= floor else { return .again }
        let distance = number - floor
        guard distance < UInt32(UInt64.bitWidth) else { return .unknown }
        let bit = UInt64(1) << UInt64(distance)
        guard ahead & bit == 0 else { return .again }
        ahead |= bit
        while ahead & 1 != 0, floor < .max {
            ahead >>= 1
            floor += 1
        }
        return .next
    }

    /// The sender is to begin anew: nothing of it is acknowledged until it does.
    mutating func reset() {
        if let start { replaced.append(start) }
        if replaced.count > Self.remembered { replaced.removeFirst() }
        start = nil
    }
}
