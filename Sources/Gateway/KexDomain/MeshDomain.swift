internal import GatewayEvents
internal import GatewayState
public import HandlerChannel
public import KexConfiguration
internal import KexGateway
internal import KexProtocol
public import LinkControl
internal import Logging
internal import NetworkAddresses
public import SystemCalls
internal import Systemd
public import VXLANFdb
internal import WireGuardTypes

/// One domain: its table, and the kernel objects that the table is a snapshot of.
///
/// | file | what |
/// | --- | --- |
/// | `MeshDomain.swift` | when the table is refreshed, and what is taken in |
/// | `Refresh.swift` | the refresh, beside the loop |
/// | `Readiness.swift` | whether the interfaces can carry traffic |
/// | `Chores.swift` | what a refresh finds to do, in rounds between which the loop serves others |
/// | `Registrations.swift` | routers come in |
/// | `Removals.swift` | routers go |
/// | `Addresses.swift` | routers get the addresses of other profiles |
/// | `LearnedEntries.swift` | what strangers can make grow is kept small |
/// | `FleetNews.swift` | what other gateways report of routers, and what is reported to them |
/// | `Sessions.swift` | routers are heard of, or their sessions found dead |
/// | `Losses.swift` | routers that somebody took out of WireGuard |
/// | `OperatorsPeers.swift` | peers that look like routers', and are the operator's |
/// | `SavedState.swift` | what outlives this process |
public final class MeshDomain {
    /// The interfaces that the domain uses, and the way to change them. Taken anew when one of them is made anew.
    struct Interfaces {
        let wireGuard: InterfaceIndex
        let vxlan: InterfaceIndex
        let kernel: any DomainKernel
    }

    public private(set) var settings: Configuration.Domain
    let context: DomainContext
    var table: DomainTable
    var interfaces: Interfaces?
    /// The WireGuard interface that the table's routers are in, or were in when there was one.
    var identity: DeviceIdentity?
    /// What WireGuard said of itself in the last refresh.
    private var standing = Refresh.Standing()
    var schedule = RefreshSchedule()
    /// Why the domain does not work.
    private(set) var outage: DomainFailure? = .unread
    var savedState: SavedState
    var polling = Polling()
    var learned = LearnedEntries()
    var chores = Chores()
    /// Whether the entries of the fdb must be listed with the next refresh: between listings the kernel tells of them.
    private var needsEntries = true
    let removals = RemovalCounter()
    /// Sweeps that programs wait for, and what came of those that are done.
    var sweeps = Sweeps()
    /// What the last attempt to repair fdb entries met; logged when it changes.
    var repairFailure: DomainFailure?
    /// The same for the allowed IPs of other profiles.
    var readdressFailure: DomainFailure?
    /// Those of the operator's peers that the log names already.
    var namedPeers: [PublicKey: DomainTable.OperatorsPeer] = [:]
    /// Whether there are routers that the table has, and that could not be brought back yet.
    var mustRestore = false

    public init(_ settings: Configuration.Domain, keys: KeyLists, context: DomainContext) {
        self.settings = settings
        self.context = context
        table = DomainTable(rules: Self.rules(settings, keys))
        savedState = SavedState(StateFile(directory: context.stateDirectory, domain: settings.name))
        schedule.next = context.now
        recall()
    }

    static func rules(_ settings: Configuration.Domain, _ keys: KeyLists) -> DomainRules {
        DomainRules(
            profiles: settings.addressProfiles,
            fdbEntries: (settings.fdb.hasMACEntry ? [.mac] : FdbEntries())
                .union(settings.fdb.hasFloodEntry ? [.flood] : []),
            floodsAtRegistration: settings.floodAfter == .registration,
            maximumPeers: settings.maximumPeers,
            staleAfter: settings.staleAfter,
            sweepInterval: settings.sweepInterval,
            prohibitedKeys: keys.prohibited,
            allowedKeys: keys.allowed[settings.name]
        )
    }

    /// Goes on with other settings, unless they are of another domain in truth: other interfaces.
    public func change(to settings: Configuration.Domain, keys: KeyLists) -> Bool {
        let old = self.settings
        guard settings.name == old.name, settings.wireGuard == old.wireGuard, settings.vxlan == old.vxlan
        else { return false }
        self.settings = settings
        table.change(rules: Self.rules(settings, keys))
        needsEntries = true
        schedule.generation += 1
        isDoubtful = isDoubtful || outage != nil
        refreshSoon()
        return true
    }

    /// Whether routers may be at one of several addresses.
    var isMigration: Bool { settings.addressProfiles.count > 1 }

    /// What the domain holds, for the log.
    var summary: String { "\(table.routerCount) \(table.routerCount == 1 ? "router" : "routers")" }

    /// A line that strangers can cause: there are not too many of them in a second.
    func noteStranger(
        _ event: GatewayEvent,
        _ level: Logger.Level,
        _ key: PublicKey,
        _ message: @autoclosure () -> String
    ) {
        context.budget.log(
            event,
            level,
            domain: settings.name.text,
            key: key.description,
            "\(settings.name): \(message())",
            to: context.log
        )
    }

    func log(_ event: GatewayEvent, _ level: Logger.Level, key: PublicKey? = nil, _ message: String) {
        context.log.log(
            event,
            level,
            domain: settings.name.text,
            key: key?.description,
            "\(settings.name): \(message)"
        )
    }

    /// For front doors, as of the last refresh. It costs no more than a registration.
    public var status: DomainStatus {
        noteDemand()
        guard outage == nil else { return DomainStatus(domain: settings.name, isInService: false) }
        return DomainStatus(
            domain: settings.name,
            isInService: true,
            publicKey: standing.publicKey,
            listenPort: standing.listenPort,
            connected: UInt32(standing.connected),
            routers: UInt32(table.routerCount)
        )
    }

    public var isInService: Bool { outage == nil }

    // MARK: - Refreshes

    /// Whether an interface has changed, or was never read: nothing is known until the refresh that follows.
    var isDoubtful: Bool {
        get { schedule.isDoubtful }
        set { schedule.isDoubtful = newValue }
    }

    /// Whether the first refresh is taken in, with all that it found to do.
    public var isSettled: Bool { schedule.last != nil && !isDoubtful && (outage != nil || chores.isEmpty) }

    /// Whether who asked and was told "later" should be asked again.
    public var isWaiting: Bool {
        isDoubtful || schedule.isAwaited || learned.isFull || !chores.resets.isEmpty || !chores.halfDone.isEmpty
    }

    /// Somebody asks for something that the table should be fresh for.
    ///
    /// - Returns: whether it is fresh enough to be used now. Otherwise a refresh is on its way.
    @discardableResult
    func noteDemand() -> Bool {
        let now = context.now
        schedule.demandEnd = now + RefreshSchedule.demandTime
        guard outage == nil, !isDoubtful else { return false }
        if now < schedule.expires { return true }
        scheduleRefresh(at: now)
        // A short refresh is waited for, as it always was; while a long one is made, the table is used as it is, unless
        // none was made for long.
        let isShort = schedule.cost <= RefreshSchedule.shortCost
        return !isShort && schedule.last.map { now - $0 < RefreshSchedule.oldest } ?? false
    }

    /// Refreshes the table, no later than at this time, or when a refresh may be begun again.
    ///
    /// - Parameter isUrgent: without regard to how much of the time goes into refreshes.
    func scheduleRefresh(at time: MonotonicTime, isUrgent: Bool = false) {
        if schedule.isRunning {
            // What is being read may be from before.
            schedule.isWantedAgain = true
        } else {
            let time = isUrgent ? time : max(time, schedule.earliest)
            schedule.next = min(schedule.next ?? time, time)
        }
    }

    func refreshSoon() { scheduleRefresh(at: context.now + RefreshSchedule.settlingTime) }

    /// Has the entries listed, beside what is reported of them.
    func refreshEntriesSoon() {
        needsEntries = true
        refreshSoon()
    }

    private func beginRefresh() {
        schedule.next = nil
        schedule.isRunning = true
        schedule.isWantedAgain = false
        // Whoever is answered after that is answered from it.
        let sweep = sweeps.begin()
        let start = table.comparisonStart
        let request = RefreshRequest(
            settings: settings,
            machine: context.machine,
            access: context.access,
            clock: context.clock,
            identity: identity,
            vxlan: interfaces?.vxlan,
            wireGuard: interfaces?.wireGuard,
            needsEntries: needsEntries,
            table: table.beginComparison(),
            start: start,
            mustRestore: mustRestore,
            absent: schedule.absent,
            removals: removals,
            sweep: sweep
        )
        needsEntries = false
        let (generation, began) = (schedule.generation, context.now)
        context.run(of: self) {
            request.run()
        } then: { domain, result in
            domain.takeIn(result, generation, began)
        }
    }

    private func takeIn(
        _ result: Result<Result<Refresh, DomainFailure>, SystemCallError>,
        _ generation: Int,
        _ began: MonotonicTime
    ) {
        schedule.isRunning = false
        schedule.isAwaited = false
        context.pulse.beat()
        let refresh: Refresh
        do {
            refresh = try result.get().get()
            guard generation == schedule.generation else { throw DomainFailure("the configuration has changed") }
            try open(refresh)
        } catch {
            table.endComparison()
            needsEntries = true
            if generation != schedule.generation {
                sweeps.retry()
                return self.scheduleRefresh(at: context.now)
            }
            let failure = (error as? DomainFailure) ?? DomainFailure("\(error)")
            sweeps.fail(failure)
            isDoubtful = schedule.isWantedAgain && isDoubtful
            leaveService(failure, since: began)
            if isDoubtful { refreshSoon() }
            return
        }
        let touched = table.adopt(refresh.table, since: refresh.start)
        schedule.absent = refresh.absent
        standing = refresh.standing
        noteLosses()
        chores.restore(refresh.missing.filter { !touched.contains($0.key) })
        if refresh.identity != identity { chores.identity = refresh.identity }
        mustRestore = !chores.restoring.isEmpty
        if !mustRestore { finishRestoring() }
        enterService(refresh, since: began)
        removeDisplaced()
        noteHeard(table.heardInSnapshot)
        nameOperatorsPeers()
        noteLimit(of: refresh.vxlan)
        readdress()
        removeBanned()
        if let finding = refresh.sweep { takeIn(finding, touched) }
        resetDeadSessions(in: refresh, touched)
        removeExpired()
        notePolled()
        chores.isStuck = false
        doChores()
        Heap.trim()
        if sweeps.isWanted {
            self.scheduleRefresh(at: context.now, isUrgent: true)
        } else if schedule.isWantedAgain || needsEntries {
            self.scheduleRefresh(at: context.now, isUrgent: isDoubtful)
        }
    }

    private func enterService(_ refresh: Refresh, since began: MonotonicTime) {
        let isFirst = schedule.last == nil || outage == .unread
        isDoubtful = schedule.isWantedAgain && isDoubtful
        if outage != nil {
            log(.inService, isFirst ? .info : .notice, "in service\(isFirst ? "" : " again"): \(summary)")
        }
        outage = nil
        let now = context.now
        schedule.note(refresh.cost)
        schedule.last = refresh.began
        let limit = RefreshSchedule.longestUse(schedule.cost)
        schedule.expires = now + context.pause(after: schedule.cost, share: RefreshSchedule.use, limit: limit)
        schedule.earliest = now + min(schedule.cost * RefreshSchedule.share, limit)
    }

    /// Answers nobody for a while: as long as it took to find the outage, so that a domain which does not answer keeps a
    /// thread for half of the time at most.
    func leaveService(_ error: DomainFailure, since start: MonotonicTime) {
        if outage != error { log(.outOfService, .error, "out of service: \(error)") }
        outage = error
        interfaces = nil
        needsEntries = true
        chores.removeAll()
        let now = context.now
        schedule.last = schedule.last ?? now
        schedule.earliest = now + max(RefreshSchedule.restAfterFailure, now - start)
        scheduleRefresh(at: now + max(RefreshSchedule.retryPause, (now - start) * 4))
        polling.next = nil
    }

    /// Opens the kernel objects, unless they are open and still the same.
    private func open(_ refresh: Refresh) throws(DomainFailure) {
        if interfaces?.wireGuard == refresh.wireGuard.index && interfaces?.vxlan == refresh.vxlan.index { return }
        let kernel = context.access(settings.wireGuard, context.buffer)
        try kernel.prepare(refresh.vxlan.index)
        interfaces = Interfaces(wireGuard: refresh.wireGuard.index, vxlan: refresh.vxlan.index, kernel: kernel)
    }

    // MARK: - Without being asked

    /// When ``wake()`` has something to do.
    public var nextWake: MonotonicTime? {
        // While one refresh is being made, there is no other; nor while peers are brought back, which would seem to be missing.
        let refresh = schedule.isRunning || !chores.restoring.isEmpty ? nil : schedule.next
        // Out of service, only that can be done.
        guard outage == nil else { return refresh }
        let due = schedule.isRunning ? nil : dueRefresh
        return earliest(
            earliest(earliest(refresh, due), chores.isIdle(table) ? nil : context.now),
            learned.nextWork
        )
    }

    /// When a refresh is due without being asked for.
    private var dueRefresh: MonotonicTime? {
        let check = table.nextCheck.map(MonotonicTime.init(sinceStart:))
        let expiry = table.nextExpiry.map(MonotonicTime.init(sinceStart:))
        let demand =
            schedule.cost > RefreshSchedule.shortCost && schedule.expires < schedule.demandEnd ? schedule.expires : nil
        return earliest(earliest(polling.next, demand), earliest(check, expiry)).map { max($0, schedule.earliest) }
    }

    /// Does what is due.
    public func wake() {
        let now = context.now
        if outage == nil {
            doChores()
            careForLearned(at: now)
        }
        guard !schedule.isRunning, chores.restoring.isEmpty else { return }
        let isDue = outage == nil && dueRefresh.map { $0 <= now } ?? false
        if isDue || schedule.next.map({ $0 <= now }) ?? false { beginRefresh() }
    }

    /// Takes in that interfaces appeared, changed, or went.
    public func notice(_ changes: LinkChanges) {
        guard case .links(let changes) = changes else { return doubt() }
        for change in changes {
            let isOurs = change.index == interfaces?.wireGuard || change.index == interfaces?.vxlan
            guard isOurs || change.name == settings.wireGuard || change.name == settings.vxlan else { continue }
            // Its number may be given to the next one.
            if change.isGone && change.index.number == identity?.interfaceIndex {
                identity = nil
                chores.removeAll()
            }
            doubt()
        }
    }

    private func doubt() {
        isDoubtful = true
        // Nobody is answered before.
        scheduleRefresh(at: context.now + RefreshSchedule.settlingTime, isUrgent: outage == nil)
    }

    /// Takes in what others, and this process, did with permanent entries.
    public func notice(_ news: FdbNews) {
        guard outage == nil, let device = interfaces?.vxlan, let via = interfaces?.wireGuard else { return }
        guard case .changes(let changes) = news else { return refreshEntriesSoon() }
        var needsRepair = false
        for change in changes where change.device == device && change.entry.via == via {
            let entry = change.entry
            if table.noteEntry(mac: entry.mac, to: entry.destination, isGone: change.isGone) { needsRepair = true }
        }
        if needsRepair { chores.isStuck = false }
    }
}

/// When a domain's table is refreshed.
struct RefreshSchedule {
    /// When the next refresh is to be begun; `nil` for not before somebody asks.
    var next: MonotonicTime?
    /// No look before this.
    var earliest = MonotonicTime(nanoseconds: 0)
    var isRunning = false
    /// Something happened while one was made.
    var isWantedAgain = false
    var isDoubtful = true
    /// Whether somebody waits for the refresh that is being made, or the next one.
    var isAwaited = false
    /// When the last one that came to something was begun.
    var last: MonotonicTime?
    /// When registrations want a newer one.
    var expires = MonotonicTime(nanoseconds: 0)
    /// How long a refresh takes: the quicker one of the last two, because one is slow too when WireGuard in user space was stopped
    /// for a while.
    private(set) var cost = Duration.zero
    private var lastCost: Duration?
    /// Until then the table is kept fresh.
    var demandEnd = MonotonicTime(nanoseconds: 0)
    /// Grows when a refresh that is being made is worth nothing.
    var generation = 0
    /// Who was missing in an interrupted list.
    var absent: Set<PublicKey> = []

    /// How much longer a refresh is used than it took: so at most this share of the time goes into asking the kernel,
    /// however fast registrations come in. What somebody else changes meanwhile is seen that much later: some hundredths of
    /// a second with 10 peers, half a second with 1,000.
    static let use = 100
    /// Refreshes that are asked for take one part in so many of the time at most.
    static let share = 20
    /// Longest use of a refresh, when there are few domains, unless that is less than ``share`` allows.
    static func longestUse(_ cost: Duration) -> Duration { max(.seconds(2), cost * share) }
    /// A refresh that takes no longer than this is waited for by whoever needs it.
    static let shortCost = Duration.milliseconds(2)
    /// Registrations wait for a refresh when the last one is older than this, however long it takes.
    static let oldest = Duration.seconds(60)
    /// For how long after the last registration or question the table is kept fresh, so that the next one need not wait.
    static let demandTime = Duration.seconds(60)
    /// After a failure the domain rests for this long at least.
    static let restAfterFailure = Duration.milliseconds(100)
    /// A domain out of service is refreshed this often, without being asked; or after four times what the last attempt
    /// took, if that is longer.
    static let retryPause = Duration.seconds(1)
    /// Changes of interfaces come in bursts; they are given this time.
    static let settlingTime = Duration.milliseconds(10)

    /// A refresh took this long.
    mutating func note(_ duration: Duration) {
        cost = min(lastCost ?? duration, duration)
        lastCost = duration
    }
}

extension DomainFailure {
    /// Before the first refresh.
    static let unread = DomainFailure("it has not been looked at yet")
}

/// The earlier one of two times that may be never. Asked for each domain in each round of the loop, so it makes no array.
package func earliest(_ one: MonotonicTime?, _ other: MonotonicTime?) -> MonotonicTime? {
    guard let one, let other else { return one ?? other }
    return min(one, other)
}
