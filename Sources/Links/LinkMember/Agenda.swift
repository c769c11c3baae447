internal import Time
internal import WireGuardTypes

/// When each of many members is due next. What is due is found without a look at the others.
struct Agenda: Sendable {
    private struct Entry: Sendable {
        let time: MonotonicTime
        let key: PublicKey
    }

    /// A heap: none is before its parent. One that is not in `times` so is of the past.
    private var heap: [Entry] = []
    private var times: [PublicKey: MonotonicTime] = [:]

    /// How many entries are kept, for tests.
    var length: Int { heap.count }

    /// Has a member due at a time, and not when it was due before.
    mutating func set(_ key: PublicKey, at time: MonotonicTime) {
        guard times.updateValue(time, forKey: key) != time else { return }
        heap.append(Entry(time: time, key: key))
        rise()
        if heap.count > 2 * times.count + 64 {
            heap = times.map { Entry(time: $1, key: $0) }.sorted { $0.time < $1.time }
        }
    }

    mutating func remove(_ key: PublicKey) { times[key] = nil }

    /// Those that are due, which are not on the agenda any more.
    mutating func take(at now: MonotonicTime) -> [PublicKey] {
        var due: [PublicKey] = []
        while let first = first(), first.time <= now {
            times[first.key] = nil
            due.append(first.key)
        }
        return due
    }

    /// When the next one is due; `nil` if there is none.
    mutating func next() -> MonotonicTime? { first()?.time }

    private mutating func first() -> Entry? {
        while let first = heap.first {
            if times[first.key] == first.time { return first }
            removeFirst()
        }
        return nil
    }

    private mutating func rise() {
        var index = heap.count - 1
        while index > 0, heap[index].time < heap[(index - 1) / 2].time {
            heap.swapAt(index, (index - 1) / 2)
            index = (index - 1) / 2
        }
    }

    private mutating func removeFirst() {
        let last = heap.removeLast()
        guard !heap.isEmpty else { return }
        heap[0] = last
        var index = 0
        while true {
            var least = index
            for child in [2 * index + 1, 2 * index + 2] where child < heap.count {
                if heap[child].time < heap[least].time { least = child }
            }
            guard least != index else { return }
            heap.swapAt(index, least)
            index = least
        }
    }
}
