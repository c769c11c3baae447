internal import GatewayEvents
internal import GatewayState
public import HandlerChannel
public import KexConfiguration
internal import KexGateway
internal import KexProtocol
public import LinkControl
internal import Logging
internal import NetworkAddresses
internal import SystemCalls
internal import Systemd
internal import Time
public import VXLANFdb
internal import WireGuardTypes

/// One domain: its table, and the kernel objects that the table is a snapshot of.
///
/// | file | what |
/// | --- | --- |
/// | `MeshDomain.swift` | its state, what changes it, and what the kernel reports |
/// | `Refreshing.swift` | when the table is refreshed, and what is taken in |
/// | `Refresh.swift` | the refresh, beside the loop |
/// | `Readiness.swift` | whether the interfaces can carry traffic |
/// | `Backlog.swift` | work for many routers, in rounds between which the loop serves others |
/// | `Registrations.swift` | routers come in |
/// | `Departures.swift` | routers go |
/// | `Sweeps.swift` | programs have silent routers removed |
/// | `Readdressing.swift` | routers get the addresses of other profiles |
/// | `LearnedEntries.swift` | what strangers can make grow is kept small |
/// | `FleetNews.swift` | what other gateways report of routers, and what is reported to them |
/// | `Sessions.swift` | routers are heard of, or their sessions found dead |
/// | `Reports.swift` | what a refresh found is logged |
/// | `SavedState.swift` | what outlives this process |
/// | `DomainKernel.swift`, `LinuxKernel.swift` | what all of it asks of the kernel |
public final class MeshDomain {
    /// The interfaces that the domain uses, and the way to change them. Taken anew when one of them is made anew.
    struct Interfaces {
        let wireGuard: InterfaceIndex
        let vxlan: InterfaceIndex
        let kernel: any DomainKernel
    }

    /// Routers on their way back into a WireGuard interface that lost them. A class, because there may be fifty
    /// thousand: a value inside the state would be copied for each round.
    final class Restoration {
        /// Those who are not back yet.
        var waiting: [PublicKey: DomainTable.Admission]
        /// How many there were.
        let count: Int
        /// The interface that they are in when all are back.
        let identity: DeviceIdentity

        init(of missing: [DomainTable.Admission], into identity: DeviceIdentity) {
            waiting = Dictionary(missing.map { ($0.key, $0) }) { first, _ in first }
            count = waiting.count
            self.identity = identity
        }
    }

    /// Whether registrations can be carried out. Only this file changes it.
    enum State {
        /// The kernel was not read yet.
        case unread
        /// The table says what the interfaces hold.
        case inService(Interfaces)
        /// In service, while routers come back. There is no refresh meanwhile: those who are not back yet would seem to
        /// be missing.
        case restoring(Interfaces, Restoration)
        /// The interfaces are not there, cannot carry traffic, or do not answer.
        case outOfService(DomainFailure)

        var interfaces: Interfaces? {
            switch self {
            case .inService(let interfaces), .restoring(let interfaces, _): interfaces
            case .unread, .outOfService: nil
            }
        }

        var restoration: Restoration? { if case .restoring(_, let restoration) = self { restoration } else { nil } }

        /// Why the domain does nothing; `nil` in service.
        var failure: DomainFailure? {
            switch self {
            case .inService, .restoring: nil
            case .unread: DomainFailure("it has not been read yet")
            case .outOfService(let failure): failure
            }
        }
    }

    /// What is no longer certain.
    enum Invalidation {
        /// A change failed, so the table may say more than the kernel has.
        case table
        /// Changes of fdb entries were not reported.
        case entries
        /// An interface appeared or changed.
        case interfaces
        /// The WireGuard interface went. Its number may be given to the next one.
        case wireGuard
        /// The settings are others, so a refresh that is being made is worth nothing.
        case settings
    }

    public private(set) var settings: Configuration.Domain
    let context: DomainContext
    var table: DomainTable
    private(set) var state = State.unread
    /// The WireGuard interface that the table's routers are in, or were in when there was one.
    private(set) var identity: DeviceIdentity?
    /// Whether the table has routers that could not be brought back yet, in service or not.
    private(set) var mustRestore = false
    var schedule = RefreshSchedule()
    /// What WireGuard said of itself in the last refresh.
    var standing = Refresh.Standing()
    var savedState: SavedState
    var polling = Polling()
    var learned = LearnedEntries()
    var backlog = Backlog()
    let removals = RemovalCounter()
    /// Sweeps that programs wait for, and what came of those that are done.
    var sweeps = Sweeps()
    /// What the last attempt to repair fdb entries met; logged when it changes.
    var repairFailure: DomainFailure?
    /// The same for the allowed IPs of other profiles.
    var readdressFailure: DomainFailure?
    /// Those of the operator's peers that the log names already.
    var namedPeers: [PublicKey: DomainTable.OperatorsPeer] = [:]

    /// Reads the saved state. The kernel is read when ``wake()`` is called.
    public init(_ settings: Configuration.Domain, keys: KeyLists, context: DomainContext) {
        self.settings = settings
        self.context = context
        table = DomainTable(rules: DomainRules(settings, keys))
        savedState = SavedState(StateFile(directory: context.stateDirectory, domain: settings.name))
        schedule.next = context.now
        identity = recall()
    }

    /// Goes on with other settings.
    ///
    /// - Returns: whether it does. If the interfaces are others, it is another domain in truth.
    public func change(to settings: Configuration.Domain, keys: KeyLists) -> Bool {
        let old = self.settings
        guard settings.name == old.name, settings.wireGuard == old.wireGuard, settings.vxlan == old.vxlan
        else { return false }
        self.settings = settings
        table.change(rules: DomainRules(settings, keys))
        invalidate(.settings)
        return true
    }

    /// Whether routers may be at one of several addresses.
    var isMigration: Bool { settings.addressProfiles.count > 1 }

    /// What the domain holds, for the log.
    private var summary: String { "\(table.routerCount) \(table.routerCount == 1 ? "router" : "routers")" }

    /// A line that strangers can cause: only so many are written in a second.
    func noteStranger(
        _ event: GatewayEvent,
        _ level: Logger.Level,
        _ key: PublicKey?,
        _ message: @autoclosure () -> String
    ) {
        context.budget.log(
            event,
            level,
            domain: settings.name.text,
            key: key?.description,
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

    // MARK: - State

    public var isInService: Bool { state.interfaces != nil }

    /// Whether the first refresh is taken in, with all the work that it found.
    public var isSettled: Bool {
        switch state {
        case .unread, .restoring: false
        case .inService: !schedule.isOutdated && backlog.isEmpty
        case .outOfService: !schedule.isOutdated
        }
    }

    /// Whether who asked and was answered ``RegistrationAnswer/later`` should wait on.
    public var isWaiting: Bool {
        schedule.isOutdated || schedule.isAwaited || learned.isFull || backlog.isAwaited
    }

    /// For front doors, as of the last refresh. It costs no more than a registration.
    public var status: DomainStatus {
        noteDemand()
        guard isInService else { return DomainStatus(domain: settings.name, isInService: false) }
        return DomainStatus(
            domain: settings.name,
            isInService: true,
            publicKey: standing.publicKey,
            listenPort: standing.listenPort,
            connected: UInt32(standing.connected),
            routers: UInt32(table.routerCount)
        )
    }

    /// Goes on with what a refresh found.
    ///
    /// - Parameter missing: routers that are to come back first.
    func enterService(_ interfaces: Interfaces, in identity: DeviceIdentity, missing: [DomainTable.Admission]) {
        switch state {
        case .unread: log(.inService, .info, "in service: \(summary)")
        case .outOfService: log(.inService, .notice, "in service again: \(summary)")
        case .inService, .restoring: break
        }
        mustRestore = !missing.isEmpty
        if missing.isEmpty {
            settle(in: identity)
            state = .inService(interfaces)
        } else {
            state = .restoring(interfaces, Restoration(of: missing, into: identity))
        }
    }

    /// Answers nobody until a refresh succeeds. The next one waits for as long as this one took, so that a domain which
    /// does not answer keeps a thread for half of the time at most.
    ///
    /// - Parameter start: when what failed was begun.
    func leaveService(_ failure: DomainFailure, since start: MonotonicTime) {
        if state.failure != failure { log(.outOfService, .error, "out of service: \(failure)") }
        state = .outOfService(failure)
        dropBacklog()
        schedule.noteFailure(since: start, at: context.now)
        polling.next = nil
    }

    /// These routers are back in the WireGuard interface.
    func noteRestored(_ keys: some Sequence<PublicKey>) {
        guard case .restoring(let interfaces, let restoration) = state else { return }
        for key in keys { restoration.waiting[key] = nil }
        guard restoration.waiting.isEmpty else { return }
        state = .inService(interfaces)
        mustRestore = false
        settle(in: restoration.identity)
        let count = "\(restoration.count) \(restoration.count == 1 ? "router" : "routers")"
        log(.restored, .notice, "brought \(count) back into \(settings.wireGuard)")
    }

    /// The table's routers are in this interface.
    private func settle(in identity: DeviceIdentity) {
        guard identity != self.identity else { return }
        self.identity = identity
        savedState.mustWrite = true
    }

    /// Sees to it that what is no longer certain is read again.
    func invalidate(_ what: Invalidation) {
        let now = context.now
        switch what {
        case .table: schedule.expires = MonotonicTime.start
        case .entries:
            schedule.needsEntries = true
            scheduleRefresh(at: now + RefreshSchedule.settlingTime)
        case .interfaces:
            schedule.isOutdated = true
            // Nobody is answered before.
            scheduleRefresh(at: now + RefreshSchedule.settlingTime, isUrgent: isInService)
        case .wireGuard:
            identity = nil
            if let interfaces = state.interfaces { state = .inService(interfaces) }
            dropBacklog()
            invalidate(.interfaces)
        case .settings:
            schedule.generation += 1
            schedule.isOutdated = schedule.isOutdated || !isInService
            invalidate(.entries)
        }
    }

    // MARK: - What the kernel reports

    /// Takes in that interfaces appeared, changed, or went.
    public func notice(_ changes: LinkChanges) {
        guard case .links(let changes) = changes else { return invalidate(.interfaces) }
        let interfaces = state.interfaces
        for change in changes {
            let isOurs = change.index == interfaces?.wireGuard || change.index == interfaces?.vxlan
            guard isOurs || change.name == settings.wireGuard || change.name == settings.vxlan else { continue }
            let isWireGuardGone = change.isGone && change.index.number == identity?.interfaceIndex
            invalidate(isWireGuardGone ? .wireGuard : .interfaces)
        }
    }

    /// Takes in what others, and this process, did with permanent entries.
    public func notice(_ news: FdbNews) {
        guard let interfaces = state.interfaces else { return }
        guard case .changes(let changes) = news else { return invalidate(.entries) }
        var needsRepair = false
        for change in changes where change.device == interfaces.vxlan && change.entry.via == interfaces.wireGuard {
            let entry = change.entry
            if table.noteEntry(mac: entry.mac, to: entry.destination, isGone: change.isGone) { needsRepair = true }
        }
        if needsRepair { backlog.isStuck = false }
    }
}

extension DomainRules {
    init(_ settings: Configuration.Domain, _ keys: KeyLists) {
        self.init(
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
}
