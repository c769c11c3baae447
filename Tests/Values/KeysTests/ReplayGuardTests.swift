import Keys
import Testing

@Suite struct ReplayGuardTests {
    /// Which of these packets are taken, one after the other.
    private func taken(_ packets: [(boot: UInt64, counter: UInt64)]) -> [Bool] {
        var packetGuard = ReplayGuard()
        return packets.map { packetGuard.takes(boot: $0.boot, counter: $0.counter) }
    }

    @Test func `each number is taken once`() {
        #expect(
            taken([(1, 5), (1, 5), (1, 6), (1, 4), (1, 4), (1, 0)]) == [true, false, true, true, false, false]
        )
    }

    @Test func `a packet may be overtaken by 63 numbers, and not by 64`() {
        #expect(taken([(1, 100), (1, 37), (1, 36), (1, .max), (1, 100)]) == [true, true, false, true, false])
    }

    @Test func `a start that was followed by another is over`() {
        #expect(taken([(1, 1), (2, 1), (1, 2), (2, 2)]) == [true, true, false, true])
    }

    @Test func `eight earlier starts are remembered`() {
        let starts = (0...UInt64(ReplayGuard.maximumRetired)).map { (boot: $0, counter: UInt64(1)) }
        // After start 100, start 0 is the ninth before it.
        #expect(taken(starts + [(0, 2), (100, 1), (0, 3)]).suffix(3) == [false, true, true])
    }
}
