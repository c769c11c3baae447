import Testing
import Time

@Suite("Now, by both clocks") struct MomentTests {
    @Test("Seconds and milliseconds since 1970 are whole ones")
    func units() {
        var now = Moment(milliseconds: 1_800_000_000_999, sinceStart: .zero)
        #expect(now.seconds == 1_800_000_000)
        #expect(now.milliseconds == 1_800_000_000_999)
        now.seconds += 1
        #expect(now.milliseconds == 1_800_000_001_000)
    }

    @Test(
        "A wall clock that no milliseconds can hold is the last or the first that they can",
        arguments: [Int64.min, .max]
    )
    func extremes(seconds: Int64) {
        let now = Moment(seconds: seconds, sinceStart: .zero)
        #expect(now.seconds == seconds)
        #expect(now.milliseconds == seconds)
    }

    @Test(
        "A time of the wall clock is put on the other one; the future is now, and what was before 1970 is 1970",
        arguments: [(0, 0), (60, 60), (-60, 0), (1_000_000, 1000)]
    )
    func sinceStart(ago: Int64, expected: Int64) {
        let now = Moment(seconds: 1000, sinceStart: .seconds(5000))
        #expect(now.sinceStart(of: 1000 - ago) == .seconds(5000 - expected))
    }
}
