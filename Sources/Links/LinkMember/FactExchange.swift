public import LinkFacts
public import LinkMessages
public import NetworkAddresses
internal import SourceLimits
public import Time
public import WireGuardTypes

/// What a machine knows of the others, and what it tells them.
///
/// What each of the others said is kept for itself, so nobody's word is taken for another's. A machine tells what it
/// knows at first hand: its own addresses, what its WireGuard and its operator say of its peers, and, as a router, what
/// they say of themselves. It does not repeat what others say of others: all who may need it hear it from them, and
/// rumours have no end.
///
/// Machines of the field are told all again every two minutes, for they forget (``PlainRounds``). Machines of ours are
/// told what changes, until they acknowledge it (``DeltaStream``). What one of them said holds as long as it is alive,
/// and as what was known last after that.
public struct FactExchange: Sendable {
    let settings: LinkSettings
    let configured: [PublicKey: MemberSettings]
    private let relays: Bool
    /// In a test it need not follow from the key.
    let address: @Sendable (PublicKey) -> IPv6Address
    let startedAt: MonotonicTime

    var device: DeviceSnapshot?
    private var readAt: MonotonicTime = .start
    var networks = TunnelNetworks()
    /// Whether this machine tells others who is a member, and never takes anything away from peers.
    public internal(set) var isRouter = false
    /// What the operator says that this machine is believed.
    var ownTrust: Trust = .untrusted
    var peers: [PublicKey: PeerState] = [:]
    var claims = Claims()
    var journal = Journal()
    var resolved: [HostPort: [Endpoint]] = [:]
    var book = MemberBook()
    /// Of whom something has changed.
    var stale: Set<PublicKey> = []
    var allowedIPsAreStale = false
    var isPrepared = false
    /// When a peer may have changed without an event.
    var nextUpdate: MonotonicTime?

    private let random: UInt64
    /// For machines of the field, which tell everything again when it changes.
    var plainRandom: UInt64
    var rotatedAt: MonotonicTime?
    var answers: [FactMessage] = []
    /// When there is something to send.
    var wake: MonotonicTime?
    var log = NoticeLog()

    /// - Parameters:
    ///   - relays: whether this machine says that it relays between members.
    ///   - random: for the identifier of this start.
    public init(
        settings: LinkSettings,
        relays: Bool,
        at now: MonotonicTime,
        using random: inout some RandomNumberGenerator
    ) {
        self.init(settings: settings, relays: relays, at: now, using: &random) { $0.memberAddress }
    }

    init(
        settings: LinkSettings,
        relays: Bool,
        at now: MonotonicTime,
        using random: inout some RandomNumberGenerator,
        address: @escaping @Sendable (PublicKey) -> IPv6Address
    ) {
        self.settings = settings
        self.relays = relays
        self.address = address
        startedAt = now
        configured = Dictionary(settings.members.map { ($0.publicKey, $0) }, uniquingKeysWith: { first, _ in first })
        self.random = random.next()
        plainRandom = self.random
    }

    // MARK: - This machine

    /// UDP port of the facts; `nil` before the first snapshot.
    public var factsPort: UInt16? {
        settings.factsPort ?? device.map { $0.listenPort == .max ? .max - 1 : $0.listenPort + 1 }
    }

    /// What this machine says of itself; `nil` before the first snapshot.
    public var ours: OurBoot? { factsPort.map { OurBoot(port: $0, relays: relays, random: random) } }

    func alive(for peer: PeerState) -> Fact? {
        guard let device, var boot = ours else { return nil }
        if peer.ours == nil { boot.random = plainRandom }
        return Fact(subject: device.publicKey, .alive(boot.bootID), timeToLive: .usual)
    }

    // MARK: - What happens

    /// Takes a reading of the device.
    public mutating func take(_ snapshot: DeviceSnapshot, at now: MonotonicTime) {
        if let device, device.publicKey != snapshot.publicKey { forgetAll() }
        let before = device
        device = snapshot
        for peer in snapshot.peers where peer.publicKey != snapshot.publicKey {
            let isMade = snapshot.madePeers.contains(peer.publicKey)
            if let known = peers[peer.publicKey] {
                let isSame =
                    known.goneAt == nil && known.isMade == isMade && known.peer.endpoint == peer.endpoint
                    && known.peer.allowedIPs == peer.allowedIPs
                if !isSame { stale.insert(peer.publicKey) }
                if known.goneAt != nil || known.isMade != isMade || known.peer.allowedIPs != peer.allowedIPs {
                    allowedIPsAreStale = true
                }
                peers[peer.publicKey]?.take(
                    peer,
                    isMade: isMade,
                    wallClock: snapshot.wallClock,
                    previous: readAt,
                    at: now
                )
            } else {
                peers[peer.publicKey] = PeerState(peer, isMade: isMade, wallClock: snapshot.wallClock, at: now)
                stale.insert(peer.publicKey)
                allowedIPsAreStale = true
            }
        }
        let present = Set(snapshot.peers.map(\.publicKey))
        for (key, peer) in peers where peer.goneAt == nil && !present.contains(key) {
            peers[key]?.goneAt = now
            stale.insert(key)
            allowedIPsAreStale = true
        }
        if before?.tunnelAddresses != snapshot.tunnelAddresses
            || before?.underlayAddresses != snapshot.underlayAddresses || before?.listenPort != snapshot.listenPort
        {
            networks = TunnelNetworks(snapshot)
            stale.insert(snapshot.publicKey)
            // Other endpoints make sense now.
            stale.formUnion(book.keys)
            allowedIPsAreStale = true
        }
        readAt = now
        judge()
        settle(at: now, mustUpdate: true)
        wake = now
    }

    /// Takes a group of facts in the form of the field.
    ///
    /// - Parameter source: who signed the group.
    public mutating func take(_ facts: [Fact], from source: PublicKey, at now: MonotonicTime) {
        guard admits(source, at: now) else { return }
        for fact in facts where fact.timeToLive > .none {
            if case .alive(let boot) = fact.statement {
                // Only a machine itself says that it runs.
                if fact.subject == source { takeAlive(boot, fact.timeToLive, of: source, at: now) }
                continue
            }
            store(fact, from: source, .until(fact.timeToLive.expiry(receivedAt: now)), at: now)
        }
        settle(at: now)
    }

    /// Takes a delta of a machine of ours.
    public mutating func take(_ delta: FactDelta, from source: PublicKey, at now: MonotonicTime) {
        guard admits(source, at: now), let arrival = peers[source]?.inbox.take(delta.sequence, isFirst: delta.isFirst)
        else { return }
        switch arrival {
        case .unknown: return
        case .again: break
        case .first, .next:
            // Before what else it says: a start of the source means something for all of it.
            for fact in delta.facts where fact.subject == source {
                if case .alive(let boot) = fact.statement { takeAlive(boot, fact.timeToLive, of: source, at: now) }
            }
            if arrival == .first { fade(source, at: now) }
            apply(delta, from: source, at: now)
        }
        answers.append(.received(delta.sequence, to: source))
        settle(at: now)
    }

    /// A machine of ours says that it has a delta.
    public mutating func acknowledge(_ sequence: UInt32, from source: PublicKey, at now: MonotonicTime) {
        peers[source]?.heardDatagramAt = now
        peers[source]?.stream?.acknowledge(sequence)
        if let due = peers[source]?.stream?.nextDue(in: journal) { wake = min(wake ?? due, due) }
        settle(at: now)
    }

    /// Takes what a name of ``lookups`` stands for.
    public mutating func take(_ endpoints: [Endpoint], of name: HostPort, at now: MonotonicTime) {
        resolved[name] = Array(endpoints.prefix(FactLimits.endpointsOfClaimant))
        stale.formUnion(settings.members.filter { $0.endpoints.contains(name) }.map(\.publicKey))
        settle(at: now)
    }

    /// A peer has a new endpoint: a packet goes there, so that WireGuard makes a session.
    public mutating func ping(_ key: PublicKey, at now: MonotonicTime) {
        peers[key]?.rounds.ping(at: now)
        peers[key]?.wantsGreeting = true
        wake = now
    }
}

// MARK: - What was said

extension FactExchange {
    /// Whether a datagram of a source is taken: it is a peer, and not too fast.
    private mutating func admits(_ source: PublicKey, at now: MonotonicTime) -> Bool {
        guard var peer = peers[source], peer.goneAt == nil else { return false }
        let isInTime = peer.bucket.take(FactLimits.datagrams, at: now.sinceStart)
        if isInTime { peer.heardDatagramAt = now }
        peers[source] = peer
        if !isInTime { log.refused(source, "sends more datagrams with facts than are taken", at: now) }
        return isInTime
    }

    /// A machine of ours tells everything anew. Most of it is said again soon, or later if the source has just started and
    /// has yet to hear it itself.
    private mutating func fade(_ source: PublicKey, at now: MonotonicTime) {
        guard var peer = peers[source] else { return }
        let isStart = peer.boot != peer.inboxBoot
        peer.inboxBoot = peer.boot
        peers[source] = peer
        noteChange(claims.fade(source, until: now + (isStart ? FactTimes.fading : FactTimes.briefFading)))
    }

    private mutating func apply(_ delta: FactDelta, from source: PublicKey, at now: MonotonicTime) {
        for fact in delta.facts {
            if case .alive = fact.statement, fact.subject == source { continue }
            if fact.timeToLive == .none {
                guard claims.withdraw(fact, from: source) else { continue }
                noteChange([fact.subject])
            } else {
                let hold = fact.timeToLive.lastingOrigin.map { Claim.Hold.lasting($0) }
                store(fact, from: source, hold ?? .until(fact.timeToLive.expiry(receivedAt: now)), at: now)
            }
        }
    }

    private mutating func takeAlive(
        _ boot: BootID,
        _ timeToLive: TimeToLive,
        of source: PublicKey,
        at now: MonotonicTime
    ) {
        guard var peer = peers[source] else { return }
        let wasLive = peer.isLive
        let isNew = peer.takeAlive(boot, until: timeToLive.expiry(receivedAt: now), at: now)
        if peer.update(at: now) {
            stale.insert(source)
            if !wasLive { noteReturn(of: source, at: now) }
        }
        if isNew {
            // It knows nothing of what it was told.
            peer.rounds.restart(at: now)
            peer.stream = nil
            peer.wantsGreeting = peer.ours != nil
            stale.insert(source)
            log.forgive(source)
            wake = now
        }
        if let change = peer.nextChange { nextUpdate = min(nextUpdate ?? change, change) }
        peers[source] = peer
    }

    private mutating func store(_ fact: Fact, from source: PublicKey, _ hold: Claim.Hold, at now: MonotonicTime) {
        guard let trust = peers[source]?.trust, trust >= threshold(fact.statement, of: fact.subject) else { return }
        let isPeer = peers[fact.subject] != nil || fact.subject == device?.publicKey
        let standing = Claims.Standing(
            limit: trust >= .membership ? FactLimits.factsOfRouter : FactLimits.factsOfMember,
            isPeer: isPeer
        )
        let peers = peers
        let outcome = claims.take(fact, from: source, hold, standing, at: now) { claimant in
            claimant == fact.subject ? 0 : peers[claimant].map { $0.trust >= .membership } ?? false ? 1 : 2
        }
        switch outcome {
        case .changed: noteChange([fact.subject])
        case .known: break
        case .tooMuch: log.refused(source, "says more than is kept", at: now)
        }
    }

    private mutating func noteChange(_ subjects: Set<PublicKey>) {
        stale.formUnion(subjects)
        if !subjects.isEmpty { allowedIPsAreStale = true }
    }

    private mutating func forgetAll() {
        peers = [:]
        claims = Claims()
        journal = Journal()
        book = MemberBook()
        stale = []
        answers = []
        isRouter = false
        isPrepared = false
    }
}
