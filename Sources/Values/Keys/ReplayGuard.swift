/// Takes each authenticated packet of one sender once.
///
/// A sender numbers its packets from 1 with each start, and names the start by random bytes, its boot ID. Packets may
/// overtake each other by up to 64. A start that was followed by another is never taken again while it is remembered.
public struct ReplayGuard: Hashable, Sendable {
    /// How far a packet may be overtaken by others of its sender.
    public static let window: UInt64 = 64
    /// Most earlier starts that are remembered. Who recorded a packet of one before those can have it taken once more.
    public static let maximumRetired = 8

    /// The start that packets are taken from.
    public private(set) var boot: UInt64?
    private var retired: [UInt64] = []
    /// The greatest number that was taken.
    private var greatest: UInt64 = 0
    /// Bit n: whether `greatest - n` was taken.
    private var taken: UInt64 = 0

    public init() {}

    /// Whether this packet is taken. Only for packets that are authentic: a number is used up by asking.
    public mutating func takes(boot: UInt64, counter: UInt64) -> Bool {
        guard counter > 0 else { return false }
        if boot != self.boot {
            guard !retired.contains(boot) else { return false }
            if let last = self.boot { retired.append(last) }
            if retired.count > Self.maximumRetired { retired.removeFirst() }
            self.boot = boot
            greatest = counter
            taken = 1
            return true
        }
        if counter > greatest {
            let step = counter - greatest
            taken = step < Self.window ? taken << step | 1 : 1
            greatest = counter
            return true
        }
        let age = greatest - counter
        guard age < Self.window, taken & (1 << age) == 0 else { return false }
        taken |= 1 << age
        return true
    }
}
