public import Time

/// Time that goes on when everybody has done what was due: what happens in an hour takes as long as the work in it.
public final class VirtualClock {
    private struct Entry {
        let time: MonotonicTime
        /// Of two at one time the one that was set first comes first.
        let number: Int
        let action: () -> Void

        func precedes(_ other: Entry) -> Bool { (time, number) < (other.time, other.number) }
    }

    public private(set) var now = MonotonicTime(sinceStart: .seconds(1000))
    /// Seconds since 1970 at the start of the clock; may be changed, as by a step.
    public var wallClockOffset: Int64 = 1_790_000_000
    /// A heap: none is before its parent.
    private var heap: [Entry] = []
    private var count = 0

    public init() {}

    public var wallClock: Int64 { wallClockOffset + now.sinceStart.components.seconds }

    public func after(_ delay: Duration, _ action: @escaping () -> Void) { at(now + delay, action) }

    public func at(_ time: MonotonicTime, _ action: @escaping () -> Void) {
        count += 1
        heap.append(Entry(time: max(time, now), number: count, action: action))
        var index = heap.count - 1
        while index > 0, heap[index].precedes(heap[(index - 1) / 2]) {
            heap.swapAt(index, (index - 1) / 2)
            index = (index - 1) / 2
        }
    }

    private func removeFirst() -> Entry? {
        guard let first = heap.first else { return nil }
        let last = heap.removeLast()
        guard !heap.isEmpty else { return first }
        heap[0] = last
        var index = 0
        while true {
            var least = index
            for child in [2 * index + 1, 2 * index + 2] where child < heap.count {
                if heap[child].precedes(heap[least]) { least = child }
            }
            guard least != index else { return first }
            heap.swapAt(index, least)
            index = least
        }
    }

    /// Does all that is due within a span of time.
    public func run(for span: Duration) {
        let end = now + span
        while let first = heap.first, first.time <= end {
            _ = removeFirst()
            now = first.time
            first.action()
        }
        now = end
    }

    /// Goes on until a condition holds, at most for a span of time.
    ///
    /// - Returns: how long it took; `nil` if it does not hold in time.
    public func run(upTo span: Duration, until condition: () -> Bool) -> Duration? {
        let start = now
        let end = now + span
        while !condition() {
            guard let first = heap.first, first.time <= end else {
                now = end
                return nil
            }
            _ = removeFirst()
            now = first.time
            first.action()
        }
        return now - start
    }
}
