import EUI64
import KexProtocol
import NetworkAddresses
import SourceLimits
import Testing
import Time
import WireGuardTypes

@testable import KexGateway

/// Keys of one domain in virtual time. All shake hands as soon as they may.
private struct Town {
    var table: DomainTable
    var limits = SourceLimits(of: DomainLimit.newKeysOfSource)
    var now = Moment(seconds: 1_000_000, sinceStart: .seconds(10_000))
    private var lastKey: UInt64 = 0
    /// Everybody that was displaced.
    var displaced: Set<PublicKey> = []

    init(maximumPeers: Int) { table = DomainTable(rules: rules(maximumPeers: maximumPeers)) }

    mutating func pass(_ seconds: Int64) {
        now.seconds += seconds
        now.sinceStart += .seconds(seconds)
        for departure in table.expired(at: now.sinceStart) { table.take(.left(departure)) }
    }

    mutating func newKey() -> PublicKey {
        lastKey += 1
        var bytes = [UInt8](repeating: 0x41, count: 32)
        for index in 0..<8 { bytes[index] = UInt8(truncatingIfNeeded: lastKey >> (8 * UInt64(index))) }
        return PublicKey(bytes: bytes.span)!
    }

    /// Registers a key and shakes hands with it, from one address.
    ///
    /// - Returns: whether the router is in the domain now, known.
    mutating func join(_ key: PublicKey, from source: IPv6Address) -> Bool {
        guard case .admit(let admission) = table.decide(key, from: .source(source), at: now, limits: &limits)
        else { return false }
        table.confirm(admission)
        return shakeHands(key, from: source)
    }

    mutating func shakeHands(_ key: PublicKey, from source: IPv6Address) -> Bool {
        let endpoint =
            source.mappedIPv4.map { Endpoint.v4($0, port: 7) } ?? Endpoint.v6(source, port: 7)
        let peer = Peer(publicKey: key, endpoint: endpoint, lastHandshake: now.seconds)
        let isIn = table.hear([peer]) == [key]
        displaced.formUnion(table.takeDisplaced().map(\.key))
        return isIn
    }

    /// As a router does, which asks once a minute, whatever it is told.
    mutating func comeIn(_ key: PublicKey, from source: IPv6Address, minutes: Int = 5) -> Bool {
        for _ in 0..<minutes {
            if join(key, from: source) { return true }
            pass(60)
        }
        return false
    }
}

/// `number` of a million addresses in 10.0.0.0/8.
private func v4(_ number: Int) -> IPv6Address {
    IPv6Address(mapping: IPv4Address(value: 10 << 24 | UInt32(number)))
}

@Suite("A full domain") struct HoldingsTests {
    /// An attacker, and what its addresses are.
    struct Attacker: CustomTestStringConvertible, Sendable {
        let name: String
        let count: Int
        let perMinute: Int
        let address: @Sendable (Int) -> IPv6Address
        /// Whether an honest newcomer is never refused.
        let isHarmless: Bool

        var testDescription: String { name }
    }

    static let attackers = [
        Attacker(
            name: "1 IPv4 address",
            count: 1,
            perMinute: 4,
            address: { v4(1 << 20 + $0) },
            isHarmless: true
        ),
        Attacker(
            name: "16 IPv4 addresses",
            count: 16,
            perMinute: 40,
            address: { v4(1 << 20 + $0) },
            isHarmless: true
        ),
        Attacker(
            name: "a /64",
            count: 1,
            perMinute: 4,
            address: { IPv6Address(high: 0x2001_0db8_0000_0001, low: UInt64($0)) },
            isHarmless: true
        ),
        Attacker(
            name: "a /48",
            count: 4096,
            perMinute: 40,
            address: { IPv6Address(high: 0x2001_0db8_0000_0000 + UInt64($0), low: 1) },
            isHarmless: true
        ),
        Attacker(
            name: "256 IPv4 addresses",
            count: 256,
            perMinute: 600,
            address: { v4(1 << 20 + $0) },
            isHarmless: false
        ),
        Attacker(
            name: "a /40",
            count: 4096,
            perMinute: 1000,
            address: { IPv6Address(high: 0x2001_0db8_0000_0000 + UInt64($0) << 12, low: 1) },
            isHarmless: false
        ),
    ]

    /// 100 homes with 4 routers each and 32 behind one address, in a domain with the default limit.
    @Test(
        "An attacker holds what its networks may; an honest newcomer is let in",
        arguments: attackers
    )
    func attack(by attacker: Attacker) {
        var town = Town(maximumPeers: 1000)
        var honest: [(key: PublicKey, source: IPv6Address)] = []
        for home in 0..<100 { for _ in 0..<4 { honest.append((town.newKey(), v4(home))) } }
        for _ in 0..<32 { honest.append((town.newKey(), v4(999))) }
        for (key, source) in honest {
            #expect(town.comeIn(key, from: source) == true)
            town.pass(1)
        }
        let start = town.now.sinceStart
        var (turn, newcomers, firstRefusal): (Int, Int, Duration?) = (0, 0, nil)
        // The attacker goes on for twelve hours, or until it has won.
        for minute in 0..<(12 * 60) where firstRefusal == nil {
            // A little more than its limits let in, which are 32 and then 2 a minute for an address, and 8 times that
            // for a /48.
            for _ in 0..<(minute == 0 ? 1500 : attacker.perMinute) {
                turn += 1
                _ = town.join(town.newKey(), from: attacker.address(turn % attacker.count))
            }
            town.pass(60)
            guard minute % 20 == 0 else { continue }
            newcomers += 1
            if !town.comeIn(town.newKey(), from: v4(2000 + newcomers)) {
                firstRefusal = town.now.sinceStart - start
            }
        }
        let result =
            firstRefusal.map { "refused after \($0.components.seconds / 60) min" } ?? "never refused"
        print("| \(attacker.name) | \(result) | \(honest.count { town.displaced.contains($0.key) }) |")
        #expect((firstRefusal == nil) == attacker.isHarmless)
        #expect(honest.allSatisfy { !town.displaced.contains($0.key) })
    }

    @Test(
        "Whoever came first with 16 addresses makes room for 500 homes of 4 and for 32 behind one address"
    )
    func honestPopulation() {
        var town = Town(maximumPeers: 3000)
        var turn = 0
        while town.table.routerCount - town.table.pendingCount < 3000, turn < 100_000 {
            turn += 1
            _ = town.join(town.newKey(), from: v4(1 << 20 + turn % 16))
            if turn % 16 == 0 { town.pass(31) }
        }
        #expect(town.table.routerCount - town.table.pendingCount == 3000)
        var honest: [(key: PublicKey, source: IPv6Address)] = []
        for home in 0..<500 { for _ in 0..<4 { honest.append((town.newKey(), v4(home))) } }
        for _ in 0..<32 { honest.append((town.newKey(), v4(999))) }
        for (key, source) in honest {
            #expect(town.comeIn(key, from: source) == true)
            town.pass(1)
        }
        #expect(honest.allSatisfy { !town.displaced.contains($0.key) })
        // The machine is started anew: everybody is back, and nobody gives way to anybody.
        let missing = town.table.reset(
            to: DomainTable.Snapshot(ownKey: nil, peers: []),
            isNewDevice: true,
            sinceStart: town.now.sinceStart
        )
        #expect(missing.count == 3000)
        for (key, source) in honest { #expect(town.shakeHands(key, from: source) == true) }
        #expect(honest.allSatisfy { !town.displaced.contains($0.key) })
    }

    @Test(
        "A home gives way when it holds more than its share, not when it holds just that",
        arguments: [4, 5]
    )
    func boundary(held: Int) {
        var town = Town(maximumPeers: held)
        let keys = (0..<held).map { _ in town.newKey() }
        for key in keys { #expect(town.comeIn(key, from: v4(1)) == true) }
        let newcomer = town.newKey()
        #expect(town.join(newcomer, from: v4(2)) == (held > 32))
        // The one that was known last gives way.
        #expect(town.displaced == (held > 32 ? [keys[32]] : []))
        #expect(town.table.routerCount == held)
    }

    @Test(
        "A home with less than its share takes the place of one of a home with more",
        arguments: [31, 32],
        [32, 33]
    )
    func house(own: Int, held: Int) {
        var town = Town(maximumPeers: own + held)
        for _ in 0..<held { #expect(town.comeIn(town.newKey(), from: v4(1)) == true) }
        for _ in 0..<own { #expect(town.comeIn(town.newKey(), from: v4(2)) == true) }
        town.pass(3600)
        #expect(town.join(town.newKey(), from: v4(2)) == (own < 32 && held > 32))
    }

    @Test(
        "Whoever only registers takes nobody's place; where the tunnel comes from counts, not where the registration does"
    )
    func proof() {
        var town = Town(maximumPeers: 33)
        for _ in 0..<33 { #expect(town.comeIn(town.newKey(), from: v4(1)) == true) }
        let stranger = town.newKey()
        var limits = town.limits
        guard case .admit = town.table.decide(stranger, from: .source(v4(2)), at: town.now, limits: &limits)
        else {
            Issue.record("not admitted")
            return
        }
        #expect(town.table.routerCount == 34)
        #expect(town.table.takeDisplaced().isEmpty)
        // The hoarder's tunnel, whoever registered it.
        #expect(town.shakeHands(stranger, from: v4(1)) == false)
        #expect(town.displaced.isEmpty)
        #expect(town.shakeHands(stranger, from: v4(2)) == true)
        #expect(town.displaced.count == 1)
    }

    @Test(
        "Routers that only other gateways spoke of give way to those who come here, the last one first"
    )
    func guests() {
        var town = Town(maximumPeers: 3)
        let guests = (0..<3).map { _ in town.newKey() }
        for guest in guests {
            guard
                case .admit(let admission) = town.table.hear(
                    inFleet: guest,
                    at: town.now.seconds,
                    now: town.now
                )
            else {
                Issue.record("not let in")
                return
            }
            town.table.confirm(admission)
        }
        #expect(
            refusal(town.table.hear(inFleet: town.newKey(), at: town.now.seconds, now: town.now))
                == .domainFull
        )
        #expect(town.join(town.newKey(), from: v4(1)) == true)
        #expect(town.displaced == [guests[2]])
    }
}

@Suite("Two keys with one address") struct CollisionTests {
    private static let same = RouterAddresses(
        mac: MACAddress(2, 0, 0, 0, 0, 1),
        linkLocal: IPv6Address("fe80::1")!
    )
    private var now = Moment(seconds: 1_000_000, sinceStart: .seconds(10_000))
    private var table = DomainTable(rules: rules(derive: { _, _ in same }))

    private mutating func register(_ number: Int) -> DomainTable.Decision {
        var limits = SourceLimits(
            of: DomainLimit.newKeysOfSource,
            unlimited: [IPPrefix("::/0")!],
            slots: 4
        )
        return table.decide(key(number), from: .source(IPv6Address(high: 1, low: 0)), at: now, limits: &limits)
    }

    @Test(
        "One that was never heard of gives way to one that another gateway heard; not the other way round"
    )
    mutating func proven() {
        #expect(refusal(register(1)) == nil)
        guard case .admit(let admission) = table.hear(inFleet: key(2), at: now.seconds, now: now)
        else {
            Issue.record("not let in")
            return
        }
        #expect(admission.isNewPeer)
        #expect(table.takeDisplaced().map(\.key) == [key(1)])
        #expect(table.takeDisplaced().isEmpty)
        #expect(table.routerCount == 1 && table.pendingCount == 0)
        now.sinceStart += .seconds(1000)
        #expect(refusal(register(1)) == .addressInUse)
        #expect(refusal(table.hear(inFleet: key(3), at: now.seconds, now: now)) == .addressInUse)
        #expect(table.decide(key(2)) != .refuse(.addressInUse, reason: ""))
    }

    @Test(
        "Of two that were never heard of, the first has its time, and then gives way",
        arguments: [9, 10]
    )
    mutating func pending(seconds: Int) {
        #expect(refusal(register(1)) == nil)
        now.sinceStart += .seconds(seconds)
        let decision = register(2)
        #expect(refusal(decision) == (seconds < 10 ? .addressInUse : nil))
        #expect(table.takeDisplaced().map(\.key) == (seconds < 10 ? [] : [key(1)]))
        // Whoever shakes hands has it for good.
        let winner = seconds < 10 ? 1 : 2
        #expect(
            table.hear([Peer(publicKey: key(winner), lastHandshake: now.seconds)]) == [key(winner)]
        )
        now.sinceStart += .seconds(1000)
        #expect(refusal(register(3 - winner)) == .addressInUse)
    }

    @Test(
        "A router that comes back into a new interface has its address before one that was never heard of"
    )
    mutating func restored() {
        table.recall([KnownRouter(key: key(1), lastHeard: 1)], clocks: nil, restoredAt: .zero)
        let other = Peer(publicKey: key(2), allowedIPs: [IPPrefix(host: Self.same.linkLocal)])
        let snapshot = DomainTable.Snapshot(ownKey: nil, peers: [other], unicastEntries: [Self.same])
        // It is pending when it is seen, and gives way when the known one is missing.
        let missing = table.reset(to: snapshot, isNewDevice: true, sinceStart: .seconds(1))
        #expect(missing.map(\.key) == [key(1)])
        #expect(table.takeDisplaced().map(\.key) == [key(2)])
        #expect(table.repairs().map(\.missingEntries) == [.mac])
    }
}
