internal import SystemCalls
public import Time

/// Deadlines of many slots that all have the same time to live, in the order in which they expire.
///
/// Since each new deadline is the latest, the queue is a list with insertion at the tail. It is doubly linked and lives
/// in arrays, so that every operation takes the same short time and none allocates once the arrays have grown to the
/// highest slot.
public struct DeadlineQueue: Sendable {
    /// How long a slot has from its insertion. The same in nanoseconds is for the sums: a `Duration` has 128 bits.
    public let duration: Duration
    private let nanoseconds: UInt64

    private struct Link {
        var deadline = MonotonicTime.start
        var previous: Int32 = Self.none
        var next: Int32 = Self.none
        var isQueued = false

        static let none: Int32 = -1
    }

    private var links: [Link] = []
    private var first = Link.none
    private var last = Link.none

    public init(after duration: Duration) {
        self.duration = duration
        nanoseconds = MonotonicTime(sinceStart: duration).nanoseconds
    }

    /// Whether no slot has a deadline.
    public var isEmpty: Bool { first == Link.none }

    /// The deadline that comes first, `nil` if there is none.
    public var earliest: MonotonicTime? { isEmpty ? nil : links[Int(first)].deadline }

    /// Whether the slot has a deadline.
    public func contains(_ slot: Int) -> Bool { slot < links.count && links[slot].isQueued }

    /// Gives a slot ``duration`` from `now` on. `now` must not go back from one insertion to the next, and the slot
    /// must not be in the queue.
    public mutating func insert(_ slot: Int, now: MonotonicTime) {
        let deadline = MonotonicTime(nanoseconds: now.nanoseconds + nanoseconds)
        while slot >= links.count { links.append(Link()) }
        precondition(!links[slot].isQueued, "slot \(slot) has a deadline already")
        precondition(isEmpty || links[Int(last)].deadline <= deadline, "deadlines are inserted in their order")
        links[slot] = Link(deadline: deadline, previous: last, next: Link.none, isQueued: true)
        if isEmpty { first = Int32(slot) } else { links[Int(last)].next = Int32(slot) }
        last = Int32(slot)
    }

    /// Takes a slot out that must be in the queue.
    public mutating func remove(_ slot: Int) {
        precondition(contains(slot), "slot \(slot) has no deadline")
        let link = links[slot]
        if link.previous == Link.none { first = link.next } else { links[Int(link.previous)].next = link.next }
        if link.next == Link.none { last = link.previous } else { links[Int(link.next)].previous = link.previous }
        links[slot].isQueued = false
    }

    /// Takes out the slot whose deadline comes first, whenever that is.
    public mutating func removeFirst() -> Int? {
        guard !isEmpty else { return nil }
        let slot = Int(first)
        remove(slot)
        return slot
    }

    /// Takes out the slot whose deadline comes first, if that is now or past.
    public mutating func removeExpired(now: MonotonicTime) -> Int? {
        guard let earliest, earliest <= now else { return nil }
        return removeFirst()
    }
}
