import LinkFacts
import NetworkAddresses
import Testing
import Time
import WireGuardTypes

@testable import LinkMember

@Suite("Whether a peer is there") struct PeerStateTests {
    private let boots = (1...2).map { BootID(bytes: [UInt8](repeating: $0, count: 16))! }

    private func peer(_ handshake: Int64?, endpoint: String? = "192.0.2.1:7") -> Peer {
        Peer(
            publicKey: key(1),
            allowedIPs: [prefix("10.0.0.1/32")],
            endpoint: endpoint.map { LinkMemberTests.endpoint($0) },
            lastHandshake: handshake
        )
    }

    private func state(_ handshake: Int64?, endpoint: String? = "192.0.2.1:7") -> PeerState {
        var state = PeerState(peer(handshake, endpoint: endpoint), isMade: false, wallClock: wallClock, at: beginning)
        _ = state.update(at: beginning)
        return state
    }

    private func isHealthy(_ state: PeerState, after time: Duration) -> Bool {
        var state = state
        _ = state.update(at: beginning + time)
        return state.isHealthy
    }

    @Test("A session is healthy for 165.334 s after its handshake, if there is an endpoint")
    func threshold() {
        #expect(!state(nil).isHealthy)
        #expect(!state(wallClock, endpoint: nil).isHealthy)
        let fresh = state(wallClock)
        #expect(fresh.isHealthy)
        #expect(fresh.nextChange == beginning + .milliseconds(165_334))
        #expect(isHealthy(fresh, after: .milliseconds(165_333)))
        #expect(!isHealthy(fresh, after: .milliseconds(165_334)))
        #expect(state(wallClock - 165).isHealthy)
        #expect(!state(wallClock - 166).isHealthy)
    }

    @Test("A later handshake keeps it, an old one does not")
    func moved() {
        var state = state(wallClock - 100)
        state.take(
            peer(wallClock + 20),
            isMade: false,
            wallClock: wallClock + 60,
            previous: beginning,
            at: beginning + .seconds(60)
        )
        #expect(isHealthy(state, after: .seconds(185)))
        #expect(!isHealthy(state, after: .seconds(186)))
        state.take(
            peer(wallClock + 20),
            isMade: false,
            wallClock: wallClock + 186,
            previous: beginning,
            at: beginning + .seconds(186)
        )
        #expect(!isHealthy(state, after: .seconds(186)))
    }

    @Test(
        "A step of the wall clock makes no handshake older or newer",
        arguments: [-100_000, -170, -1, 1, 170, 100_000]
    )
    func step(seconds: Int64) {
        var state = state(wallClock - 10)
        // The same handshake, read by the clock after its step.
        state.take(
            peer(wallClock - 10),
            isMade: false,
            wallClock: wallClock + seconds + 5,
            previous: beginning,
            at: beginning + .seconds(5)
        )
        #expect(isHealthy(state, after: .seconds(155)))
        #expect(!isHealthy(state, after: .seconds(156)))
        // A new one, made before the step and read after it: it came after the reading before.
        let later = beginning + .seconds(105)
        state.take(
            peer(wallClock + 103),
            isMade: false,
            wallClock: wallClock + 105 + seconds,
            previous: later - 5,
            at: later
        )
        #expect(isHealthy(state, after: .seconds(265)))
        #expect(!isHealthy(state, after: .seconds(271)))
    }

    @Test("A handshake in the future, after the clock was set back, counts as now")
    func future() { #expect(state(wallClock + 1_000_000).isHealthy) }

    @Test("It is alive until its last word expires, and what it says of a new start counts at once")
    func alive() {
        var state = state(wallClock)
        func since() -> MonotonicTime { state.since }
        let first = state.takeAlive(boots[0], until: beginning + .seconds(255), at: beginning)
        #expect(first)
        _ = state.update(at: beginning)
        #expect(state.isAlive)
        let same = state.takeAlive(boots[0], until: beginning + .seconds(100), at: beginning + .seconds(10))
        #expect(!same)
        #expect(state.isAlive(for: .seconds(255), at: beginning))
        #expect(!state.isAlive(for: .seconds(255), at: beginning + .milliseconds(1)))
        #expect(since() == beginning)
        let second = state.takeAlive(boots[1], until: beginning + .seconds(100), at: beginning + .seconds(20))
        #expect(second)
        // Since it has been as it is.
        #expect(since() == beginning + .seconds(20))
        _ = state.update(at: beginning + .seconds(100))
        #expect(!state.isAlive && state.isHealthy && state.isLive)
        #expect(since() == beginning + .seconds(100))
    }

    @Test("Steady: for so long, and for so long to come")
    func steady() {
        var state = state(wallClock + 100)
        _ = state.takeAlive(boots[0], until: beginning + .seconds(300), at: beginning)
        _ = state.update(at: beginning)
        func isSteady(_ seconds: Int64) -> Bool {
            state.isSteady(for: .seconds(100), andFor: .seconds(150), at: beginning + .seconds(seconds))
        }
        #expect(!isSteady(99))
        #expect(isSteady(100))
        #expect(isSteady(149))
        #expect(!isSteady(150))
    }

    @Test("Where it was heard last is remembered, four places at most, and a place that was never answered is not")
    func heard() {
        var state = state(nil)
        #expect(state.heardAt == [])
        for number in 1...6 {
            state.take(
                peer(wallClock + Int64(number), endpoint: "192.0.2.\(number):7"),
                isMade: false,
                wallClock: wallClock + Int64(number),
                previous: beginning,
                at: beginning + .seconds(Int64(number))
            )
        }
        #expect(state.heardAt == [6, 5, 4, 3].map { endpoint("192.0.2.\($0):7") })
        state.take(
            peer(wallClock + 7, endpoint: nil),
            isMade: false,
            wallClock: wallClock,
            previous: beginning,
            at: beginning + .seconds(9)
        )
        #expect(state.heardAt.count == 4)
    }
}

extension MonotonicTime {
    static func - (time: Self, seconds: Int64) -> Self { Self(sinceStart: time.sinceStart - .seconds(seconds)) }
}
