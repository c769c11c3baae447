import LinkFacts
import NetworkAddresses
import Time
import WireGuardTypes

@testable import LinkMember

/// A machine of the field, as it was measured: rounds of five seconds, no acknowledgements, one set of facts, and
/// whatever is sent counts as known to the receiver for as long as it was sent with. It shares nothing with the product
/// but the codec.
struct PlainMember {
    let key: PublicKey
    /// `nil`: it is a router if none of its peers is one.
    let givenRouter: Bool?
    var device = DeviceSnapshot(publicKey: LinkMemberTests.key(0), listenPort: 0, wallClock: 0)
    var nextRound: MonotonicTime
    private(set) var boot: BootID
    private var inbox: [(facts: [Fact], from: PublicKey, at: MonotonicTime)] = []
    private(set) var known: [Fact.Key: (fact: Fact, expiry: MonotonicTime)] = [:]
    private var local: Set<Fact.Key> = []
    private var toldTo: [PublicKey: [Fact.Key: MonotonicTime]] = [:]
    private(set) var boots: [PublicKey: (boot: BootID, expiry: MonotonicTime)] = [:]
    /// Datagrams that it could not read.
    private(set) var refused = 0

    init(key: PublicKey, isRouter: Bool?, boot: UInt64, at now: MonotonicTime) {
        self.key = key
        givenRouter = isRouter
        nextRound = now
        let bytes = (0..<16).map { UInt8(truncatingIfNeeded: boot >> (4 * UInt64($0))) }
        self.boot = BootID(bytes: bytes)!
    }

    var isRouter: Bool { givenRouter ?? !device.peers.contains { Self.isRouter($0) } }

    private static func isRouter(_ peer: Peer) -> Bool {
        peer.allowedIPs.contains { prefix in
            switch prefix.address {
            case .v4(let address): prefix.length < 32 && address.value >> 16 != 0xa9fe
            case .v6(let address): prefix.length < 128 && !address.isLinkLocal
            }
        }
    }

    private func isHealthy(_ peer: Peer) -> Bool {
        peer.endpoint != nil && peer.lastHandshake.map { Double(device.wallClock - $0) < 165.334 } ?? false
    }

    func isAlive(_ key: PublicKey, at now: MonotonicTime) -> Bool { boots[key].map { $0.expiry > now } ?? false }

    mutating func take(_ bytes: [UInt8], from source: PublicKey, at now: MonotonicTime) {
        guard let facts = try? Fact.facts(in: bytes) else {
            refused += 1
            return
        }
        inbox.append((facts, source, now))
    }

    private func trust(_ source: PublicKey) -> Int {
        guard let peer = device.peers.first(where: { $0.publicKey == source }) else { return 0 }
        return Self.isRouter(peer) ? 3 : 1
    }

    private func threshold(_ fact: Fact) -> Int {
        guard device.peers.contains(where: { $0.publicKey == fact.subject }) else { return 3 }
        switch fact.statement {
        case .endpoint: return 1
        case .allowedIP: return 2
        case .member, .plainMember: return 3
        case .alive: return 9
        }
    }

    /// One round: what came is merged, and what is new goes out.
    mutating func round(at now: MonotonicTime) -> [(facts: [UInt8], to: PublicKey)] {
        nextRound = now + .seconds(5)
        known = known.filter { $0.value.expiry > now }
        for (facts, source, time) in inbox {
            for fact in facts {
                let expiry = time + .seconds(Int64(fact.timeToLive.seconds))
                if case .alive(let boot) = fact.statement {
                    if boots[source]?.boot != boot { toldTo[source] = [:] }
                    boots[source] = (boot, expiry)
                    continue
                }
                toldTo[source, default: [:]][fact.key] = expiry
                guard expiry > now, trust(source) >= threshold(fact) else { continue }
                if known[fact.key].map({ $0.expiry < expiry }) ?? true { known[fact.key] = (fact, expiry) }
            }
        }
        inbox = []
        let facts = localFacts()
        let keys = Set(facts.map(\.key))
        for gone in local.subtracting(keys) { known[gone] = nil }
        local = keys
        for fact in facts { known[fact.key] = (fact, now + .seconds(255)) }
        return device.peers.flatMap { peer in send(to: peer, at: now).map { ($0, peer.publicKey) } }
    }

    private func localFacts() -> [Fact] {
        var facts = device.underlayAddresses.compactMap { address -> Fact? in
            guard case .v4(let v4) = address.address.address else { return nil }
            return Fact(key, .endpoint(.v4(v4, port: device.listenPort)))
        }
        for peer in device.peers {
            if isHealthy(peer), let endpoint = peer.endpoint { facts.append(Fact(peer.publicKey, .endpoint(endpoint))) }
            guard isRouter else { continue }
            for prefix in peer.allowedIPs where !prefix.isLinkLocal {
                facts.append(Fact(peer.publicKey, .allowedIP(prefix)))
            }
            facts.append(Fact(peer.publicKey, .member(MemberMetadata())))
        }
        return facts
    }

    private mutating func send(to peer: Peer, at now: MonotonicTime) -> [[UInt8]] {
        guard peer.endpoint != nil else { return [] }
        let receiver = peer.publicKey
        var groups = FactGroups()
        if Self.isRouter(peer) || isRouter && isHealthy(peer) {
            for (key, entry) in known {
                let subject = entry.fact.subject
                if subject == receiver, !entry.fact.statement.isMembership { continue }
                if subject != self.key {
                    let peer = device.peers.first { $0.publicKey == subject }
                    guard isAlive(subject, at: now) || peer.map({ isHealthy($0) }) ?? false else { continue }
                }
                if let told = toldTo[receiver]?[key], told - now > .milliseconds(132_500) { continue }
                groups.append(
                    Fact(subject: subject, entry.fact.statement, timeToLive: TimeToLive(until: entry.expiry, at: now))
                )
                toldTo[receiver, default: [:]][key] = entry.expiry
            }
        }
        let ping = Fact(key, .alive(boot))
        let told = toldTo[receiver]?[ping.key]
        if told.map({ $0 - now <= .seconds(225) }) ?? true {
            groups.append(ping)
            toldTo[receiver, default: [:]][ping.key] = now + .seconds(255)
        } else if groups.appendIfRoom(ping) {
            toldTo[receiver, default: [:]][ping.key] = now + .seconds(255)
        }
        return groups.groups
    }

    func knows(_ subject: PublicKey, _ statement: Fact.Statement) -> Bool {
        known[Fact(subject, statement).key] != nil
    }
}
