internal import NetworkAddresses
public import Time
public import WireGuardTypes

/// A comparison of a table with the kernel, beside the loop that goes on with the table.
///
/// A copy takes in the snapshot, and then takes the table's place. Going through all routers takes tens of milliseconds
/// when there are 50,000. What was done with the table since the copy was made is newer than the snapshot, which may
/// have been begun before it or after. So the keys that were touched meanwhile are left out of the comparison, and stay
/// as they are. The next one covers them.
///
/// A copy costs nothing until one of both changes; then the dictionary that changes is copied, in some milliseconds.
public struct Comparison: Sendable {
    /// The copy.
    var table: DomainTable
    /// Of the table when the copy was made.
    let changeCount: Int
    let lastRemoval: UInt64
    private(set) var missing: [DomainTable.Admission] = []
    private(set) var sweep: SweepFindings?
    /// When the snapshot was begun, time since the start of the machine.
    private(set) var began = Duration.zero

    init(with table: DomainTable) {
        self.table = table
        changeCount = table.changeCount
        lastRemoval = table.removals.lastNumber
    }

    /// Completes a snapshot whose list of peers was interrupted: see ``DomainTable/complete(_:absentBefore:)``.
    public func complete(_ snapshot: inout DomainTable.Snapshot, absentBefore: Set<PublicKey>?) -> Set<PublicKey> {
        table.complete(&snapshot, absentBefore: absentBefore)
    }

    /// Takes in a snapshot, once.
    ///
    /// - Parameters:
    ///   - began: when the snapshot was begun, time since the start of the machine.
    ///   - isNewDevice: whether the WireGuard device is another one than in the snapshot before.
    ///   - sinceStart: the time, since the start of the machine.
    public mutating func take(
        _ snapshot: DomainTable.Snapshot,
        begunAt began: Duration,
        isNewDevice: Bool,
        sinceStart: Duration
    ) {
        self.began = began
        missing = table.reset(to: snapshot, isNewDevice: isNewDevice, sinceStart: sinceStart)
    }

    /// Sweeps the domain, after ``take(_:begunAt:isNewDevice:sinceStart:)``.
    ///
    /// - Parameter isDryRun: only say who would be removed.
    public mutating func sweep(at now: Moment, isDryRun: Bool) {
        let step = table.clockStep(until: now)
        let wasSuspicious = table.isSilenceSuspicious
        let count = table.routerCount
        let verdicts = table.sweep(now, isDryRun: isDryRun)
        sweep = SweepFindings(
            isDryRun: isDryRun,
            verdicts: verdicts,
            routerCount: count,
            clockStep: step,
            isNewlySuspicious: table.isSilenceSuspicious && !wasSuspicious
        )
    }
}

/// What a comparison found: work that is to be done, and what is worth reporting.
public struct Findings: Sendable {
    /// Peers that a new device lacks, or that were lost all at once. While they are brought back, there is no use in
    /// another snapshot.
    public var missing: [DomainTable.Admission]
    /// Routers that gave their places to others: they leave before anybody is let in.
    public var displaced: [Departure]
    /// Routers whose peers need other allowed IPs. Until the next snapshot they count as done.
    public var readdressings: [DomainTable.Readdressing]
    /// Routers that are to leave, those that a sweep found included.
    public var departures: [Departure]
    /// Routers whose peers are to be removed and added again, with one message: they registered, and the snapshot
    /// shows no living session.
    public var deadSessions: [DomainTable.Admission]
    /// `nil` if there was no sweep.
    public var sweep: SweepFindings?
    /// Set if so many were missing that nobody can have meant it.
    public var massLoss: DomainTable.MassLoss?
    /// Whose peers somebody removed from WireGuard.
    public var forgotten: [PublicKey]
    /// Who was heard of for the first time.
    public var firstHeard: [PublicKey]
}

extension DomainTable {
    /// Begins a comparison. From now on the table notes what is done with it, until ``finish(_:at:)`` or
    /// ``endComparison()``.
    public mutating func beginComparison() -> Comparison {
        routers.beginNoting()
        marks.beginNoting()
        resets.beginNoting()
        moves.beginNoting()
        heardInFleet.beginNoting()
        var copy = self
        copy.endComparison()
        copy.displaced = []
        return Comparison(with: copy)
    }

    /// The comparison came to nothing.
    public mutating func endComparison() {
        routers.endNoting()
        marks.endNoting()
        resets.endNoting()
        moves.endNoting()
        heardInFleet.endNoting()
    }

    /// Takes over what a comparison found, but not about the keys that were touched since it was begun.
    ///
    /// - Parameter now: time since the start of the machine.
    public mutating func finish(_ comparison: Comparison, at now: Duration) -> Findings {
        let touched = adopt(comparison)
        var sweep = comparison.sweep
        // They did something meanwhile.
        let verdicts = (sweep?.verdicts ?? []).map { verdict in
            var verdict = verdict
            if verdict.action == .remove, touched.contains(verdict.key) { verdict.action = .unmark }
            return verdict
        }
        sweep?.verdicts = verdicts
        let silent = sweep.map { $0.isDryRun ? [] : $0.verdicts.filter { $0.action == .remove } } ?? []
        let deadSessions = deadSessions(inSnapshotOf: comparison.began, at: now, except: touched)
        return Findings(
            missing: comparison.missing.filter { !touched.contains($0.key) },
            displaced: takeDisplaced(),
            readdressings: takeReaddressings(),
            departures: takeProhibited()
                + silent.map { Departure(key: $0.key, addresses: $0.addresses, cause: .silent) } + expired(at: now),
            deadSessions: deadSessions,
            sweep: sweep,
            massLoss: massLoss,
            forgotten: forgottenInSnapshot,
            firstHeard: heardInSnapshot
        )
    }

    /// - Returns: whose state here is newer than the copy's: nothing is to be concluded about them.
    mutating func adopt(_ comparison: Comparison) -> Set<PublicKey> {
        let copy = comparison.table
        let touched = routers.touched ?? []
        let current = self
        routers = copy.routers
        routers.take(touchedIn: current.routers)
        routers.change(wanted: rules.entries)
        marks = copy.marks
        marks.take(touchedIn: current.marks)
        resets = copy.resets
        resets.take(touchedIn: current.resets)
        moves = copy.moves
        moves.take(touchedIn: current.moves)
        heardInFleet = copy.heardInFleet
        heardInFleet.take(touchedIn: current.heardInFleet)
        takePeers(of: copy, touched, current)
        takePending(of: copy, touched)
        for key in copy.removals.keys(after: comparison.lastRemoval) where !touched.contains(key) {
            removals.note(key, lastHeard: copy.removals.lastHeard(of: key) ?? 0)
        }
        // Those who were displaced in the copy are gone from its routers; who did something here since is not.
        displaced += copy.displaced.filter { !touched.contains($0.key) }
        // It may be wrong by those who were touched, until the next snapshot.
        holdings = copy.holdings
        lastNumber = max(lastNumber, copy.lastNumber)
        changeCount += copy.changeCount - comparison.changeCount
        clocks = copy.clocks
        suspicion = copy.suspicion
        return touched
    }

    private mutating func takePeers(of copy: DomainTable, _ touched: Set<PublicKey>, _ current: DomainTable) {
        ownKey = copy.ownKey
        staticPeers = copy.staticPeers
        owners = copy.owners
        for key in touched {
            let places = [current.routers[key], copy.routers[key]].compactMap { $0?.addresses }
            for place in places {
                for addresses in allAddresses(of: key, at: place) where owners[addresses.linkLocal] == key {
                    owners[addresses.linkLocal] = nil
                }
            }
            guard let router = routers[key] else { continue }
            // It registered before a snapshot showed it as the operator's. The next one says so again.
            staticPeers.remove(key)
            own(key, router.addresses)
        }
        readdressings = copy.readdressings.filter { !touched.contains($0.key) }
        operatorsPeers = copy.operatorsPeers
        massLoss = copy.massLoss
        forgottenInSnapshot = copy.forgottenInSnapshot.filter { !touched.contains($0) }
        strays += copy.strays.filter { stray in
            owners[stray.addresses.linkLocal].map { !touched.contains($0) } ?? true
        }
        heardInSnapshot = copy.heardInSnapshot.filter { !touched.contains($0) }
        restoredAt = copy.restoredAt
        prohibited = copy.prohibited.filter { !touched.contains($0.key) }
    }

    private mutating func takePending(of copy: DomainTable, _ touched: Set<PublicKey>) {
        for key in pending.keys where !touched.contains(key) && !copy.pending.contains(key) { pending.remove(key) }
        for key in copy.pending.keys where !touched.contains(key) && !pending.contains(key) {
            pending.insert(key, home: nil, at: copy.pending.registration(of: key) ?? .zero)
        }
    }

    /// Completes a snapshot that may lack peers, because the list was interrupted by changes: who is missing for the
    /// first time is taken for present.
    ///
    /// - Parameters:
    ///   - snapshot: what was listed.
    ///   - absentBefore: who was missing in the list before; `nil` if absence means nothing at all.
    /// - Returns: who is missing now.
    func complete(_ snapshot: inout Snapshot, absentBefore: Set<PublicKey>?) -> Set<PublicKey> {
        let present = Set(snapshot.peers.map(\.publicKey))
        var absent: Set<PublicKey> = []
        for (key, router) in routers where !present.contains(key) {
            absent.insert(key)
            if let absentBefore, absentBefore.contains(key) { continue }
            var peer = Peer(
                publicKey: key,
                allowedIPs: allAddresses(of: key, at: router.addresses).map { IPPrefix(host: $0.linkLocal) }
            )
            peer.hasPresharedKey = operatorsPeers[key]?.sign == .presharedKey
            if router.isHeld, !peer.hasPresharedKey { peer.persistentKeepalive = 1 }
            peer.lastHandshake = router.hasSession ? router.lastHeard : nil
            peer.receivedBytes = router.receivedBytes
            snapshot.peers.append(peer)
        }
        var addresses: [PublicKey: [IPv6Address]] = [:]
        for (address, key) in owners where staticPeers.contains(key) && !present.contains(key) {
            addresses[key, default: []].append(address)
        }
        for key in staticPeers where !present.contains(key) {
            absent.insert(key)
            if let absentBefore, absentBefore.contains(key) { continue }
            // Whatever else it has, it is no router's.
            let own = addresses[key, default: []].map(IPPrefix.init(host:))
            snapshot.peers.append(Peer(publicKey: key, allowedIPs: own, hasPresharedKey: true))
        }
        return absent
    }
}
