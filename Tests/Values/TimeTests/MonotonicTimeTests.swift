import Testing
import Time

@Suite("Points in time") struct MonotonicTimeTests {
    @Test("Adding and subtracting agree")
    func arithmetic() {
        let start = MonotonicTime(nanoseconds: 5_000_000_000)
        #expect((start + .milliseconds(1500)).nanoseconds == 6_500_000_000)
        #expect((start + .milliseconds(1500)) - start == .milliseconds(1500))
        #expect(start - (start + .seconds(2)) == .seconds(-2))
        #expect(start + .seconds(-1) == start)
    }

    @Test("A point is as long after the start as it says")
    func sinceStart() {
        let time = MonotonicTime(sinceStart: .milliseconds(1500))
        #expect(time.nanoseconds == 1_500_000_000 && time.sinceStart == .milliseconds(1500))
        #expect(time > .start && MonotonicTime(sinceStart: .seconds(-1)) == .start)
    }
}
