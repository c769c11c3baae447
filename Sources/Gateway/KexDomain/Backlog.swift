internal import GatewayEvents
internal import KexGateway
internal import Logging
internal import SystemCalls
internal import Systemd
internal import Time
internal import WireGuardTypes

/// Work for many routers at once. It is done in rounds of a few milliseconds, between which the loop serves others.
struct Backlog {
    /// What one round is to take at most. The number of routers in the next one follows from how long this one took.
    static let roundTime = Duration.milliseconds(2)
    static let roundSizes = 8...512

    /// The first is the next.
    private(set) var departures: ArraySlice<Departure> = []
    private var departing: Set<PublicKey> = []
    /// Routers whose sessions have proved dead. Their peers are removed and added again.
    private var resets: ArraySlice<DomainTable.Admission> = []
    /// Routers that could not be let in, and whose peers are being removed again.
    var halfDone: Set<PublicKey> = []
    /// Routers in a round.
    private(set) var roundSize = 32
    /// Repairs failed. They are tried again after the next refresh.
    var isStuck = false

    var isEmpty: Bool { departures.isEmpty && resets.isEmpty }

    /// Whether somebody who registered waits for work.
    var isAwaited: Bool { !resets.isEmpty || !halfDone.isEmpty }

    var hasResets: Bool { !resets.isEmpty }

    /// Takes over the work of a refresh that needs no particular moment.
    mutating func add(_ findings: Findings) {
        add(findings.departures)
        resets += findings.deadSessions
    }

    /// Those who are on their way already are left out.
    mutating func add(_ new: [Departure]) {
        for departure in new where departing.insert(departure.key).inserted { departures.append(departure) }
    }

    mutating func takeDepartures() -> [Departure] {
        let round = Array(departures.prefix(roundSize))
        departures = departures.dropFirst(roundSize)
        if departures.isEmpty { departures = [] }
        for departure in round { departing.remove(departure.key) }
        return round
    }

    mutating func takeResets() -> [DomainTable.Admission] {
        // Each waits in the kernel until nobody uses what is removed.
        let round = Array(resets.prefix(max(roundSize / 8, 1)))
        resets = resets.dropFirst(round.count)
        if resets.isEmpty { resets = [] }
        return round
    }

    /// Drops the work: the next refresh finds what is still to be done.
    ///
    /// - Returns: the departures that come to nothing.
    mutating func removeAll() -> [Departure] {
        defer {
            departures = []
            departing = []
            resets = []
        }
        return Array(departures)
    }

    /// A round took this long.
    mutating func note(_ duration: Duration) {
        if duration > Self.roundTime {
            roundSize = max(roundSize / 2, Self.roundSizes.lowerBound)
        } else if duration * 3 < Self.roundTime {
            roundSize = min(roundSize * 2, Self.roundSizes.upperBound)
        }
    }
}

/// The domain works its backlog off.
extension MeshDomain {
    /// Whether ``doWork()`` has something to do.
    var hasWork: Bool {
        guard isInService else { return false }
        return state.restoration != nil || !backlog.isEmpty || !backlog.isStuck && table.needsRepairs
    }

    /// Does one round of work.
    func doWork() {
        guard hasWork else { return }
        context.pulse.beat()
        let start = context.now
        if let restoration = state.restoration {
            restoreSome(restoration)
        } else if backlog.hasResets {
            resetSome()
        } else if !backlog.departures.isEmpty {
            leave(backlog.takeDepartures())
        } else {
            repair()
        }
        backlog.note(context.now - start)
    }

    /// Drops the work of a domain that cannot do it.
    func dropBacklog() {
        for departure in backlog.removeAll() { noteDone(departure, isGone: false) }
    }

    /// Brings routers back into a new interface. Their fdb entries come with the repairs that follow.
    private func restoreSome(_ restoration: Restoration) {
        let round = restoration.waiting.prefix(backlog.roundSize).map(\.value)
        if let failure = apply(round.map(\.peerChange)) {
            // After a refusal the domain is still in service.
            if isInService { leaveService(DomainFailure("cannot bring routers back: \(failure)"), since: context.now) }
            return
        }
        noteRestored(round.lazy.map(\.key))
    }

    /// Brings back at once who asks for it.
    ///
    /// - Returns: `nil`, or why that could not be done.
    func restoreNow(_ keys: some Sequence<PublicKey>) -> DomainFailure? {
        guard let restoration = state.restoration else { return nil }
        let admissions = keys.compactMap { restoration.waiting[$0] }
        if let failure = apply(admissions.map(\.peerChange)) { return failure }
        noteRestored(admissions.lazy.map(\.key))
        return nil
    }

    /// Adds the fdb entries that routers should have by now, and removes those that lead to where they are no more.
    func repair() {
        leave(table.takeDisplaced())
        let repairs = table.takeRepairs(atMost: backlog.roundSize)
        let entries = repairs.missing.map(missingEntries(of:))
        var outcomes = append(entries.flatMap(\.self))[...]
        var failure: DomainFailure?
        for (admission, own) in zip(repairs.missing, entries) {
            let failures = outcomes.prefix(own.count).compactMap(\.self)
            outcomes = outcomes.dropFirst(own.count)
            failure = failure ?? failures.first
            if failures.isEmpty { table.take(.admitted(admission)) }
        }
        for outcome in delete(repairs.strays.flatMap({ self.entries($0.entries, of: $0.addresses) })) {
            failure = failure ?? outcome
        }
        // Who cannot be reached any more stays without.
        backlog.isStuck = failure != nil || repairs.missing.isEmpty
        if let failure, failure != repairFailure, !failure.isTableFull || learned.hopelessUntil > context.now {
            log(.failed, .error, "cannot repair fdb entries: \(failure)")
        }
        repairFailure = failure
    }
}
