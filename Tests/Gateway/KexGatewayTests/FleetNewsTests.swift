import EUI64
import KexProtocol
import NetworkAddresses
import SourceLimits
import Testing
import Time
import WireGuardTypes

@testable import KexGateway

private let hour: Int64 = 3600

@Suite("What other gateways say of routers") struct FleetNewsTests {
    private var table = DomainTable(rules: rules(maximumPeers: 3))
    private var now = Moment(seconds: 1_000_000, sinceStart: .seconds(10_000))

    private mutating func pass(_ seconds: Int64) {
        now.seconds += seconds
        now.sinceStart += .seconds(seconds)
    }

    /// Brings into the kernel what was admitted.
    private mutating func hear(_ number: Int, at time: Int64? = nil) -> DomainTable.Decision {
        let decision = table.hear(inFleet: key(number), at: time ?? now.seconds, now: now)
        if case .admit(let admission) = decision { table.confirm(admission) }
        return decision
    }

    @Test("A router that was heard of there is let in here, without a flood entry, and is awaited")
    mutating func newcomer() {
        guard case .admit(let admission) = hear(1) else {
            Issue.record("not let in")
            return
        }
        #expect(admission.isNewPeer)
        #expect(admission.missingEntries == .mac)
        #expect(table.pendingCount == 0)
        #expect(table.awaitsSomebody)
        #expect(table.knownRouters == [KnownRouter(key: key(1), lastHeard: now.seconds)])
        #expect(hear(1) == .present)
        // Its first handshake here brings the flood entry.
        #expect(table.hear([router(1, heard: now.seconds)]) == [key(1)])
        #expect(table.repairs().map(\.missingEntries) == [.flood])
    }

    @Test("A pending router is pending no more, so it stays beyond its 300 s")
    mutating func pending() {
        #expect(refusal(table.decide(key(1))) == nil)
        #expect(table.pendingCount == 1)
        #expect(hear(1) == .present)
        #expect(table.pendingCount == 0)
        #expect(table.expired(at: .seconds(301)).isEmpty)
    }

    @Test("They are held to the operator's rules and to the cap", arguments: [2, 3, 4])
    mutating func cap(count: Int) {
        let decisions = (1...count).map { hear($0) }
        #expect(decisions.map(refusal) == (1...count).map { $0 <= 3 ? nil : .domainFull })
        table.change(rules: rules(maximumPeers: 100, prohibited: [key(9)]))
        #expect(refusal(hear(9)) == .prohibitedKey)
        // A pending one that would be one too many stays pending.
        table.change(rules: rules(maximumPeers: count))
        if count < 4 {
            let full = (count + 1...max(count + 1, 3)).map { hear($0) }
            #expect(full.allSatisfy { refusal($0) == .domainFull })
        }
    }

    @Test("An address that is taken is not given away")
    mutating func collision() {
        let same = RouterAddresses(of: key(1), profile: .eui64)
        table = DomainTable(rules: rules(derive: { _, _ in same }))
        #expect(refusal(hear(1)) == nil)
        #expect(refusal(hear(2)) == .addressInUse)
    }

    @Test("News of a router that is stale by now let nobody in; the future counts as now")
    mutating func staleNews() {
        #expect(hear(1, at: now.seconds - hour - 1) == .present)
        #expect(table.routerCount == 0)
        #expect(refusal(hear(1, at: now.seconds - hour)) == nil)
        #expect(refusal(hear(2, at: .max)) == nil)
        #expect(table.knownRouters.allSatisfy { $0.lastHeard <= now.seconds })
        #expect(hear(3, at: .min) == .present)
    }

    @Test("A router is stale only when it is so at every gateway")
    mutating func staleness() {
        table.reset(to: snapshot([router(1, heard: now.seconds)], entries: [.mac, .flood]))
        pass(hour + 1)
        #expect(hear(1, at: now.seconds - 60) == .present)
        #expect(table.sweep(now, isDryRun: false).isEmpty)
        pass(hour)
        #expect(table.sweep(now, isDryRun: false).map(\.action) == [.mark])
        // Heard of there again: the mark goes.
        #expect(hear(1) == .present)
        pass(900)
        #expect(table.sweep(now, isDryRun: false).map(\.action) == [.unmark])
    }

    /// What another gateway's word that the router was removed does here.
    private mutating func isForgotten(_ number: Int, at time: Int64? = nil) -> Bool {
        table.forget(inFleet: key(number), at: time ?? now.seconds, now: now) != nil
    }

    @Test("One that was removed there goes here too if it is silent for as long as for a sweep here")
    mutating func removal() {
        #expect(!isForgotten(1), "not known")
        let heard = now.seconds
        _ = hear(1)
        #expect(!isForgotten(1), "heard of at another gateway a moment ago: an operator's hand there does nothing here")
        pass(hour)
        #expect(!isForgotten(1), "not silent for long enough")
        pass(1)
        #expect(!isForgotten(1, at: heard), "not newer than what is known")
        #expect(!isForgotten(1, at: heard - hour), "an old word that comes late")
        #expect(isForgotten(1, at: heard + 1))
        #expect(isForgotten(1))
        #expect(isForgotten(1), "a word that comes twice means the same")
        table.remove(key(1))
        #expect(!isForgotten(1), "not known any more")
        #expect(table.removals.lastNumber == 0, "it is not this gateway's word")

        #expect(refusal(table.decide(key(3))) == nil)
        #expect(!isForgotten(3), "it is on its way in")
    }

    @Test("Words in any order, late and doubled, end as the newest of them says", arguments: 0..<24)
    mutating func order(permutation: Int) {
        let start = now.seconds
        enum Word { case heard(Int64), removed(Int64) }
        var left: [Word] = [.heard(start), .removed(start + 100), .heard(start + 200), .removed(start + 150)]
        var words: [Word] = []
        var rest = permutation
        for count in stride(from: 4, to: 0, by: -1) {
            words.append(left.remove(at: rest % count))
            rest /= count
        }
        pass(300)
        for word in words + words {
            switch word {
            case .heard(let time): _ = hear(1, at: time)
            case .removed(let time): #expect(!isForgotten(1, at: time))
            }
        }
        #expect(table.knownRouters.map(\.lastHeard) == [start + 200])
        // From then on old words change nothing, whatever is said again.
        pass(hour - 100)
        for word in words {
            guard case .removed(let time) = word else { continue }
            #expect(!isForgotten(1, at: time), "\(words)")
        }
        pass(1)
        #expect(isForgotten(1, at: start + 201))
    }

    @Test("One that had a session in this device is left to the sweeps here")
    mutating func session() {
        table.reset(to: snapshot([router(2, heard: now.seconds)], entries: .mac))
        #expect(!isForgotten(2))
        pass(10 * hour)
        #expect(!isForgotten(2))
        // A new device, which listens for as long as for a sweep before it believes that anybody is silent.
        _ = table.reset(to: .init(ownKey: nil, peers: []), isNewDevice: true, sinceStart: now.sinceStart)
        table.reset(to: snapshot([router(2)], entries: .mac))
        pass(hour)
        #expect(!isForgotten(2))
        pass(1)
        #expect(isForgotten(2))
    }

    @Test(
        "After a step of the clock, either way, a word takes nobody out until a sweep has seen the step",
        arguments: [-1, 1]
    )
    mutating func step(direction: Int64) {
        pass(2 * hour)
        _ = hear(1)
        _ = table.sweep(now, isDryRun: false)
        now.seconds += direction * 2 * hour
        #expect(!isForgotten(1))
        #expect(!isForgotten(1, at: now.seconds + 10 * hour))
        _ = table.sweep(now, isDryRun: false)
        // The times of what other gateways heard are another clock's, and stay.
        pass(hour)
        _ = hear(1)
        #expect(!isForgotten(1))
    }

    @Test("One that registered here a moment ago has its time")
    mutating func registering() {
        _ = hear(1)
        pass(2 * hour)
        var limits = SourceLimits(of: DomainLimit.newKeysOfSource, unlimited: [], slots: 4)
        _ = table.decide(key(1), from: .source(IPv6Address(high: 1, low: 0)), at: now, limits: &limits)
        #expect(!isForgotten(1))
        pass(31)
        _ = table.deadSessions([router(1)], at: now.sinceStart)
        #expect(isForgotten(1))
    }

    @Test("Who was removed by hand is recorded, and comes back by newer evidence only")
    mutating func byHand() {
        table.reset(to: snapshot([router(1, heard: now.seconds), router(2)], entries: .mac))
        _ = hear(1, at: now.seconds + 5)
        table.reset(to: snapshot([router(2)], entries: .mac))
        #expect(Array(table.removals.keys(after: 0)) == [key(1)])
        #expect(hear(1) == .present)
        #expect(table.routerCount == 1)
        pass(1)
        guard case .admit = hear(1) else {
            Issue.record("a handshake since is news")
            return
        }
        // One that never shook hands was never told to anybody.
        table.reset(to: snapshot([router(1, heard: now.seconds)], entries: .mac))
        #expect(table.removals.lastNumber == 1)
    }

    @Test(
        "A new interface gets those back who were heard of at other gateways; one who was removed by hand is forgotten"
    )
    mutating func restored() {
        _ = hear(1)
        let missing = table.reset(
            to: DomainTable.Snapshot(ownKey: nil, peers: []),
            isNewDevice: true,
            sinceStart: .zero
        )
        #expect(missing.map(\.key) == [key(1)])
        table.reset(to: DomainTable.Snapshot(ownKey: nil, peers: []))
        #expect(table.routerCount == 0)
        // What was known already does not bring it back, what is newer does.
        #expect(hear(1) == .present)
        #expect(table.routerCount == 0)
        pass(1)
        #expect(refusal(hear(1)) == nil)
        #expect(table.knownRouters == [KnownRouter(key: key(1), lastHeard: now.seconds)])
    }

    @Test("Handshakes here are reported; what other gateways heard is not")
    mutating func handshakes() {
        table.reset(to: snapshot([router(1, heard: 5)], entries: .mac))
        _ = hear(1)
        _ = hear(2)
        let told = Dictionary(uniqueKeysWithValues: table.handshakes.map { ($0.key, $0.time) })
        #expect(told == [key(1): 5, key(2): nil])
    }
}
