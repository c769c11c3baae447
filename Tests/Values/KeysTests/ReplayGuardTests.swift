import Keys
import Testing

@Suite struct ReplayGuardTests {
    @Test func `each number is taken once`() {
        var guardian = ReplayGuard()
        #expect(guardian.takes(boot: 1, counter: 5))
        #expect(!guardian.takes(boot: 1, counter: 5))
        #expect(guardian.takes(boot: 1, counter: 6))
        #expect(guardian.takes(boot: 1, counter: 4))
        #expect(!guardian.takes(boot: 1, counter: 4))
        #expect(!guardian.takes(boot: 1, counter: 0))
    }

    @Test func `a packet may be overtaken by 63 numbers, and not by 64`() {
        var guardian = ReplayGuard()
        #expect(guardian.takes(boot: 1, counter: 100))
        #expect(guardian.takes(boot: 1, counter: 37))
        #expect(!guardian.takes(boot: 1, counter: 36))
        #expect(guardian.takes(boot: 1, counter: .max))
        #expect(!guardian.takes(boot: 1, counter: 100))
    }

    @Test func `a start that was followed by another is over`() {
        var guardian = ReplayGuard()
        #expect(guardian.takes(boot: 1, counter: 1))
        #expect(guardian.takes(boot: 2, counter: 1))
        #expect(!guardian.takes(boot: 1, counter: 2))
        #expect(guardian.takes(boot: 2, counter: 2))
    }

    @Test func `eight earlier starts are remembered`() {
        var guardian = ReplayGuard()
        for boot in 0...UInt64(ReplayGuard.maximumRetired) { #expect(guardian.takes(boot: boot, counter: 1)) }
        #expect(!guardian.takes(boot: 0, counter: 2))
        #expect(guardian.takes(boot: 100, counter: 1))
        // Start 0 is the ninth before this one.
        #expect(guardian.takes(boot: 0, counter: 3))
    }
}
