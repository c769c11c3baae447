public import KexProtocol
public import NetworkAddresses
public import SourceLimits
public import Time
public import WireGuardTypes

/// What one domain holds, and what a registration means for it.
///
/// The table is a snapshot of the kernel: ``reset(to:isNewDevice:sinceStart:)`` takes a new one, decisions change it
/// ahead of the kernel, and whoever carries them out says how that went. It does no I/O and knows no clock.
public struct DomainTable: Sendable {
    /// What the kernel said when it was last asked.
    public struct Snapshot: Sendable {
        /// The WireGuard device's own key; `nil` if it has none yet.
        public var ownKey: PublicKey?
        public var peers: [Peer]
        /// The permanent unicast fdb entries that lead through the WireGuard device.
        public var unicastEntries: Set<RouterAddresses>
        /// The destinations of the flood list that are reached through the WireGuard device.
        public var floodList: Set<IPv6Address>
        /// The destinations that the VXLAN interface has learned, through the WireGuard device. Only several profiles
        /// need them.
        public var learned: Set<IPv6Address>
        /// Whether the fdb was listed. Otherwise the three sets say nothing, and what is known of entries stays: see
        /// ``DomainTable/noteEntry(mac:to:isGone:)``.
        public var hasEntries: Bool

        public init(
            ownKey: PublicKey?,
            peers: [Peer],
            unicastEntries: Set<RouterAddresses> = [],
            floodList: Set<IPv6Address> = [],
            learned: Set<IPv6Address> = [],
            hasEntries: Bool = true
        ) {
            self.ownKey = ownKey
            self.peers = peers
            self.unicastEntries = unicastEntries
            self.floodList = floodList
            self.learned = learned
            self.hasEntries = hasEntries
        }
    }

    /// What is to be done about a registration.
    public enum Decision: Hashable, Sendable {
        /// Nothing is missing: the router is in. Its session is left alone, because public keys are public, and a
        /// registration is no proof of owning one.
        case present
        /// Bring this into the kernel, then call ``DomainTable/confirm(_:)`` or ``DomainTable/abandon(_:)``.
        case admit(Admission)
        /// Refuse; the reason is for the log.
        case refuse(Refusal, reason: String)
    }

    /// A router on its way in.
    public struct Admission: Hashable, Sendable {
        public var key: PublicKey
        public var addresses: RouterAddresses
        /// Its addresses by other profiles, which its peer has too.
        public var furtherLinkLocals: [IPv6Address] = []
        /// Whether the peer has to be made; otherwise only fdb entries are missing.
        public var isNewPeer: Bool
        /// Entries that are not there yet.
        public var missingEntries: FdbEntries
    }

    /// Somebody in the WireGuard device. There may be a hundred thousand, so what few of them have is kept apart:
    /// ``marks``, ``resets``.
    struct Router: Hashable, Sendable {
        // In this order they take 56 bytes.

        /// Where the router is, as far as it is known.
        var addresses: RouterAddresses
        var entries: FdbEntries
        private var traits: Traits
        private var homeKind: Home.Kind
        /// Grows with each router that becomes known; zero for those whom an earlier process knew.
        var number: UInt32
        private var heardAt: Int64 = 0
        var receivedBytes: UInt64
        private var homeBits: UInt64

        private struct Traits: OptionSet, Hashable {
            let rawValue: UInt8
            static let hasSession = Traits(rawValue: 1)
            static let isHeld = Traits(rawValue: 2)
            static let isAdopted = Traits(rawValue: 4)
            static let isHeard = Traits(rawValue: 8)
        }

        init(
            addresses: RouterAddresses,
            entries: FdbEntries = [],
            isHeld: Bool = false,
            isAdopted: Bool = false,
            lastHeard: Int64? = nil,
            receivedBytes: UInt64 = 0,
            home: Home? = nil,
            number: UInt32 = 0
        ) {
            self.addresses = addresses
            self.entries = entries
            self.receivedBytes = receivedBytes
            self.number = number
            (traits, homeKind, homeBits) = ([], .none, 0)
            self.isHeld = isHeld
            self.isAdopted = isAdopted
            self.lastHeard = lastHeard
            self.home = home
        }

        /// Whether there was a handshake in this WireGuard device.
        var hasSession: Bool {
            get { traits.contains(.hasSession) }
            set { set(.hasSession, newValue) }
        }

        /// Whether the operator has changed its peer. Then it is served, and neither removed nor changed.
        var isHeld: Bool {
            get { traits.contains(.isHeld) }
            set { set(.isHeld, newValue) }
        }

        /// Whether its peer was there before kex knew it.
        var isAdopted: Bool {
            get { traits.contains(.isAdopted) }
            set { set(.isAdopted, newValue) }
        }

        /// Seconds since 1970: the last handshake, before this WireGuard device if there was none in it. `nil` for a
        /// pending router.
        var lastHeard: Int64? {
            get { traits.contains(.isHeard) ? heardAt : nil }
            set {
                heardAt = newValue ?? 0
                set(.isHeard, newValue != nil)
            }
        }

        /// Where its tunnel comes from; `nil` if nothing came through it in this device.
        var home: Home? {
            get { homeKind == .none ? nil : Home(homeKind, homeBits) }
            set { (homeKind, homeBits) = (newValue?.kind ?? .none, newValue?.bits ?? 0) }
        }

        private mutating func set(_ trait: Traits, _ isSet: Bool) {
            if isSet { traits.insert(trait) } else { traits.remove(trait) }
        }
    }

    public internal(set) var rules: DomainRules
    var ownKey: PublicKey?
    /// Peers that were made by a registration.
    var routers: Routers
    /// Set by the sweep that found the router stale first.
    var marks = Ledger<StaleMark>()
    /// Time since the start of the machine at which a router's session was reset.
    var resets = Ledger<Duration>()
    /// When other gateways heard of routers last, seconds since 1970.
    var heardInFleet = Ledger<Int64>()
    /// Those of ``routers`` that were never heard of.
    var pending = PendingRouters()
    private var checks = SessionChecks()
    /// New keys of sources that brought one lately, and of those that did not.
    private var newKeys = TokenBucket()
    private var freshKeys = TokenBucket()
    /// Wall clock less time since the start of the machine, at the last registration.
    private var clockOffset: Duration?
    /// The wall clock was stepped: until this time the age of a handshake says nothing.
    private var distrustedUntil = Duration.zero
    /// Every other peer. They are the operator's own, and are never touched.
    var staticPeers: Set<PublicKey> = []
    /// Routers that were removed on purpose.
    public internal(set) var removals = RemovalRecord()
    /// See ``takeDisplaced()``.
    var displaced: [Departure] = []
    /// Who may give way, if the domain was full since the last snapshot.
    var holdings: Holdings?
    var lastNumber: UInt32 = 0
    /// Peers that have the address of a router, and show the operator's hand.
    public internal(set) var operatorsPeers: [PublicKey: OperatorsPeer] = [:]
    /// The owner of each single IPv6 address. WireGuard silently moves an allowed IP to the peer that gets it last.
    var owners: [IPv6Address: PublicKey] = [:]
    /// See ``takeReaddressings()``.
    var readdressings: [Readdressing] = []
    /// See ``takeStrays()``.
    var strays: [Stray] = []
    /// Time since the start of the machine at which a router moved to another of its addresses.
    var moves = Ledger<Duration>()
    /// Both clocks at the last sweep, to see whether the wall clock was stepped since.
    public internal(set) var clocks: Moment?
    /// When a sweep found first that ``suspiciousShare`` of the routers should go at once, time since the start of the
    /// machine.
    var suspicion: Duration?
    /// Time since the start of the machine at which the WireGuard device was filled from the saved state: nobody could
    /// be heard before.
    public internal(set) var restoredAt = Duration.zero
    /// Grows whenever ``knownRouters`` becomes different in more than the times.
    public internal(set) var changeCount = 0

    /// Routers whose keys the rules do not allow, as of the last snapshot, except those whose peers the operator has
    /// changed.
    var prohibited: [Departure] = []

    public init(rules: DomainRules) {
        self.rules = rules
        routers = Routers(wanted: rules.entries)
    }

    /// Number of routers in the domain.
    public var routerCount: Int { routers.count }

    /// Routers that registered and were never heard of.
    public var pendingCount: Int { pending.count }

    /// Whether there is a router that has not been heard of in this WireGuard device.
    public var awaitsSomebody: Bool { routers.silentCount > 0 }

    // MARK: - Saved state

    /// Every router that was ever heard of, in no order: those who only registered are left out, because anybody can
    /// register any number of keys.
    public var knownRouters: [KnownRouter] {
        routers.compactMap { key, router in
            router.lastHeard.map {
                KnownRouter(
                    key: key,
                    lastHeard: max($0, heardInFleet[key] ?? $0),
                    mark: marks[key],
                    isAdopted: router.isAdopted
                )
            }
        }
    }

    /// Takes in what an earlier process knew. The next ``reset(to:isNewDevice:sinceStart:)`` says what is left of it.
    ///
    /// - Parameters:
    ///   - clocks: ``clocks`` as they were; `nil` if the machine was started anew since.
    ///   - listeningSince: the same.
    ///   - operatorsPeers: ``rememberedOperatorsPeers`` as they were.
    public mutating func recall(
        _ known: [KnownRouter],
        clocks: Moment?,
        restoredAt: Duration,
        operatorsPeers: [PublicKey] = []
    ) {
        for key in operatorsPeers {
            self.operatorsPeers[key] = OperatorsPeer(sign: .configuredEndpoint, isRouter: false)
        }
        for router in known {
            routers[router.key] = Router(
                addresses: rules.addresses(of: router.key),
                isAdopted: router.isAdopted,
                lastHeard: router.lastHeard
            )
            // Times since the start of another machine's life say nothing.
            marks[router.key] = clocks == nil ? nil : router.mark
        }
        self.clocks = clocks
        self.restoredAt = clocks == nil ? .zero : restoredAt
    }

    /// Who was heard of for the first time when the last snapshot was taken.
    var heardInSnapshot: [PublicKey] = []

    /// Who was removed from WireGuard since the snapshot before, and was forgotten when the last one was taken.
    var forgottenInSnapshot: [PublicKey] = []

    /// Set if so many were missing in the last snapshot that nobody can have meant it.
    var massLoss: MassLoss?

    /// Takes a new snapshot of the kernel, and keeps what is known about the routers that are still there.
    ///
    /// What the kernel has lost while the device stayed, somebody removed, and it is forgotten here too, with its
    /// entries, unless it is a ``massLoss``. What is missing then, or in a new device, comes back. Its entries are
    /// among the ``repairs()``: the unicast entry at once, the flood entry when it is heard of.
    ///
    /// - Parameters:
    ///   - isNewDevice: whether the WireGuard device is another one than in the snapshot before.
    ///   - sinceStart: time since the start of the machine.
    /// - Returns: the peers that a new device lacks. Bring all of them into the kernel; if that fails, ask with a new
    ///   snapshot again.
    mutating func reset(to snapshot: Snapshot, isNewDevice: Bool, sinceStart: Duration) -> [Admission] {
        let before = routers
        var justHeard: [Peer] = []
        // Those who were ever heard of: before, and of them those who stayed, and in this snapshot.
        let wereKnown = before.count { $0.value.lastHeard != nil }
        var (found, stayed, heard) = (0, 0, 0)
        let rememberedBefore = Set(rememberedOperatorsPeers)
        ownKey = snapshot.ownKey
        routers.removeAll(keepingCapacity: true)
        staticPeers.removeAll(keepingCapacity: true)
        readdressings = []
        strays = []
        owners.removeAll(keepingCapacity: true)
        routers.reserveCapacity(snapshot.peers.count)
        owners.reserveCapacity(snapshot.peers.count)
        for peer in snapshot.peers {
            for prefix in peer.allowedIPs where prefix.length == 128 {
                if case .v6(let address) = prefix.address { owners[address] = peer.publicKey }
            }
            let known = before[peer.publicKey]
            if known != nil { found += 1 }
            guard
                case .router(let addresses, let isHeld) =
                    judge(peer, known: known, in: snapshot, isNewDevice: isNewDevice)
            else {
                staticPeers.insert(peer.publicKey)
                continue
            }
            var entries: FdbEntries = []
            if snapshot.hasEntries {
                if !rules.isMigration, snapshot.unicastEntries.contains(addresses) { entries.insert(.mac) }
                if snapshot.floodList.contains(addresses.linkLocal) { entries.insert(.flood) }
            } else if let known, known.addresses == addresses {
                entries = known.entries
            }
            var router = Router(
                addresses: addresses,
                entries: entries,
                isHeld: isHeld,
                isAdopted: known?.isAdopted ?? true,
                lastHeard: known?.lastHeard,
                receivedBytes: peer.receivedBytes,
                home: peer.endpoint.map(Home.init(of:)),
                number: known?.number ?? 0
            )
            if known?.lastHeard != nil { stayed += 1 }
            if let known, known.lastHeard == nil {
                justHeard.append(peer)
            } else if let lastHandshake = peer.lastHandshake {
                router.lastHeard = lastHandshake
                router.hasSession = true
            }
            if router.lastHeard != nil { heard += 1 }
            routers[peer.publicKey] = router
        }
        claimAddresses()
        holdings = nil
        marks.keep { routers[$0].map { !$0.isHeld } ?? false }
        moves.keep { routers[$0] != nil }
        resets.keep { routers[$0] != nil }
        // A new device may get the operator's own later than it is seen.
        if !isNewDevice, !operatorsPeers.isEmpty {
            operatorsPeers = operatorsPeers.filter { routers[$0.key] != nil || staticPeers.contains($0.key) }
        }
        let lost =
            found == before.count ? [] : before.filter { routers[$0.key] == nil && !staticPeers.contains($0.key) }
        massLoss = isNewDevice ? nil : MassLoss(lost: lost.count { $0.value.lastHeard != nil }, of: wereKnown)
        forgottenInSnapshot = []
        let missing: [Admission]
        if isNewDevice || massLoss != nil {
            missing = restore(lost, snapshot, isNewDevice: isNewDevice, sinceStart: sinceStart)
        } else {
            missing = []
            for (key, router) in lost { forget(key, router, snapshot) }
        }
        if !heardInFleet.isEmpty { heardInFleet.keep { routers[$0] != nil } }
        pending.removeAll { key in routers[key].map { $0.lastHeard != nil || $0.isHeld } ?? true }
        let wait = Set(pending.keys)
        for (key, router) in routers where router.lastHeard == nil && !router.isHeld && !wait.contains(key) {
            pending.insert(key, home: nil, at: sinceStart)
        }
        let isRememberedChanged = rememberedBefore != Set(rememberedOperatorsPeers)
        if !missing.isEmpty || stayed != wereKnown || stayed != heard || isRememberedChanged { changeCount += 1 }
        heardInSnapshot = hear(justHeard)
        if !hasRoom { takeHoldings() }
        prohibited = routers.filter { !$0.value.isHeld && rules.objection(to: $0.key) != nil }.map {
            Departure(key: $0.key, addresses: $0.value.addresses, cause: .prohibited)
        }
        return missing
    }

    /// Somebody removed a router's peer. Its entries go too, or every broadcast would be copied for nobody.
    private mutating func forget(_ key: PublicKey, _ router: Router, _ snapshot: Snapshot) {
        forgottenInSnapshot.append(key)
        noteRemoval(of: key, lastHeard: router.lastHeard)
        // Entries of an address that belongs to another peer by now stay.
        for addresses in allAddresses(of: key, at: router.addresses) where owners[addresses.linkLocal] == nil {
            let entries = entries(to: addresses, of: router, snapshot)
            if !entries.isEmpty { strays.append(Stray(addresses: addresses, entries: entries)) }
        }
    }

    /// The entries that a router which is missing has left.
    private func entries(to addresses: RouterAddresses, of router: Router, _ snapshot: Snapshot) -> FdbEntries {
        guard snapshot.hasEntries else { return router.addresses == addresses ? router.entries : [] }
        var entries: FdbEntries = []
        if snapshot.unicastEntries.contains(addresses) { entries.insert(.mac) }
        if snapshot.floodList.contains(addresses.linkLocal) { entries.insert(.flood) }
        return entries
    }

    private mutating func restore(
        _ lost: [(key: PublicKey, value: Router)],
        _ snapshot: Snapshot,
        isNewDevice: Bool,
        sinceStart: Duration
    ) -> [Admission] {
        guard !lost.isEmpty else { return [] }
        restoredAt = sinceStart
        var admissions: [Admission] = []
        // If there are too many, those heard of last come back.
        for (key, router) in lost.sorted(by: { $0.value.lastHeard ?? .min > $1.value.lastHeard ?? .min }) {
            let hasRoom = routers.count < rules.maximumPeers || router.lastHeard == nil
            guard hasRoom, rules.objection(to: key) == nil, key != ownKey, !staticPeers.contains(key),
                case .free(let yielding) =
                    addresses(router.addresses, for: key, isProven: router.lastHeard != nil, at: sinceStart)
            else { continue }
            for other in yielding { displace(other, .displaced) }
            let (addresses, lastHeard) = (router.addresses, router.lastHeard)
            own(key, addresses)
            // Without a list, the known entries are those of the old device.
            let isKnown = snapshot.hasEntries || !isNewDevice
            var present = isKnown ? entries(to: addresses, of: router, snapshot) : []
            // Until it is heard of again, broadcasts are not for it.
            if present.remove(.flood) != nil { strays.append(Stray(addresses: addresses, entries: .flood)) }
            // The entries of a router that gives way go with it.
            if rules.isMigration || !yielding.isEmpty { present = [] }
            routers[key] = Router(addresses: addresses, entries: present, lastHeard: lastHeard, number: router.number)
            admissions.append(newPeer(key, addresses, missing: []))
        }
        return admissions
    }

    // MARK: - Signs of life

    /// Fdb entries that are not as they should be.
    public struct Repairs: Hashable, Sendable {
        /// Routers that lack entries. Report each with ``Outcome/admitted(_:)`` when the kernel has its entries.
        public var missing: [Admission]
        /// Entries that lead to where routers are not. They go after the missing ones are in, so that no broadcast is
        /// lost. They are handed out once.
        public var strays: [Stray]
    }

    /// What is to be repaired now.
    ///
    /// - Parameter limit: most routers that lack entries.
    public mutating func takeRepairs(atMost limit: Int) -> Repairs {
        Repairs(missing: repairs(atMost: limit), strays: takeStrays())
    }

    /// Entries that routers lack although they should have them by now: the unicast entry, and the flood entry of those
    /// who were heard of in this device. Before that it would multiply broadcasts for nobody.
    ///
    /// - Parameter limit: most routers.
    func repairs(atMost limit: Int = .max) -> [Admission] {
        routers.lacking.lazy.compactMap { [self] key -> Admission? in
            guard let router = routers[key], isReachable(key, router) else { return nil }
            let missing = routers.missingEntries(of: router)
            return Admission(key: key, addresses: router.addresses, isNewPeer: false, missingEntries: missing)
        }.prefix(limit).map(\.self)
    }

    /// Takes in what WireGuard says of its peers now, without the fdb.
    ///
    /// - Returns: who was heard of for the first time in this device. A pending router that would be one too many stays
    ///   what it is.
    public mutating func hear(_ peers: [Peer]) -> [PublicKey] {
        peers.filter { peer in
            guard let lastHandshake = peer.lastHandshake, routers[peer.publicKey]?.hasSession == false else {
                return false
            }
            routers[peer.publicKey]?.home = peer.endpoint.map(Home.init(of:))
            guard hear(peer.publicKey, at: lastHandshake) else { return false }
            routers[peer.publicKey]?.receivedBytes = peer.receivedBytes
            return true
        }.map(\.publicKey)
    }

    mutating func hear(_ key: PublicKey, at lastHandshake: Int64) -> Bool {
        guard let router = routers[key], !router.hasSession else { return false }
        // Its home is known when WireGuard has been asked.
        if router.lastHeard == nil, !hasRoom {
            guard let home = router.home, makeRoom(forOneFrom: home) else { return false }
            holdings?.add(key, at: home)
        }
        guard makeKnown(key, lastHeard: lastHandshake) else { return false }
        routers[key]?.lastHeard = lastHandshake
        routers[key]?.hasSession = true
        return true
    }

    // MARK: - Registrations

    /// Decides about one registration. An admission is in the table from now on, so that the next decision sees it.
    ///
    /// - Parameters:
    ///   - origin: who brings it.
    ///   - limits: what each source may do, of ``DomainLimit/newKeysOfSource``. Only new keys cost something.
    public mutating func decide(
        _ key: PublicKey,
        from origin: Origin,
        at now: Moment,
        limits: inout SourceLimits
    ) -> Decision {
        noteClocks(now)
        if let refusal = objection(to: key) { return refusal }
        if routers[key] != nil { return decide(known: key, at: now) }
        let addresses = rules.addresses(of: key)
        let yielding: [PublicKey]
        switch self.addresses(addresses, for: key, isProven: false, at: now.sinceStart) {
        case .taken(let refusal): return refusal
        case .free(let others): yielding = others
        }
        if let refusal = takePlace(for: key, from: origin, at: now.sinceStart, &limits) { return refusal }
        for other in yielding { displace(other, .displaced) }
        let missing = rules.floodsAtRegistration ? rules.entries : rules.entries.subtracting(.flood)
        return .admit(add(key, Router(addresses: addresses), missing: missing))
    }

    /// Why nobody may have this key; `nil` if somebody may.
    func objection(to key: PublicKey) -> Decision? {
        guard key.isUsable else { return .refuse(.invalidKey, reason: "no router can have this key") }
        if let reason = rules.objection(to: key) { return .refuse(.prohibitedKey, reason: reason) }
        if key == ownKey { return .refuse(.prohibitedKey, reason: "the key is the gateway's own") }
        guard staticPeers.contains(key) else { return nil }
        return .refuse(.prohibitedKey, reason: "the key belongs to a peer that no registration made")
    }

    /// Whether a newcomer may have its addresses.
    enum Vacancy {
        case taken(Decision)
        /// They are nobody's, or of routers that give way: call ``displace(_:_:)`` for each.
        case free([PublicKey])
    }

    /// Whether a newcomer may have these addresses. A router that was never heard of gives way to one that was; and to
    /// another newcomer when it has had ``DomainLimit/pendingGrace``, so that nobody keeps a router out with a key that
    /// is never used.
    ///
    /// - Parameter isProven: whether somebody has the newcomer's private key.
    func addresses(
        _ addresses: RouterAddresses,
        for key: PublicKey,
        isProven: Bool,
        at now: Duration
    ) -> Vacancy {
        var yielding: [PublicKey] = []
        for address in [addresses.linkLocal] + furtherLinkLocals(of: key, at: addresses) {
            guard let owner = owners[address], owner != key else { continue }
            let hadItsTime = pending.registration(of: owner).map { now - $0 >= DomainLimit.pendingGrace } ?? false
            guard let router = routers[owner], router.lastHeard == nil, !router.isHeld, isProven || hadItsTime else {
                return .taken(.refuse(.addressInUse, reason: "its address \(address) belongs to \(owner)"))
            }
            if !yielding.contains(owner) { yielding.append(owner) }
        }
        return .free(yielding)
    }

    /// Puts a newcomer into the table.
    mutating func add(_ key: PublicKey, _ router: Router, missing: FdbEntries) -> Admission {
        own(key, router.addresses)
        routers[key] = router
        if router.lastHeard != nil {
            changeCount += 1
            let number = nextNumber()
            routers[key]?.number = number
        }
        return newPeer(key, router.addresses, missing: missing)
    }

    private mutating func nextNumber() -> UInt32 {
        // After four thousand million routers all newcomers are as young as one another.
        if lastNumber < .max { lastNumber += 1 }
        return lastNumber
    }

    mutating func own(_ key: PublicKey, _ addresses: RouterAddresses) {
        owners[addresses.linkLocal] = key
        for address in furtherLinkLocals(of: key, at: addresses) { owners[address] = key }
    }

    private func newPeer(_ key: PublicKey, _ addresses: RouterAddresses, missing: FdbEntries) -> Admission {
        let further = furtherLinkLocals(of: key, at: addresses)
        return Admission(
            key: key,
            addresses: addresses,
            furtherLinkLocals: further,
            isNewPeer: true,
            missingEntries: missing
        )
    }

    /// Routers that gave their places to others: take them out of the kernel before anybody is let in.
    public mutating func takeDisplaced() -> [Departure] {
        defer { displaced = [] }
        return displaced
    }

    /// Takes a router's place from it.
    mutating func displace(_ key: PublicKey, _ cause: Departure.Cause) {
        guard let departure = departure(of: key, cause) else { return }
        displaced.append(departure)
        remove(key)
    }

    private mutating func makeRoom(forOneFrom home: Home) -> Bool {
        takeHoldings()
        let victim = holdings?.makeRoom(forOneFrom: home) { [routers] key in
            routers[key].map { $0.lastHeard != nil && !$0.isHeld } ?? false
        }
        guard let victim else { return false }
        displace(victim, .crowdedOut)
        return true
    }

    /// It costs one pass over all routers for each snapshot in which the domain is full.
    private mutating func takeHoldings() {
        if holdings == nil { holdings = Holdings(of: routers) { [heardInFleet] in heardInFleet[$0] != nil } }
    }

    /// Whether one more router may be known.
    var hasRoom: Bool { routers.count - pending.count < rules.maximumPeers }

    var fullReason: String { "the domain has \(rules.maximumPeers) routers already" }

    /// Takes in that a router that is here was heard of at last, if it was pending.
    ///
    /// - Returns: whether there was room for it.
    mutating func makeKnown(_ key: PublicKey, lastHeard: Int64) -> Bool {
        guard let router = routers[key], router.lastHeard == nil else { return true }
        guard hasRoom else { return false }
        pending.remove(key)
        changeCount += 1
        routers[key]?.lastHeard = lastHeard
        let number = nextNumber()
        routers[key]?.number = number
        return true
    }

    private mutating func decide(known key: PublicKey, at now: Moment) -> Decision {
        guard let router = routers[key] else { preconditionFailure("the key is known") }
        guard isReachable(key, router) else {
            // Its own peer has lost the address. When it is free again, the next snapshot brings it back.
            let owner = owners[router.addresses.linkLocal].map { "belongs to \($0)" } ?? "is not its own any more"
            return .refuse(.addressInUse, reason: "its address \(router.addresses.linkLocal) \(owner)")
        }
        // It came back, and needs time for its handshake.
        if !marks.isEmpty, marks.removeValue(forKey: key) != nil { changeCount += 1 }
        // A peer with the operator's settings is not made anew.
        if !router.isHeld { armCheck(of: key, router, at: now) }
        let missing =
            rules.floodsAtRegistration ? rules.entries.subtracting(router.entries) : routers.missingEntries(of: router)
        guard !missing.isEmpty else { return .present }
        return .admit(Admission(key: key, addresses: router.addresses, isNewPeer: false, missingEntries: missing))
    }

    /// Whether WireGuard sends what is for the router's address to the router.
    private func isReachable(_ key: PublicKey, _ router: Router) -> Bool {
        owners[router.addresses.linkLocal] == key
    }

    /// Makes a new key one of the pending, which costs its source and the domain a token; or says why not.
    private mutating func takePlace(
        for key: PublicKey,
        from origin: Origin,
        at now: Duration,
        _ limits: inout SourceLimits
    ) -> Decision? {
        // Whether another router gives way is decided at the newcomer's first handshake, by where its tunnel comes
        // from. A newcomer that would get no place then is refused now.
        var home: IPv6Address?
        if case .source(let source) = origin, !limits.isUnlimited(source) { home = SourceLimits.home(of: source) }
        if !hasRoom {
            takeHoldings()
            guard holdings?.mayJoin(home.map(Home.init(of:))) ?? false else {
                return .refuse(.domainFull, reason: fullReason)
            }
        }
        guard rules.allowedKeys == nil else {
            // The operator vouches for it, and the list is all that can come.
            pending.insert(key, home: nil, at: now)
            return nil
        }
        var isFresh = false
        if case .source(let source) = origin {
            isFresh = limits.isFresh(source, at: now)
            guard limits.take(from: source, at: now) else {
                return .refuse(.rateLimited, reason: "its source registered too many new keys")
            }
        }
        guard isFresh && freshKeys.take(DomainLimit.newKeys, at: now) || newKeys.take(DomainLimit.newKeys, at: now)
        else {
            return .refuse(.rateLimited, reason: "too many new keys from all sources together")
        }
        guard pending.makeRoom(forOneFrom: home, at: now) else {
            return .refuse(.rateLimited, reason: "too many keys wait for their first handshake")
        }
        pending.insert(key, home: home, at: now)
        return nil
    }

    /// ``prohibited``, once.
    mutating func takeProhibited() -> [Departure] {
        defer { prohibited = [] }
        return prohibited.filter { routers[$0.key] != nil }
    }

    /// The kernel has taken the whole admission.
    mutating func confirm(_ admission: Admission) {
        routers[admission.key]?.entries.formUnion(admission.missingEntries)
    }

    /// The kernel has not taken the admission, and what it took was taken back.
    mutating func abandon(_ admission: Admission) {
        if admission.isNewPeer { remove(admission.key) }
    }

    /// Notes that a router goes on purpose, before ``remove(_:)``. Not for one that goes because another gateway said
    /// so, or that was never heard of.
    mutating func noteRemoval(of key: PublicKey) { noteRemoval(of: key, lastHeard: routers[key]?.lastHeard) }

    private mutating func noteRemoval(of key: PublicKey, lastHeard: Int64?) {
        guard let lastHeard else { return }
        removals.note(key, lastHeard: max(lastHeard, heardInFleet[key] ?? lastHeard))
    }

    /// The router is no longer in the kernel.
    mutating func remove(_ key: PublicKey) {
        guard let router = routers.removeValue(forKey: key) else { return }
        if router.lastHeard != nil { changeCount += 1 }
        for addresses in allAddresses(of: key, at: router.addresses) where owners[addresses.linkLocal] == key {
            owners[addresses.linkLocal] = nil
        }
        marks[key] = nil
        moves[key] = nil
        resets[key] = nil
        heardInFleet[key] = nil
        pending.remove(key)
        checks.remove(key)
    }

    // MARK: - Time

    /// Pending routers whose time is over.
    ///
    /// - Parameter now: time since the start of the machine.
    public func expired(at now: Duration) -> [Departure] {
        pending.due(at: now).compactMap { departure(of: $0, .expired) }
    }

    /// When ``expired(at:)`` has somebody, time since the start of the machine.
    public var nextExpiry: Duration? { pending.nextDue }

    /// When a comparison could find dead sessions, time since the start of the machine.
    public var nextCheck: Duration? { checks.nextDue }

    /// Routers whose peers should be removed and added again, with one message: they registered, and the last snapshot
    /// shows no living session.
    ///
    /// - Parameters:
    ///   - time: when the snapshot was begun, time since the start of the machine.
    ///   - now: time since the start of the machine.
    ///   - touched: of whom the snapshot says nothing.
    mutating func deadSessions(
        inSnapshotOf time: Duration,
        at now: Duration,
        except touched: Set<PublicKey> = []
    ) -> [Admission] {
        let routers = routers
        checks.begin(inSnapshotOf: time) { key in touched.contains(key) ? nil : routers[key]?.receivedBytes }
        let expired = checks.expired(inSnapshotOf: time, at: now) { key in
            touched.contains(key) ? nil : routers[key]?.receivedBytes
        }
        return expired.compactMap { key in
            routers[key].map { newPeer(key, $0.addresses, missing: []) }
        }
    }

    /// The router's peer was removed and added again.
    mutating func noteReset(_ key: PublicKey, at now: Duration) {
        routers[key]?.hasSession = false
        routers[key]?.isAdopted = false
        routers[key]?.receivedBytes = 0
        resets[key] = now
    }

    /// Has the session checked now if it is too old to be used, and otherwise after the time for an authenticated byte.
    private mutating func armCheck(of key: PublicKey, _ router: Router, at now: Moment) {
        let lastReset = resets.isEmpty ? nil : resets[key]
        if let lastReset, now.sinceStart - lastReset < DomainLimit.resetPause { return }
        let isDead: Bool
        if router.hasSession, let lastHeard = router.lastHeard {
            // Before 1970 is as good as in 1970, and then the difference has no overflow. The future is fresh.
            let age = Duration.seconds(now.seconds - max(lastHeard, 0))
            isDead = age > DomainLimit.sessionTime && now.sinceStart >= distrustedUntil
        } else {
            let since = lastReset ?? pending.registration(of: key) ?? restoredAt
            isDead = now.sinceStart - since > DomainLimit.firstHandshakeTime
        }
        let due = isDead ? now.sinceStart : now.sinceStart + DomainLimit.evidenceTime
        checks.arm(key, receivedBytes: router.receivedBytes, at: now.sinceStart, due: due)
    }

    /// Whether the router registered a moment ago although it is known.
    public func isRegistering(_ key: PublicKey) -> Bool { checks.isArmed(key) }

    /// Whether the router registered, and its session seems to be dead already: the next snapshot decides.
    ///
    /// - Parameter now: time since the start of the machine.
    public func isToBeChecked(_ key: PublicKey, at now: Duration) -> Bool {
        checks.due(of: key).map { $0 <= now } ?? false
    }

    /// Whether the router was never heard of.
    func isPending(_ key: PublicKey) -> Bool { pending.contains(key) }

    /// Where the router is; `nil` if it is none.
    public func addresses(of key: PublicKey) -> RouterAddresses? { routers[key]?.addresses }

    /// Whether ``takeRepairs(atMost:)`` has something.
    public var needsRepairs: Bool { !routers.lacking.isEmpty || !strays.isEmpty }

    private mutating func noteClocks(_ now: Moment) {
        let offset = Duration.seconds(now.seconds) - now.sinceStart
        if let clockOffset,
            abs((offset - clockOffset).components.seconds) > DomainLimit.toleratedStep.components.seconds
        {
            distrustedUntil = now.sinceStart + DomainLimit.sessionTime
        }
        clockOffset = offset
    }
}
