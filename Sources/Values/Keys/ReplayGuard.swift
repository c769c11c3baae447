/// Takes each authenticated packet of one sender once.
///
/// A sender numbers its packets from 1 with each start, and names the start by random bytes, its boot ID. Packets may
/// overtake each other by up to 64. Starts have each their numbers, so that somebody who recorded packets of an earlier
/// start cannot keep those of the present one out: each of them is taken once at most.
public struct ReplayGuard: Hashable, Sendable {
    /// How far a packet may be overtaken by others of its start.
    public static let window: UInt64 = 64
    /// Most starts that are remembered: those that were heard last. A packet of another one may be taken once more.
    public static let maximumStarts = 9

    private struct Start: Hashable {
        let boot: UInt64
        /// The greatest number that was taken.
        var greatest: UInt64
        /// Bit n: whether `greatest - n` was taken.
        var taken: UInt64 = 1

        mutating func takes(_ counter: UInt64) -> Bool {
            if counter > greatest {
                let step = counter - greatest
                taken = step < ReplayGuard.window ? taken << step | 1 : 1
                greatest = counter
                return true
            }
            let age = greatest - counter
            guard age < ReplayGuard.window, taken & (1 << age) == 0 else { return false }
            taken |= 1 << age
            return true
        }
    }

    /// The one that was heard last is the last one.
    private var starts: [Start] = []
    /// The start that was heard of last for the first time.
    public private(set) var boot: UInt64?

    public init() {}

    /// Whether this packet is taken. Only for packets that are authentic: a number is used up by asking.
    public mutating func takes(boot: UInt64, counter: UInt64) -> Bool {
        guard counter > 0 else { return false }
        guard let index = starts.firstIndex(where: { $0.boot == boot }) else {
            if starts.count >= Self.maximumStarts { starts.removeFirst() }
            starts.append(Start(boot: boot, greatest: counter))
            self.boot = boot
            return true
        }
        guard starts[index].takes(counter) else { return false }
        if index != starts.count - 1 { starts.append(starts.remove(at: index)) }
        return true
    }
}
