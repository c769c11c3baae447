import EventLoop
import SystemCalls
import Testing
import Time

private func time(_ seconds: UInt64) -> MonotonicTime { MonotonicTime(nanoseconds: seconds * 1_000_000_000) }

@Suite("A queue of deadlines") struct DeadlineQueueTests {
    @Test("gives slots back in the order of their deadlines, and none early")
    func order() {
        var queue = DeadlineQueue(after: .seconds(5))
        queue.insert(7, now: time(1))
        queue.insert(0, now: time(2))
        queue.insert(3, now: time(2))
        #expect(queue.earliest == time(6))
        #expect(queue.removeExpired(now: MonotonicTime(nanoseconds: 5_999_999_999)) == nil)
        #expect(queue.removeExpired(now: time(6)) == 7)
        #expect(queue.removeExpired(now: time(6)) == nil)
        #expect(queue.earliest == time(7))
        #expect(queue.removeExpired(now: time(100)) == 0)
        #expect(queue.removeExpired(now: time(100)) == 3)
        #expect(queue.removeExpired(now: time(100)) == nil)
        #expect(queue.isEmpty)
        #expect(queue.earliest == nil)
    }

    @Test("gives slots back before their time when asked for the first")
    func removeFirst() {
        var queue = DeadlineQueue(after: .seconds(5))
        queue.insert(1, now: time(1))
        queue.insert(2, now: time(1))
        #expect(queue.removeFirst() == 1)
        #expect(queue.removeFirst() == 2)
        #expect(queue.removeFirst() == nil)
    }

    @Test("takes a slot out at the beginning, in the middle and at the end", arguments: [0, 1, 2])
    func remove(removed: Int) {
        var queue = DeadlineQueue(after: .seconds(5))
        for slot in 0..<3 { queue.insert(slot, now: time(UInt64(slot))) }
        queue.remove(removed)
        #expect(!queue.contains(removed))
        queue.insert(removed, now: time(9))
        var order: [Int] = []
        while let slot = queue.removeFirst() { order.append(slot) }
        #expect(order == (0..<3).filter { $0 != removed } + [removed])
    }

    /// The same operations on a plain list of pairs, which is slow and clearly right.
    @Test("does what a sorted list does, in ten thousand random steps")
    func model() {
        var random = SystemRandomNumberGenerator()
        var queue = DeadlineQueue(after: .seconds(5))
        var model: [(slot: Int, deadline: MonotonicTime)] = []
        var now: UInt64 = 0
        for step in 0..<10_000 {
            now += UInt64.random(in: 0...1, using: &random)
            let slot = Int.random(in: 0..<50, using: &random)
            if let index = model.firstIndex(where: { $0.slot == slot }) {
                queue.remove(slot)
                model.remove(at: index)
            } else {
                queue.insert(slot, now: time(now))
                model.append((slot, time(now + 5)))
            }
            while let expired = queue.removeExpired(now: time(now)) {
                #expect(model.first?.slot == expired, "step \(step)")
                model.removeFirst()
            }
            #expect(queue.earliest == model.first?.deadline, "step \(step)")
            #expect((0..<50).allSatisfy { slot in queue.contains(slot) == model.contains { $0.slot == slot } })
        }
    }
}
