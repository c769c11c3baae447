import EUI64
import KexProtocol
import NetworkAddresses
import Testing
import Time
import WireGuardTypes

@testable import KexGateway

/// One line of the table in docs/decisions/0015-whose-a-peer-is.md.
struct OwnershipCase: CustomTestStringConvertible, Sendable {
    enum Knowledge: CaseIterable {
        case unknown, made, adopted
    }

    enum Outcome {
        case router
        /// Served, and never removed.
        case held
        case operators
        /// A router that is to be removed, because its key is prohibited.
        case banned
    }

    var name: String
    var known: Knowledge
    var peer: Peer
    var isListed = false
    var outcome: Outcome
    /// Whether the operator hears of it.
    var isNamed: Bool

    var testDescription: String { "\(name), \(known)" }

    init(
        _ name: String,
        _ known: Knowledge,
        _ outcome: Outcome,
        isNamed: Bool = false,
        isListed: Bool = false,
        heard: Int64? = 1000,
        change: (inout Peer) -> Void = { _ in }
    ) {
        (self.name, self.known, self.outcome) = (name, known, outcome)
        (self.isListed, self.isNamed) = (isListed, isNamed)
        peer = router(1, heard: heard, received: heard == nil ? 0 : 148)
        change(&peer)
    }
}

@Suite("Whose a peer is") struct OperatorsPeersTests {
    static let prefix = IPPrefix("10.0.0.0/8")!
    static let endpoint = Endpoint("192.0.2.1:10010")!
    static let own = IPPrefix(host: RouterAddresses(of: key(1), profile: .eui64).linkLocal)
    static let lineFeed = IPPrefix(host: AddressProfile.eui64.lineFeedAddress(of: key(1)))

    static let cases: [OwnershipCase] = [
        OwnershipCase("exactly the derived address", .unknown, .router),
        OwnershipCase("exactly the derived address", .made, .router),
        OwnershipCase("exactly the derived address", .adopted, .router),
        OwnershipCase("never heard of", .unknown, .router, heard: nil),
        OwnershipCase("listed", .unknown, .operators, isNamed: true, isListed: true),
        OwnershipCase("listed", .made, .banned, isListed: true),
        OwnershipCase("listed", .adopted, .operators, isNamed: true, isListed: true),
        OwnershipCase("an endpoint before the first byte", .unknown, .operators, isNamed: true, heard: nil) {
            $0.endpoint = endpoint
        },
        OwnershipCase("an endpoint before the first byte", .made, .router, heard: nil) { $0.endpoint = endpoint },
        OwnershipCase("an endpoint of a handshake that is under way", .unknown, .router, heard: nil) {
            $0.endpoint = endpoint
            $0.receivedBytes = 148
        },
        OwnershipCase("an endpoint after a handshake", .unknown, .router) { $0.endpoint = endpoint },
        OwnershipCase("a keepalive", .unknown, .operators, isNamed: true) { $0.persistentKeepalive = 25 },
        OwnershipCase("a keepalive", .made, .held, isNamed: true) { $0.persistentKeepalive = 25 },
        OwnershipCase("a preshared key", .unknown, .operators, isNamed: true) { $0.hasPresharedKey = true },
        OwnershipCase("a preshared key", .made, .held, isNamed: true) { $0.hasPresharedKey = true },
        OwnershipCase("a preshared key", .adopted, .held, isNamed: true) { $0.hasPresharedKey = true },
        OwnershipCase("a preshared key and listed", .made, .held, isNamed: true, isListed: true) {
            $0.hasPresharedKey = true
        },
        OwnershipCase("a further prefix", .unknown, .operators, isNamed: true) { $0.allowedIPs.append(prefix) },
        OwnershipCase("a further prefix", .made, .held, isNamed: true) { $0.allowedIPs.append(prefix) },
        OwnershipCase("another prefix only", .unknown, .operators) { $0.allowedIPs = [prefix] },
        OwnershipCase("another prefix only", .made, .operators) { $0.allowedIPs = [prefix] },
        OwnershipCase("no allowed IP", .unknown, .operators) { $0.allowedIPs = [] },
        OwnershipCase("no allowed IP", .made, .router) { $0.allowedIPs = [] },
        OwnershipCase("the address of the key with a line feed too", .unknown, .router) {
            $0.allowedIPs = [lineFeed, own]
        },
        OwnershipCase("only the address of the key with a line feed", .unknown, .router) { $0.allowedIPs = [lineFeed] },
    ]

    private func table(_ item: OwnershipCase) -> DomainTable {
        var table = DomainTable(rules: rules(prohibited: item.isListed ? [key(1)] : []))
        if item.known != .unknown {
            let known = KnownRouter(key: key(1), lastHeard: 1000, isAdopted: item.known == .adopted)
            table.recall([known], clocks: nil, restoredAt: .zero)
        }
        table.reset(to: snapshot([item.peer], entries: [.mac, .flood]))
        return table
    }

    @Test("Each line of the table", arguments: cases)
    func line(item: OwnershipCase) {
        var table = table(item)
        #expect((table.operatorsPeers[key(1)] != nil) == item.isNamed)
        #expect(table.routerCount == (item.outcome == .operators ? 0 : 1))
        #expect(table.prohibited.map(\.key) == (item.outcome == .banned ? [key(1)] : []))
        // Far too long without a sign of life, in two sweeps.
        let later: Int64 = 100_000
        _ = table.sweep(sinceStart: .seconds(later), wallClock: later, isDryRun: false)
        let verdicts = table.sweep(sinceStart: .seconds(later + 900), wallClock: later + 900, isDryRun: false)
        #expect(verdicts.map(\.action) == (item.outcome == .router || item.outcome == .banned ? [.remove] : []))
        let isRefused = item.isListed || item.outcome == .operators
        #expect(refusal(table.decide(key(1))) == (isRefused ? .prohibitedKey : nil))
    }

    @Test("A peer with an endpoint of its own stays the operator's when it has shaken hands, and over a restart")
    func endpointStays() {
        var peer = router(1)
        peer.endpoint = Self.endpoint
        var table = DomainTable(rules: rules())
        table.reset(to: snapshot([peer], entries: []))
        let change = table.changeCount
        peer.lastHandshake = 500
        peer.receivedBytes = 1000
        table.reset(to: snapshot([peer], entries: []))
        #expect(table.routerCount == 0)
        #expect(table.changeCount == change, "what is remembered is the same")
        #expect(table.rememberedOperatorsPeers == [key(1)])
        var next = DomainTable(rules: rules())
        next.recall([], clocks: nil, restoredAt: .zero, operatorsPeers: table.rememberedOperatorsPeers)
        // Its peer may come a moment after the interface.
        #expect(next.reset(to: snapshot([], entries: []), isNewDevice: true, sinceStart: .zero).isEmpty)
        next.reset(to: snapshot([peer], entries: []))
        #expect(next.routerCount == 0)
        #expect(refusal(next.decide(key(1))) == .prohibitedKey)
        // Removed, its key is one like others.
        next.reset(to: snapshot([], entries: []))
        #expect(next.rememberedOperatorsPeers.isEmpty)
        #expect(refusal(next.decide(key(1))) == nil)
    }

    @Test("A router whose address another peer took is told so, and gets it back when it is free")
    func slip() {
        var table = DomainTable(rules: rules())
        table.reset(to: snapshot([router(1, heard: 1000)], entries: [.mac, .flood]))
        let address = RouterAddresses(of: key(1), profile: .eui64).linkLocal
        var mute = router(1, heard: 1000)
        mute.allowedIPs = []
        let other = Peer(publicKey: key(2), allowedIPs: [IPPrefix(host: address)])
        var snapshot = snapshot([mute, other], entries: [.mac, .flood])
        for _ in 0..<2 {
            table.reset(to: snapshot)
            #expect(table.routerCount == 1)
            #expect(refusal(table.decide(key(1))) == .addressInUse)
            #expect(table.takeReaddressings().isEmpty)
            #expect(table.repairs().isEmpty)
        }
        snapshot.peers = [mute]
        table.reset(to: snapshot)
        let repair = DomainTable.Readdressing(key: key(1), linkLocals: [address], surplus: [])
        #expect(table.takeReaddressings() == [repair])
        #expect(table.decide(key(1)) == .present)
    }

    @Test("The second address of the line feed goes, the own one stays or comes")
    func lineFeed() {
        let own = RouterAddresses(of: key(1), profile: .eui64).linkLocal
        let second = AddressProfile.eui64.lineFeedAddress(of: key(1))
        for prefixes in [[Self.own, Self.lineFeed], [Self.lineFeed]] {
            var table = DomainTable(rules: rules())
            table.reset(to: DomainTable.Snapshot(ownKey: nil, peers: [Peer(publicKey: key(1), allowedIPs: prefixes)]))
            let expected = DomainTable.Readdressing(key: key(1), linkLocals: [own], surplus: [second])
            #expect(table.takeReaddressings() == [expected])
        }
        // The line feed of another key is nothing of this one's.
        let stranger = IPPrefix(host: AddressProfile.eui64.lineFeedAddress(of: key(2)))
        var table = DomainTable(rules: rules())
        let peer = Peer(publicKey: key(1), allowedIPs: [Self.own, stranger])
        table.reset(to: DomainTable.Snapshot(ownKey: nil, peers: [peer]))
        #expect(table.routerCount == 0)
    }

    @Test("What the operator gave a router is left to it: no allowed IP goes, its session is not ended")
    func held() {
        var peer = router(1, heard: 1000, received: 5)
        var table = DomainTable(rules: rules())
        table.reset(to: snapshot([peer], entries: [.mac, .flood]))
        peer.allowedIPs.append(Self.prefix)
        table.reset(to: snapshot([peer], entries: [.mac, .flood]))
        #expect(table.takeReaddressings().isEmpty)
        #expect(table.decide(key(1)) == .present)
        #expect(table.nextCheck == nil)
        let now = Moment(seconds: 1_000_000, sinceStart: .seconds(1_000_000))
        #expect(table.forget(inFleet: key(1), at: now.seconds, now: now) == nil)
        // Without it, the router is one like others.
        table.reset(to: snapshot([router(1, heard: 1000, received: 5)], entries: [.mac, .flood]))
        #expect(table.operatorsPeers.isEmpty)
        #expect(table.decide(key(1)) == .present)
        #expect(table.nextCheck != nil)
    }

    @Test("A pending router with the operator's settings is not due, and wakes nobody")
    func heldPending() {
        var table = DomainTable(rules: rules())
        #expect(refusal(table.decide(key(1))) == nil)
        var peer = router(1)
        peer.hasPresharedKey = true
        table.reset(to: snapshot([peer], entries: [.mac]))
        #expect(table.nextExpiry == nil)
        #expect(table.expired(at: .seconds(1_000_000)).isEmpty)
        #expect(table.routerCount == 1)
    }

    @Test("A router that kex added again is one that kex made")
    func adoption() {
        var table = DomainTable(rules: rules())
        table.reset(to: snapshot([router(1, heard: 1000)], entries: []))
        #expect(table.knownRouters.map(\.isAdopted) == [true])
        let missing = table.reset(to: snapshot([], entries: []), isNewDevice: true, sinceStart: .zero)
        #expect(missing.map(\.key) == [key(1)])
        #expect(table.knownRouters.map(\.isAdopted) == [false])
    }
}
