import EUI64
import KexProtocol
import NetworkAddresses
import SourceLimits
import Testing
import WireGuardTypes

@testable import KexGateway

private let hour: Int64 = 3600

@Suite("What other gateways say of routers") struct ElsewhereTests {
    private var table = DomainTable(rules: rules(maximumPeers: 3))
    private var now = Clocks(wallClock: 1_000_000, sinceStart: .seconds(10_000))

    private mutating func pass(_ seconds: Int64) {
        now.wallClock += seconds
        now.sinceStart += .seconds(seconds)
    }

    /// Brings into the kernel what was admitted.
    private mutating func hear(_ number: Int, at time: Int64? = nil) -> DomainTable.Decision {
        let decision = table.hear(elsewhere: key(number), at: time ?? now.wallClock, now: now)
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
        #expect(table.knownRouters == [KnownRouter(key: key(1), lastHeard: now.wallClock)])
        #expect(hear(1) == .present)
        // Its first handshake here brings the flood entry.
        #expect(table.hear([router(1, heard: now.wallClock)]) == [key(1)])
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
        #expect(hear(1, at: now.wallClock - hour - 1) == .present)
        #expect(table.routerCount == 0)
        #expect(refusal(hear(1, at: now.wallClock - hour)) == nil)
        #expect(refusal(hear(2, at: .max)) == nil)
        #expect(table.knownRouters.allSatisfy { $0.lastHeard <= now.wallClock })
        #expect(hear(3, at: .min) == .present)
    }

    @Test("A router is stale only when it is so at every gateway")
    mutating func staleness() {
        table.reset(to: picture([router(1, heard: now.wallClock)], entries: [.mac, .flood]))
        pass(hour + 1)
        #expect(hear(1, at: now.wallClock - 60) == .present)
        #expect(table.sweep(now, isDryRun: false).isEmpty)
        pass(hour)
        #expect(table.sweep(now, isDryRun: false).map(\.action) == [.mark])
        // Heard of there again: the mark goes.
        #expect(hear(1) == .present)
        pass(900)
        #expect(table.sweep(now, isDryRun: false).map(\.action) == [.unmark])
    }

    @Test("One that was silent there goes here too, unless it was heard of here, or by a third gateway since")
    mutating func removal() {
        _ = hear(1, at: now.wallClock - 100)
        #expect(table.forget(elsewhere: key(1), at: now.wallClock - 200, now: now) == nil, "older than what is known")
        let gone = table.forget(elsewhere: key(1), at: now.wallClock, now: now)
        #expect(gone?.key == key(1))
        table.remove(key(1))
        #expect(table.forget(elsewhere: key(1), at: now.wallClock, now: now) == nil, "not known")

        table.reset(to: picture([router(2, heard: now.wallClock)], entries: .mac))
        #expect(table.forget(elsewhere: key(2), at: now.wallClock, now: now) == nil, "heard of here")
        pass(hour + 1)
        #expect(table.forget(elsewhere: key(2), at: now.wallClock, now: now) != nil)

        #expect(refusal(table.decide(key(3))) == nil)
        #expect(table.forget(elsewhere: key(3), at: now.wallClock, now: now) == nil, "it is on its way in")
    }

    @Test("A new interface gets those back who were heard of elsewhere; one who was taken out by hand is forgotten")
    mutating func restored() {
        _ = hear(1)
        let missing = table.reset(to: DomainTable.Picture(ownKey: nil, peers: []), isNewDevice: true, sinceStart: .zero)
        #expect(missing.map(\.key) == [key(1)])
        table.reset(to: DomainTable.Picture(ownKey: nil, peers: []))
        #expect(table.routerCount == 0)
        // Nothing of it is left: news older than what was known let it in again.
        #expect(refusal(hear(1, at: now.wallClock - 10)) == nil)
        #expect(table.knownRouters == [KnownRouter(key: key(1), lastHeard: now.wallClock - 10)])
    }

    @Test("Handshakes here are told; what was heard elsewhere is not")
    mutating func handshakes() {
        table.reset(to: picture([router(1, heard: 5)], entries: .mac))
        _ = hear(1)
        _ = hear(2)
        let told = Dictionary(uniqueKeysWithValues: table.handshakes.map { ($0.key, $0.time) })
        #expect(told == [key(1): 5, key(2): nil])
    }
}
