internal import GatewayEvents
internal import GatewayState
internal import KexConfiguration
internal import KexGateway
internal import Logging
internal import SystemCalls
internal import Systemd
internal import WireGuardTypes

/// What is to be done with many routers at once. It is done in rounds of a few milliseconds, between which the loop serves others.
struct Chores {
    /// A router that is to leave.
    struct Departure {
        var key: PublicKey
        var addresses: RouterAddresses
        /// Whether it is reported to the other gateways.
        var isOwnWord: Bool
        /// Whether anything can have been learned of it.
        var hasSpoken: Bool
        /// Whether it is still to leave when its turn comes.
        var isDue: (MeshDomain) -> Bool
        /// Called when it is gone, or when it could not be removed.
        var isDone: (_ isGone: Bool) -> Void
    }

    /// What one round is to take at most; the number of routers in the next one follows from how long this one took.
    static let roundTime = Duration.milliseconds(2)
    static let roundSizes = 8...512

    /// Peers that come back into a new interface, by key; in no order.
    var restoring: [PublicKey: DomainTable.Admission] = [:]
    private(set) var restoredCount = 0
    /// The interface that they are in when all are.
    var identity: DeviceIdentity?
    /// The first is the next.
    private(set) var departures: ArraySlice<Departure> = []
    private var departing: Set<PublicKey> = []
    /// Routers in a round.
    var roundSize = 32
    /// Repairs failed; they are tried again after the next refresh.
    var isStuck = false

    /// Routers whose sessions have proved dead. Their peers are taken out and put in again.
    var resets: ArraySlice<DomainTable.Admission> = []
    /// Routers that could not be let in, and whose peers are being taken out again.
    var halfDone: Set<PublicKey> = []

    var isEmpty: Bool { restoring.isEmpty && departures.isEmpty && resets.isEmpty }

    /// Whether nothing is left to do.
    func isIdle(_ table: DomainTable) -> Bool { isEmpty && (isStuck || !table.needsRepairs) }

    mutating func restore(_ admissions: [DomainTable.Admission]) {
        restoring = Dictionary(admissions.map { ($0.key, $0) }) { first, _ in first }
        restoredCount = restoring.count
    }

    /// - Returns: whether it was not on its way already.
    @discardableResult
    mutating func depart(_ departure: Departure) -> Bool {
        guard departing.insert(departure.key).inserted else { return false }
        departures.append(departure)
        return true
    }

    mutating func takeDepartures() -> [Departure] {
        let round = Array(departures.prefix(roundSize))
        departures = departures.dropFirst(roundSize)
        if departures.isEmpty { departures = [] }
        for departure in round { departing.remove(departure.key) }
        return round
    }

    /// The domain does not work any more. Who should leave and is still there is found by the next refresh.
    mutating func removeAll() {
        for departure in departures { departure.isDone(false) }
        departures = []
        departing = []
        restoring = [:]
        resets = []
        identity = nil
    }

    mutating func note(_ duration: Duration) {
        if duration > Self.roundTime {
            roundSize = max(roundSize / 2, Self.roundSizes.lowerBound)
        } else if duration * 3 < Self.roundTime {
            roundSize = min(roundSize * 2, Self.roundSizes.upperBound)
        }
    }
}

extension MeshDomain {
    /// Does one round of what is to be done.
    func doChores() {
        guard !chores.isIdle(table) else { return }
        context.pulse.beat()
        let start = context.now
        if !chores.restoring.isEmpty {
            restoreSome()
        } else if !chores.resets.isEmpty {
            resetSome()
        } else if !chores.departures.isEmpty {
            removeSome()
        } else {
            repair()
        }
        chores.note(context.now - start)
    }

    /// Brings routers back into a new interface. Their fdb entries come with the repairs that follow.
    private func restoreSome() {
        let round = chores.restoring.prefix(chores.roundSize).map(\.value)
        if let failure = apply(round.map(\.peerChange)) {
            // If it was a refusal, the domain is still in service.
            if outage == nil {
                leaveService(DomainFailure("cannot bring routers back: \(failure)"), since: context.now)
            }
            return
        }
        for admission in round { chores.restoring[admission.key] = nil }
        if chores.restoring.isEmpty { finishRestoring() }
    }

    func finishRestoring() {
        if let new = chores.identity {
            identity = new
            savedState.mustWrite = true
        }
        chores.identity = nil
        mustRestore = false
        guard chores.restoredCount > 0 else { return }
        let count = "\(chores.restoredCount) \(chores.restoredCount == 1 ? "router" : "routers")"
        log(.restored, .notice, "brought \(count) back into \(settings.wireGuard)")
        chores.restore([])
    }

    /// Brings back at once who asks for it.
    ///
    /// - Returns: `nil`, or why that could not be done.
    func restoreNow(_ keys: some Sequence<PublicKey>) -> DomainFailure? {
        guard !chores.restoring.isEmpty else { return nil }
        let admissions = keys.compactMap { chores.restoring[$0] }
        if let failure = apply(admissions.map(\.peerChange)) { return failure }
        for admission in admissions { chores.restoring[admission.key] = nil }
        if chores.restoring.isEmpty { finishRestoring() }
        return nil
    }

    private func removeSome() {
        let round = chores.takeDepartures()
        let due = round.filter { $0.isDue(self) }
        var failed: Set<PublicKey> = []
        for (hasSpoken, isOwnWord) in [(true, true), (true, false), (false, true), (false, false)] {
            let own = due.filter { $0.hasSpoken == hasSpoken && $0.isOwnWord == isOwnWord }
            guard !own.isEmpty else { continue }
            let routers = own.map { ($0.key, $0.addresses) }
            failed.formUnion(remove(routers, isOwnWord: isOwnWord, hasSpoken: hasSpoken) { _ in })
        }
        let gone = Set(due.map(\.key)).subtracting(failed)
        for departure in round { departure.isDone(gone.contains(departure.key)) }
    }

    /// Adds the fdb entries that routers should have by now, and takes out those that lead to where they are no more.
    func repair() {
        removeDisplaced()
        let repairs = table.repairs(atMost: chores.roundSize)
        let entries = repairs.map(missingEntries(of:))
        var outcomes = append(entries.flatMap(\.self))[...]
        var failure: DomainFailure?
        for (admission, own) in zip(repairs, entries) {
            let failures = outcomes.prefix(own.count).compactMap(\.self)
            outcomes = outcomes.dropFirst(own.count)
            failure = failure ?? failures.first
            if failures.isEmpty { table.confirm(admission) }
        }
        for outcome in delete(table.takeStrays().flatMap({ self.entries($0.entries, of: $0.addresses) })) {
            failure = failure ?? outcome
        }
        // Who cannot be reached any more stays without.
        chores.isStuck = failure != nil || repairs.isEmpty
        if let failure, failure != repairFailure, !failure.isTableFull || learned.hopelessUntil > context.now {
            log(.failed, .error, "fdb entries are not as they should be: \(failure)")
        }
        repairFailure = failure
    }
}
