import EUI64
import KexProtocol
import NetworkAddresses
import SourceLimits
import Testing
import Time
import WireGuardTypes

@testable import KexGateway

/// A domain, its limits, and a clock.
private struct Gateway {
    var table: DomainTable
    var limits = SourceLimits(of: DomainLimit.newKeysOfSource)
    var now = Moment(seconds: 1_000_000, sinceStart: .seconds(10_000))

    init(_ rules: DomainRules = rules()) { table = DomainTable(rules: rules) }

    mutating func pass(_ seconds: Int64) {
        now.seconds += seconds
        now.sinceStart += .seconds(seconds)
    }

    /// - Returns: "in" for a new router, "known" for one that is there, the code of the refusal.
    mutating func register(_ number: Int, from source: Int = 1) -> String {
        register(number, from: IPv6Address(mapping: IPv4Address(value: UInt32(source))))
    }

    mutating func register(_ number: Int, from address: IPv6Address) -> String {
        register(number, from: .source(address))
    }

    mutating func register(_ number: Int, from origin: Origin) -> String {
        switch table.decide(key(number), from: origin, at: now, limits: &limits) {
        case .admit(let admission):
            table.confirm(admission)
            return admission.isNewPeer ? "in" : "known"
        case .present: return "known"
        case .refuse(let refusal, _): return refusal.code
        }
    }

    /// Routers shake hands now.
    mutating func hear(_ numbers: some Sequence<Int>) -> [PublicKey] {
        let wallClock = now.seconds
        return table.hear(numbers.map { router($0, heard: wallClock) })
    }

    /// What the kernel would do without being asked.
    mutating func expire() {
        for departure in table.expired(at: now.sinceStart) { table.take(.left(departure)) }
    }
}

@Suite("New keys") struct NewKeyTests {
    @Test("Keys of a closed domain's list come in at any rate, from one source, and still have to be heard of")
    func closedDomain() {
        let list = Dictionary(uniqueKeysWithValues: (0..<3000).map { (key($0), "") })
        var gateway = Gateway(rules(maximumPeers: 3000, allowed: list))
        let answers = (0..<3000).map { gateway.register($0) }
        #expect(answers.allSatisfy { $0 == "in" })
        #expect(gateway.register(3000) == Refusal.prohibitedKey.code)
        #expect(gateway.table.pendingCount == 3000)
        #expect(gateway.hear([7]).count == 1)
        gateway.pass(300)
        gateway.expire()
        #expect(gateway.table.routerCount == 1)
    }

    @Test("What another gateway passes on has no limit of a source, and those of the domain")
    func otherGateways() {
        var gateway = Gateway(rules(maximumPeers: 3000))
        let (bus, limited) = (Origin.fleet, Refusal.rateLimited.code)
        #expect((0..<1000).allSatisfy { gateway.register($0, from: bus) == "in" })
        // Half of the domain's new keys are for sources that brought none lately, which this is not.
        #expect(gateway.register(1000, from: bus) == limited)
        #expect(gateway.register(1001, from: 1) == "in")
        gateway.pass(1)
        #expect((2000..<2023).allSatisfy { gateway.register($0, from: bus) == "in" })
        #expect(gateway.table.pendingCount == 1024)
        #expect(gateway.register(2023, from: bus) == limited)
        gateway.pass(9)
        #expect(gateway.register(2024, from: bus) == "in")
    }

    @Test("Of one link come as many new keys as of one home, from however many addresses")
    func link() {
        var gateway = Gateway(rules(maximumPeers: 3000))
        func source(_ number: Int, on interface: UInt32) -> IPv6Address {
            IPv6Address(high: 0xfe80 << 48, low: UInt64(number + 1)).scoped(to: interface)
        }
        #expect((0..<32).allSatisfy { gateway.register($0, from: source($0, on: 7)) == "in" })
        #expect(gateway.register(32, from: source(32, on: 7)) == Refusal.rateLimited.code)
        #expect(gateway.register(33, from: source(32, on: 8)) == "in")
        // Whoever is known asks for nothing new.
        #expect((0..<32).allSatisfy { gateway.register($0, from: source(100 + $0, on: 7)) == "known" })
    }

    @Test("No address stands for another gateway", arguments: ["::", "::1", "::ffff:0.0.0.0", "ff02::1"])
    func noSentinel(text: String) {
        var gateway = Gateway(rules(maximumPeers: 3000))
        let source = IPv6Address(text)!
        #expect((0..<32).allSatisfy { gateway.register($0, from: source) == "in" })
        #expect(gateway.register(32, from: source) == Refusal.rateLimited.code)
    }

    @Test("A key that shook hands stays; one that did not is due after its time, not before")
    func expiry() {
        var gateway = Gateway()
        for number in 1...2 { #expect(gateway.register(number) == "in") }
        #expect(gateway.table.pendingCount == 2)
        #expect(gateway.hear([1]) == [key(1)])
        #expect(gateway.table.pendingCount == 1)
        gateway.pass(299)
        #expect(gateway.table.expired(at: gateway.now.sinceStart).isEmpty)
        gateway.pass(1)
        #expect(gateway.table.nextExpiry == gateway.now.sinceStart)
        #expect(gateway.table.expired(at: gateway.now.sinceStart).map(\.key) == [key(2)])
        gateway.expire()
        #expect(gateway.table.routerCount == 1)
        #expect(gateway.table.nextExpiry == nil)
        #expect(gateway.register(2) == "in")
    }

    @Test("Registering again does not make the time longer")
    func again() {
        var gateway = Gateway()
        #expect(gateway.register(1) == "in")
        gateway.pass(200)
        #expect(gateway.register(1) == "known")
        gateway.pass(100)
        #expect(gateway.table.expired(at: gateway.now.sinceStart).map(\.key) == [key(1)])
    }

    @Test("A source has its burst of new keys, then one for each half minute; known keys cost nothing")
    func perSource() {
        var gateway = Gateway()
        let first = (0..<40).map { gateway.register($0) }
        #expect(first == (0..<40).map { $0 < 32 ? "in" : "RATE_LIMITED" })
        #expect(gateway.register(7) == "known")
        #expect(gateway.register(100, from: 2) == "in", "other sources are served")
        _ = gateway.hear(0..<32)
        gateway.pass(29)
        #expect(gateway.register(101) == "RATE_LIMITED")
        gateway.pass(1)
        #expect(gateway.register(101) == "in")
        #expect(gateway.register(102) == "RATE_LIMITED")
    }

    @Test("No more of a source are pending than its limit, and the oldest leaves when its grace is over")
    func pendingOfSource() {
        var gateway = Gateway()
        for number in 0..<32 { #expect(gateway.register(number) == "in") }
        gateway.pass(30)
        #expect(gateway.register(100) == "in")
        #expect(gateway.table.expired(at: gateway.now.sinceStart).map(\.key) == [key(0)])
        gateway.expire()
        #expect(gateway.table.pendingCount == 32)
    }

    @Test("A domain has room for its limit of pending keys, and the oldest leaves when its grace is over")
    func pending() {
        var gateway = Gateway()
        let first = (0..<1100).map { gateway.register($0, from: $0) }
        #expect(first == (0..<1100).map { $0 < 1024 ? "in" : "RATE_LIMITED" })
        gateway.pass(9)
        #expect(gateway.register(2000, from: 5000) == "RATE_LIMITED")
        gateway.pass(1)
        #expect(gateway.register(2000, from: 5001) == "in")
        #expect(gateway.table.nextExpiry == .zero)
        gateway.expire()
        #expect(gateway.table.pendingCount == 1024)
        #expect(gateway.register(0, from: 1) == "in")
    }

    @Test("If those who leave cannot be removed, there is an end all the same")
    func stuck() {
        var gateway = Gateway()
        var count = 0
        for number in 0..<20_000 where gateway.register(number, from: number) == "in" {
            count += 1
            if count % 100 == 0 { gateway.pass(10) }
        }
        #expect(gateway.table.pendingCount == 2048)
    }

    @Test(
        "After its burst a domain takes a hundred new keys a second, half of them of sources that brought none lately"
    )
    func perDomain() {
        var gateway = Gateway()
        /// Rounds of one second with a thousand new keys each, all of which shake hands.
        func round(_ round: Int, sources: (Int) -> Int) -> Int {
            let numbers = (0..<1000).map { round * 1000 + $0 }
            let taken = numbers.filter { gateway.register($0, from: sources($0)) == "in" }
            for number in taken { gateway.table.remove(key(number)) }
            gateway.pass(1)
            return taken.count
        }
        // All tokens of both kinds, then what comes anew in each second.
        let first = (0..<4).map { round($0) { $0 } }
        #expect(first == [1000, 1000, 150, 100])
        #expect(round(4) { $0 } == 100)
        // From sources that had one already.
        let repeated = round(5) { $0 % 1000 }
        // A few were pushed out of the table by the five thousand, and count as new.
        #expect((50...60).contains(repeated))
        // And now from the others again, which find what was left for them.
        #expect(round(6) { $0 } == 50 + 100 - (repeated - 50))
    }

    @Test("A gateway that lost its memory has all of its thousand routers back in a minute, 32 behind one address")
    func reboot() {
        var gateway = Gateway()
        var late = 0
        for number in 0..<1000 where gateway.register(number, from: number / 32) != "in" { late += 1 }
        #expect(late == 0)
        #expect(gateway.hear(0..<1000).count == 1000)
        #expect(gateway.table.pendingCount == 0)
    }

    @Test("The domain is full at its limit of routers that were heard of, who stay in", arguments: [1, 2, 3])
    func full(limit: Int) {
        var gateway = Gateway(rules(maximumPeers: limit))
        for number in 0...limit { #expect(gateway.register(number) == "in") }
        #expect(gateway.hear(0...limit).count == limit)
        #expect(gateway.table.pendingCount == 1, "one too many waits")
        #expect(gateway.table.repairs().allSatisfy { $0.key != key(limit) })
        #expect(gateway.register(99) == "DOMAIN_FULL")
        #expect(gateway.register(0) == "known")
        // The one that waits gets the place that becomes free, also by what a snapshot says.
        gateway.table.remove(key(0))
        gateway.table.reset(to: snapshot((1...limit).map { router($0, heard: gateway.now.seconds) }, entries: []))
        #expect(gateway.table.heardInSnapshot == [key(limit)])
        #expect(gateway.table.pendingCount == 0)
    }

    @Test("Routers found in the kernel that were never heard of are pending from then on")
    func found() {
        var gateway = Gateway()
        let peers = [router(1), router(2, heard: 5)]
        _ = gateway.table.reset(
            to: snapshot(peers, entries: []),
            isNewDevice: false,
            sinceStart: gateway.now.sinceStart
        )
        #expect(gateway.table.pendingCount == 1)
        gateway.pass(300)
        _ = gateway.table.reset(
            to: snapshot(peers, entries: []),
            isNewDevice: false,
            sinceStart: gateway.now.sinceStart
        )
        #expect(gateway.table.expired(at: gateway.now.sinceStart).map(\.key) == [key(1)])
    }

    @Test("A frame is a sign of life of the address's owner, once")
    func frame() {
        var gateway = Gateway()
        #expect(gateway.register(1) == "in")
        let address = RouterAddresses(of: key(1), profile: .eui64).linkLocal
        let now = Moment(seconds: 5, sinceStart: .zero)
        #expect(gateway.table.hear(from: IPv6Address("fe80::1")!, at: now) == nil)
        #expect(
            gateway.table.hear(from: address, at: now) == DomainTable.Sighting(key: key(1), isFirst: true, place: nil)
        )
        #expect(gateway.table.hear(from: address, at: now) == nil)
        #expect(gateway.table.repairs().map(\.missingEntries) == [.flood])
        #expect(gateway.table.pendingCount == 0)
    }
}

@Suite("Registering again") struct SessionTests {
    private func dead(_ gateway: inout Gateway, _ peers: Peer...) -> [PublicKey] {
        gateway.table.deadSessions(peers, at: gateway.now.sinceStart).map(\.key)
    }

    /// A gateway with a router that shook hands `age` seconds ago and has sent 1,000 bytes.
    private func established(age: Int64) -> (Gateway, Peer) {
        var gateway = Gateway()
        let peer = router(1, heard: gateway.now.seconds - age, received: 1000)
        gateway.table.reset(to: snapshot([peer], entries: [.mac, .flood]))
        return (gateway, peer)
    }

    @Test("A session too old to be used is found dead at once", arguments: [(180, false), (181, true)])
    func old(age: Int64, isDead: Bool) {
        var (gateway, peer) = established(age: age)
        #expect(gateway.register(1) == "known")
        #expect((gateway.table.nextCheck == gateway.now.sinceStart) == isDead)
        #expect(dead(&gateway, peer) == (isDead ? [key(1)] : []))
    }

    @Test("An old session in which something has just come is alive")
    func oldButAlive() {
        var (gateway, peer) = established(age: 500)
        #expect(gateway.register(1) == "known")
        peer.receivedBytes += 1
        #expect(dead(&gateway, peer) == [])
        #expect(gateway.table.nextCheck == nil)
    }

    @Test("A young session is dead if no byte comes in its time, and alive if one does", arguments: [0, 1] as [UInt64])
    func young(bytes: UInt64) {
        var (gateway, peer) = established(age: 50)
        #expect(gateway.register(1) == "known")
        gateway.pass(29)
        #expect(dead(&gateway, peer) == [])
        gateway.pass(1)
        peer.receivedBytes += bytes
        #expect(dead(&gateway, peer) == (bytes == 0 ? [key(1)] : []))
        #expect(gateway.table.nextCheck == nil)
    }

    @Test("Registering many times arms one check, which does not move")
    func manyTimes() {
        var (gateway, peer) = established(age: 50)
        for _ in 0..<31 {
            #expect(gateway.register(1) == "known")
            gateway.pass(1)
        }
        #expect(gateway.table.nextCheck == gateway.now.sinceStart)
        #expect(dead(&gateway, peer) == [key(1)])
    }

    @Test("A session is reset once a minute at most, and its router is waited for")
    func pause() {
        var (gateway, peer) = established(age: 500)
        #expect(gateway.register(1) == "known")
        #expect(dead(&gateway, peer) == [key(1)])
        gateway.table.noteReset(key(1), at: gateway.now.sinceStart)
        #expect(gateway.table.awaitsSomebody)
        #expect(gateway.table.knownRouters.map(\.lastHeard) == [gateway.now.seconds - 500])
        gateway.pass(59)
        #expect(gateway.register(1) == "known")
        #expect(gateway.table.nextCheck == nil)
        gateway.pass(1)
        #expect(gateway.register(1) == "known")
        #expect(dead(&gateway, router(1)) == [key(1)])
    }

    @Test("Who never shook hands since it is in the device has half a minute", arguments: [(30, false), (31, true)])
    func neverHeard(seconds: Int64, isDead: Bool) {
        var gateway = Gateway()
        #expect(gateway.register(1) == "in")
        gateway.pass(seconds)
        #expect(gateway.register(1) == "known")
        #expect(dead(&gateway, router(1)) == (isDead ? [key(1)] : []))
    }

    @Test(
        "After a step of the wall clock the age of a handshake says nothing",
        arguments: [86_400, -86_400] as [Int64]
    )
    func clockStep(step: Int64) {
        var (gateway, peer) = established(age: 100)
        #expect(gateway.register(2) == "in")
        gateway.now.seconds += step
        #expect(gateway.register(1) == "known")
        #expect(dead(&gateway, peer) == [])
        gateway.pass(30)
        #expect(dead(&gateway, peer) == [key(1)], "nothing has come")
        // Three minutes later what was believed before is as good as ever.
        peer.lastHandshake = gateway.now.seconds - 200
        gateway.table.reset(to: snapshot([peer], entries: [.mac, .flood]))
        gateway.pass(150)
        #expect(gateway.register(1) == "known")
        #expect(dead(&gateway, peer) == [key(1)])
    }

    @Test("No time that WireGuard may claim ends the program", arguments: [Int64.min, -1, Int64.max])
    func absurdTimes(handshake: Int64) {
        var (gateway, peer) = established(age: 0)
        peer.lastHandshake = handshake
        gateway.table.reset(to: snapshot([peer], entries: [.mac, .flood]))
        #expect(gateway.register(1) == "known")
        #expect(dead(&gateway, peer) == (handshake < 0 ? [key(1)] : []))
    }

    @Test("A domain resets 64 sessions at once and five a second later; nobody is forgotten")
    func budget() {
        var gateway = Gateway()
        let peers = (0..<100).map { router($0, heard: gateway.now.seconds - 500) }
        gateway.table.reset(to: snapshot(peers, entries: [.mac, .flood]))
        for number in 0..<100 { #expect(gateway.register(number) == "known") }
        var reset = Set(gateway.table.deadSessions(peers, at: gateway.now.sinceStart).map(\.key))
        #expect(reset.count == 64)
        for second in 1...8 {
            gateway.pass(1)
            reset.formUnion(gateway.table.deadSessions(peers, at: gateway.now.sinceStart).map(\.key))
            #expect(reset.count == min(100, 64 + second * 5))
        }
        #expect(gateway.table.nextCheck == nil)
    }
}
