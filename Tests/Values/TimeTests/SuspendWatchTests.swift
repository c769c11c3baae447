import Testing
import Time

@Suite struct `Whether the machine has slept` {
    @Test func `is told once for each sleep that is long enough`() {
        var watch = SuspendWatch(sinceStart: .seconds(100), awake: .seconds(60))
        func notices(_ sinceStart: Duration, _ awake: Duration) -> Bool {
            watch.noticesSleep(sinceStart: sinceStart, awake: awake)
        }
        // Awake for an hour.
        #expect(!notices(.seconds(3700), .seconds(3660)))
        #expect(!notices(.seconds(3702), .seconds(3660)))
        // Short ones add up.
        #expect(notices(.seconds(3702) + .nanoseconds(1), .seconds(3660)))
        #expect(!notices(.seconds(3800), .seconds(3660) + .seconds(98)))
        #expect(notices(.seconds(9999), .seconds(3758)))
        // Two clocks that are read one after the other.
        #expect(!notices(.seconds(9999), .seconds(3759)))
    }
}
