import Glibc
import Synchronization
import SystemCalls
import Testing
import Time

@Suite("Works beside the loop") struct SideCrewTests {
    /// Waits until something is done, and takes it in.
    private func deliver(_ crew: SideCrew) throws {
        _ = try Socket.wait(for: .readable, of: crew.descriptor, until: .now + .seconds(60))
        crew.deliver()
    }

    @Test("are handed over when the loop asks, each to who began it")
    func outcomes() throws {
        let crew = try SideCrew(size: 2)
        var (numbers, texts): ([Int], [String]) = ([], [])
        for number in 1...10 {
            crew.run {
                number * number
            } then: { result in
                if let number = try? result.get() { numbers.append(number) }
            }
        }
        crew.run {
            "text"
        } then: { result in
            if let text = try? result.get() { texts.append(text) }
        }
        #expect(numbers.isEmpty, "nothing is handed over by itself")
        while numbers.count < 10 || texts.isEmpty { try deliver(crew) }
        #expect(numbers.sorted() == (1...10).map { $0 * $0 })
        #expect(texts == ["text"])
    }

    /// How many run, and whether they may end.
    private final class Gate: Sendable {
        let count = Mutex((running: 0, most: 0))
        let isOpen = Atomic(false)

        func pass() {
            count.withLock { count in
                count.running += 1
                count.most = max(count.most, count.running)
            }
            while !isOpen.load(ordering: .acquiring) { usleep(1000) }
            count.withLock { $0.running -= 1 }
        }
    }

    @Test("are as many at a time as there may be, and the others wait")
    func size() throws {
        let crew = try SideCrew(size: 3)
        let gate = Gate()
        var done = 0
        for _ in 0..<12 {
            crew.run {
                gate.pass()
                return true
            } then: { _ in
                done += 1
            }
        }
        while gate.count.withLock({ $0.running }) < 3 { usleep(1000) }
        gate.isOpen.store(true, ordering: .releasing)
        while done < 12 { try deliver(crew) }
        #expect(gate.count.withLock { $0.most } == 3)
    }
}
