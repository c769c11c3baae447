internal import GatewayState
internal import HandlerChannel
internal import KexConfiguration
internal import KexGateway
internal import KexProtocol
internal import LinkControl
internal import Logging
internal import Netlink
internal import NetworkAddresses
internal import SystemCalls
internal import Systemd
internal import VXLANFdb
internal import WireGuardControl
internal import WireGuardTypes

/// One domain: its table, and the kernel objects that the table is a picture of.
///
/// | file | what |
/// | --- | --- |
/// | `MeshDomain.swift` | when the kernel is looked at, and what is taken in |
/// | `Look.swift` | the look, beside the loop |
/// | `Readiness.swift` | whether the interfaces can carry traffic |
/// | `Chores.swift` | what a look finds to do, in rounds between which the loop serves others |
/// | `Registrations.swift` | routers come in |
/// | `Removals.swift` | routers go |
/// | `Addresses.swift` | routers get the addresses of other profiles |
/// | `LearnedEntries.swift` | what strangers can make grow is kept small |
/// | `Sessions.swift` | routers are heard of, or their sessions found dead |
/// | `Losses.swift` | routers that somebody took out of WireGuard |
/// | `OperatorsPeers.swift` | peers that look like routers', and are the operator's |
/// | `Memory.swift` | what outlives this process |
final class MeshDomain {
    /// What cannot be done now, and what the operator can do about it.
    struct Trouble: Error, Hashable, Sendable, CustomStringConvertible {
        let description: String
        /// Whether the VXLAN interface takes no further address: its `maxaddress`.
        let isTableFull: Bool
        init(_ description: String, isTableFull: Bool = false) {
            self.description = description
            self.isTableFull = isTableFull
        }
    }

    /// Where the kernel keeps the domain. Made anew when an interface is.
    struct Devices: ~Copyable {
        let wireGuardIndex: InterfaceIndex
        let wireGuard: any WireGuardInterface
        var fdb: VXLANFdb
    }

    private(set) var settings: Configuration.Domain
    let host: Host
    var table: DomainTable
    var devices: Devices?
    /// The WireGuard interface that the table's routers are in, or were in when there was one.
    var identity: DeviceIdentity?
    /// What WireGuard said of itself in the last look.
    private var standing = Look.Standing()
    var looking = Looking()
    /// Why the domain does not work.
    private(set) var trouble: Trouble? = .unseen
    var memory: Memory
    var listening = Listening()
    var learned = LearnedEntries()
    var chores = Chores()
    /// Whether the entries of the fdb must be listed with the next look: between listings the kernel tells of them.
    private var needsEntries = true
    let removals = RemovalCounter()
    /// Sweeps that programs wait for, and what came of those that are done.
    var sweeps = Sweeps()
    /// What the last attempt to repair fdb entries met; logged when it changes.
    var repairTrouble: Trouble?
    /// The same for the allowed IPs of other profiles.
    var readdressTrouble: Trouble?
    /// Those of the operator's peers that the log names already.
    var namedPeers: [PublicKey: DomainTable.OperatorsPeer] = [:]
    /// Whether there are routers that the table has, and that could not be brought back yet.
    var mustRestore = false

    init(_ settings: Configuration.Domain, keys: KeyLists, host: Host) {
        self.settings = settings
        self.host = host
        table = DomainTable(rules: Self.rules(settings, keys))
        memory = Memory(StateFile(directory: host.stateDirectory, domain: settings.name))
        looking.next = .now
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
    func change(to settings: Configuration.Domain, keys: KeyLists) -> Bool {
        let old = self.settings
        guard settings.name == old.name, settings.wireGuard == old.wireGuard, settings.vxlan == old.vxlan
        else { return false }
        self.settings = settings
        table.change(rules: Self.rules(settings, keys))
        needsEntries = true
        looking.generation += 1
        isDoubtful = isDoubtful || trouble != nil
        lookSoon()
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
        host.budget.log(
            event,
            level,
            domain: settings.name.text,
            key: key.description,
            "\(settings.name): \(message())",
            to: host.log
        )
    }

    func log(_ event: GatewayEvent, _ level: Logger.Level, key: PublicKey? = nil, _ message: String) {
        host.log.log(
            event,
            level,
            domain: settings.name.text,
            key: key?.description,
            "\(settings.name): \(message)"
        )
    }

    /// For front doors, as of the last look. It costs no more than a registration.
    var status: DomainStatus {
        noteDemand()
        guard trouble == nil else { return DomainStatus(domain: settings.name, isInService: false) }
        return DomainStatus(
            domain: settings.name,
            isInService: true,
            publicKey: standing.publicKey,
            listenPort: standing.listenPort,
            connected: UInt32(standing.connected),
            routers: UInt32(table.routerCount)
        )
    }

    // MARK: - Looks at the kernel

    /// Whether an interface has changed, or was never looked at: nothing is known until the look that follows.
    var isDoubtful: Bool {
        get { looking.isDoubtful }
        set { looking.isDoubtful = newValue }
    }

    /// Whether the first look is taken in, with all that it found to do.
    var isSettled: Bool { looking.last != nil && !isDoubtful && (trouble != nil || chores.isEmpty) }

    /// Whether who asked and was told "later" should be asked again.
    var isWaiting: Bool {
        isDoubtful || looking.isAwaited || learned.isFull || !chores.resets.isEmpty || !chores.halfDone.isEmpty
    }

    /// Somebody asks for something that the table should be fresh for.
    ///
    /// - Returns: whether it is fresh enough to be used now. Otherwise a look is on its way.
    @discardableResult
    func noteDemand() -> Bool {
        let now = MonotonicTime.now
        looking.demandEnd = now + Looking.demandTime
        guard trouble == nil, !isDoubtful else { return false }
        if now < looking.expires { return true }
        look(at: now)
        // A short look is waited for, as it always was; while a long one is made, the table is used as it is, unless
        // nobody has looked for long.
        let isShort = looking.cost <= Looking.shortCost
        return !isShort && looking.last.map { now - $0 < Looking.oldest } ?? false
    }

    /// Has the kernel looked at, no later than at this time, or when a look may be begun again.
    ///
    /// - Parameter isUrgent: without regard to how much of the time goes into looking.
    func look(at time: MonotonicTime, isUrgent: Bool = false) {
        if looking.isRunning {
            // What is being looked at may be from before.
            looking.isWantedAgain = true
        } else {
            let time = isUrgent ? time : max(time, looking.earliest)
            looking.next = min(looking.next ?? time, time)
        }
    }

    func lookSoon() { look(at: .now + Looking.settlingTime) }

    /// Has the entries listed, beside what is told of them.
    func lookSoonAtEntries() {
        needsEntries = true
        lookSoon()
    }

    private func beginLook() {
        looking.next = nil
        looking.isRunning = true
        looking.isWantedAgain = false
        // Whoever is answered after that is answered from it.
        let sweep = sweeps.begin()
        let start = table.comparisonStart
        let request = LookRequest(
            settings: settings,
            machine: host.machine,
            identity: identity,
            vxlan: devices?.fdb.device,
            wireGuard: devices?.wireGuardIndex,
            needsEntries: needsEntries,
            table: table.beginComparison(),
            start: start,
            mustRestore: mustRestore,
            absent: looking.absent,
            removals: removals,
            sweep: sweep
        )
        needsEntries = false
        let (generation, began) = (looking.generation, MonotonicTime.now)
        host.run(of: self) {
            request.look()
        } then: { domain, result in
            domain.takeIn(result, generation, began)
        }
    }

    private func takeIn(
        _ result: Result<Result<Look, Trouble>, SystemCallError>,
        _ generation: Int,
        _ began: MonotonicTime
    ) {
        looking.isRunning = false
        looking.isAwaited = false
        host.pulse.beat()
        let look: Look
        do {
            look = try result.get().get()
            guard generation == looking.generation else { throw Trouble("the configuration has changed") }
            try open(look)
        } catch {
            table.endComparison()
            needsEntries = true
            if generation != looking.generation {
                sweeps.retry()
                return self.look(at: .now)
            }
            let trouble = (error as? Trouble) ?? Trouble("\(error)")
            sweeps.fail(trouble)
            isDoubtful = looking.isWantedAgain && isDoubtful
            leaveService(trouble, since: began)
            if isDoubtful { lookSoon() }
            return
        }
        let touched = table.adopt(look.table, since: look.start)
        looking.absent = look.absent
        standing = look.standing
        noteLosses()
        chores.restore(look.missing.filter { !touched.contains($0.key) })
        if look.identity != identity { chores.identity = look.identity }
        mustRestore = !chores.restoring.isEmpty
        if !mustRestore { finishRestoring() }
        enterService(look, since: began)
        removeDisplaced()
        noteHeard(table.heardInPicture)
        nameOperatorsPeers()
        noteLimit(of: look.vxlan)
        readdress()
        removeBanned()
        if let finding = look.sweep { takeIn(finding, touched) }
        resetDeadSessions(in: look, touched)
        removeExpired()
        noteListened()
        chores.isStuck = false
        doChores()
        Heap.trim()
        if sweeps.isWanted {
            self.look(at: .now, isUrgent: true)
        } else if looking.isWantedAgain || needsEntries {
            self.look(at: .now, isUrgent: isDoubtful)
        }
    }

    private func enterService(_ look: Look, since began: MonotonicTime) {
        let isFirst = looking.last == nil || trouble == .unseen
        isDoubtful = looking.isWantedAgain && isDoubtful
        if trouble != nil {
            log(.inService, isFirst ? .info : .notice, "in service\(isFirst ? "" : " again"): \(summary)")
        }
        trouble = nil
        let now = MonotonicTime.now
        looking.note(look.cost)
        looking.last = look.began
        let limit = Looking.longestUse(looking.cost)
        looking.expires = now + host.pause(after: looking.cost, share: Looking.use, limit: limit)
        looking.earliest = now + min(looking.cost * Looking.share, limit)
    }

    /// Answers nobody for a while: as long as it took to find the trouble, so that a domain which does not answer keeps a
    /// thread for half of the time at most.
    func leaveService(_ error: Trouble, since start: MonotonicTime) {
        if trouble != error { log(.outOfService, .error, "out of service: \(error)") }
        trouble = error
        devices = nil
        needsEntries = true
        chores.removeAll()
        let now = MonotonicTime.now
        looking.last = looking.last ?? now
        looking.earliest = now + max(Looking.restAfterTrouble, now - start)
        look(at: now + max(Looking.retryPause, (now - start) * 4))
        listening.next = nil
    }

    /// Opens the kernel objects, unless they are open and still the same.
    private func open(_ look: Look) throws(Trouble) {
        if devices?.wireGuardIndex == look.wireGuard.index && devices?.fdb.device == look.vxlan.index { return }
        do {
            devices = Devices(
                wireGuardIndex: look.wireGuard.index,
                wireGuard: try openWireGuardInterface(settings.wireGuard, buffer: host.buffer),
                fdb: try VXLANFdb(device: look.vxlan.index, buffer: host.buffer)
            )
        } catch {
            throw Trouble("\(error)")
        }
    }

    // MARK: - Without being asked

    /// When ``wake()`` has something to do.
    var nextWake: MonotonicTime? {
        // While one look is being made, there is no other; nor while peers are brought back, which would seem to be missing.
        let look = looking.isRunning || !chores.restoring.isEmpty ? nil : looking.next
        // Out of service, only that can be done.
        guard trouble == nil else { return look }
        let due = looking.isRunning ? nil : dueLook
        return earliest(
            earliest(earliest(look, due), chores.isIdle(table) ? nil : .now),
            learned.nextWork
        )
    }

    /// When a look is due without being asked for.
    private var dueLook: MonotonicTime? {
        let check = table.nextCheck.map(MonotonicTime.init(sinceStart:))
        let expiry = table.nextExpiry.map(MonotonicTime.init(sinceStart:))
        let demand = looking.cost > Looking.shortCost && looking.expires < looking.demandEnd ? looking.expires : nil
        return earliest(earliest(listening.next, demand), earliest(check, expiry)).map { max($0, looking.earliest) }
    }

    /// Does what is due.
    func wake() {
        let now = MonotonicTime.now
        if trouble == nil {
            doChores()
            careForLearned(at: now)
        }
        guard !looking.isRunning, chores.restoring.isEmpty else { return }
        let isDue = trouble == nil && dueLook.map { $0 <= now } ?? false
        if isDue || looking.next.map({ $0 <= now }) ?? false { beginLook() }
    }

    /// Takes in that interfaces appeared, changed, or went.
    func notice(_ changes: LinkChanges) {
        guard case .links(let changes) = changes else { return doubt() }
        for change in changes {
            let isOurs = change.index == devices?.wireGuardIndex || change.index == devices?.fdb.device
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
        look(at: .now + Looking.settlingTime, isUrgent: trouble == nil)
    }

    /// Takes in what others, and this process, did with permanent entries.
    func notice(_ news: FdbNews) {
        guard trouble == nil, let device = devices?.fdb.device, let via = devices?.wireGuardIndex else { return }
        guard case .changes(let changes) = news else { return lookSoonAtEntries() }
        var needsRepair = false
        for change in changes where change.device == device && change.entry.via == via {
            let entry = change.entry
            if table.noteEntry(mac: entry.mac, to: entry.destination, isGone: change.isGone) { needsRepair = true }
        }
        if needsRepair { chores.isStuck = false }
    }
}

/// When a domain's kernel objects are looked at.
struct Looking {
    /// When the next look is to be begun; `nil` for not before somebody asks.
    var next: MonotonicTime?
    /// No look before this.
    var earliest = MonotonicTime(nanoseconds: 0)
    var isRunning = false
    /// Something happened while one was made.
    var isWantedAgain = false
    var isDoubtful = true
    /// Whether somebody waits for the look that is being made, or the next one.
    var isAwaited = false
    /// When the last one that came to something was begun.
    var last: MonotonicTime?
    /// When registrations want a newer one.
    var expires = MonotonicTime(nanoseconds: 0)
    /// How long a look takes: the quicker one of the last two, because one is slow too when WireGuard in user space was stopped
    /// for a while.
    private(set) var cost = Duration.zero
    private var lastCost: Duration?
    /// Until then the table is kept fresh.
    var demandEnd = MonotonicTime(nanoseconds: 0)
    /// Grows when a look that is being made is worth nothing.
    var generation = 0
    /// Who was missing in an interrupted list.
    var absent: Set<PublicKey> = []

    /// How much longer a look is used than it took: so at most this share of the time goes into asking the kernel,
    /// however fast registrations come in. What somebody else changes meanwhile is seen that much later: some hundredths of
    /// a second with 10 peers, half a second with 1,000.
    static let use = 100
    /// Looks that are asked for take one part in so many of the time at most.
    static let share = 20
    /// Longest use of a look, when there are few domains, unless that is less than ``share`` allows.
    static func longestUse(_ cost: Duration) -> Duration { max(.seconds(2), cost * share) }
    /// A look that takes no longer than this is waited for by whoever needs it.
    static let shortCost = Duration.milliseconds(2)
    /// Registrations wait for a look when the last one is older than this, however long it takes.
    static let oldest = Duration.seconds(60)
    /// For how long after the last registration or question the table is kept fresh, so that the next one need not wait.
    static let demandTime = Duration.seconds(60)
    /// After a failure the domain rests for this long at least.
    static let restAfterTrouble = Duration.milliseconds(100)
    /// A domain out of service is looked at this often, without being asked; or after four times what the last attempt
    /// took, if that is longer.
    static let retryPause = Duration.seconds(1)
    /// Changes of interfaces come in bursts; they are given this time.
    static let settlingTime = Duration.milliseconds(10)

    /// A look took this long.
    mutating func note(_ duration: Duration) {
        cost = min(lastCost ?? duration, duration)
        lastCost = duration
    }
}

extension MeshDomain.Trouble {
    /// Before the first look.
    static let unseen = MeshDomain.Trouble("it has not been looked at yet")
}

/// The earlier one of two times that may be never. Asked for each domain in each round of the loop, so it makes no array.
func earliest(_ one: MonotonicTime?, _ other: MonotonicTime?) -> MonotonicTime? {
    guard let one, let other else { return one ?? other }
    return min(one, other)
}
