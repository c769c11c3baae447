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

    @Test func `a start that was recorded keeps no other out, and is taken once itself`() {
        #expect(
            taken([(2, 5), (1, 1), (1, 1), (2, 6), (1, 2), (2, 5), (2, 7)])
                == [true, true, false, true, true, false, true]
        )
    }

    @Test func `the nine starts that were heard last are remembered`() {
        let starts = (1...UInt64(ReplayGuard.maximumStarts)).map { (boot: $0, counter: UInt64(7)) }
        // Start 1 is heard again, so that start 2 makes room for the tenth.
        let packets = starts + [(1, 8), (100, 1), (1, 8), (3, 7), (2, 7)]
        #expect(taken(packets).suffix(4) == [true, false, false, true])
    }
}
