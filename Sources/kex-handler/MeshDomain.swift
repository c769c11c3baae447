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
/// | `MeshDomain.swift` | the picture, when it is taken, and what a new WireGuard interface gets back |
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
    struct Trouble: Error, Hashable, CustomStringConvertible {
        let description: String
        /// Whether the VXLAN interface takes no further address: its `maxaddress`.
        let isTableFull: Bool
        init(_ description: String, isTableFull: Bool = false) {
            self.description = description
            self.isTableFull = isTableFull
        }
    }

    /// What front doors are told besides the number of routers.
    private struct Standing {
        var publicKey: PublicKey?
        var listenPort: UInt16?
        var connected = 0
    }

    /// Where the kernel keeps the domain. Made anew with each picture, because interfaces come and go.
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
    /// What WireGuard said of itself in the last picture.
    private var standing = Standing()
    /// When the table must be compared with the kernel before it may be used again.
    var pictureExpires = MonotonicTime(nanoseconds: 0)
    var trouble: Trouble?
    var memory: Memory
    private var links: LinkControl
    /// When the kernel is looked at although nobody asks: an interface changed, or the domain is out of service.
    private var nextLook: MonotonicTime?
    /// No look of that kind before this.
    private var earliestLook = MonotonicTime(nanoseconds: 0)
    var listening = Listening()
    var learned = LearnedEntries()
    /// Whether the entries of the fdb must be listed with the next picture: between listings the kernel tells of them.
    private var needsEntries = true
    /// After expired routers could not be removed: not before this again.
    var earliestExpiry = MonotonicTime(nanoseconds: 0)
    /// What the last attempt to repair fdb entries met; logged when it changes.
    var repairTrouble: Trouble?
    /// The same for the allowed IPs of other profiles.
    var readdressTrouble: Trouble?
    /// Those of the operator's peers that the log names already.
    var namedPeers: [PublicKey: DomainTable.OperatorsPeer] = [:]
    /// Whether there are routers that the table has, and that could not be brought back yet.
    private var mustRestore = false

    /// How much longer a picture is used than it took to take: so at most this share of the time goes into asking the
    /// kernel, however fast registrations come in. What somebody else changes meanwhile is seen that much later: some
    /// hundredths of a second with 10 peers, half a second with 1,000, two seconds with 10,000.
    static let pictureUse = 100
    /// Longest use of a picture, when there are few domains. Taking one is slow too when this process, or WireGuard in user
    /// space, was stopped for a while; a router whose peer was taken out meanwhile would be told that it is in until the
    /// picture expires.
    static let longestPictureUse = Duration.seconds(2)
    /// Looking because an interface changed takes one part in so many of the time at most.
    static let lookShare = 20
    /// After a failure the domain rests for this long at least, so that one that does not answer (WireGuard in user
    /// space may hang) leaves the others time.
    static let restAfterTrouble = Duration.milliseconds(100)
    /// A domain out of service is looked at this often, without being asked; or after four times what the last attempt
    /// took, if that is longer.
    static let retryPause = Duration.seconds(1)
    /// Changes of interfaces come in bursts; they are given this time.
    static let settlingTime = Duration.milliseconds(10)
    /// Peers that come back into a new interface in one go; then the watchdog is fed.
    static let restoredPerRound = 512

    init(
        _ settings: Configuration.Domain,
        keys: KeyLists,
        host: Host
    ) throws(NetlinkError) {
        self.settings = settings
        self.host = host
        table = DomainTable(rules: Self.rules(settings, keys))
        memory = Memory(StateFile(directory: host.stateDirectory, domain: settings.name))
        links = try LinkControl(buffer: host.buffer)
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
        pictureExpires = MonotonicTime(nanoseconds: 0)
        nextLook = .now
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

    /// For front doors. It costs no more than a registration: the picture is as old as it may be for one.
    var status: DomainStatus {
        guard (try? refresh()) != nil else { return DomainStatus(domain: settings.name, isInService: false) }
        return DomainStatus(
            domain: settings.name,
            isInService: true,
            publicKey: standing.publicKey,
            listenPort: standing.listenPort,
            connected: UInt32(standing.connected),
            routers: UInt32(table.routerCount)
        )
    }

    // MARK: - The kernel's picture

    /// Compares the table with the kernel, unless that was done just now. Brings in what a new interface lacks, and
    /// fdb entries that are missing.
    ///
    /// - Throws: what is wrong. It is logged when it begins and when it ends, not each time.
    func refresh(evenIfFresh: Bool = false) throws(Trouble) {
        let start = MonotonicTime.now
        if !evenIfFresh && start < pictureExpires {
            if let trouble { throw trouble }
            return
        }
        host.pulse.beat()
        do throws(Trouble) {
            try takePicture()
        } catch {
            leaveService(error, since: start)
            throw error
        }
        if trouble != nil { log(.inService, .notice, "in service again: \(summary)") }
        trouble = nil
        nextLook = nil
        let now = MonotonicTime.now
        let use = host.pause(after: now - start, share: Self.pictureUse, limit: Self.longestPictureUse)
        pictureExpires = now + use
        earliestLook = now + min((now - start) * Self.lookShare, Self.longestPictureUse)
        noteHeard(table.heardInPicture)
        nameOperatorsPeers()
        readdress()
        repair()
        removeBanned()
        scheduleListening(isNews: false)
        Heap.trim()
    }

    /// Answers nobody for a while: as long as it took to find the trouble, so that a domain which does not answer takes
    /// at most half of the time from the others.
    func leaveService(_ error: Trouble, since start: MonotonicTime) {
        if trouble != error { log(.outOfService, .error, "out of service: \(error)") }
        trouble = error
        devices = nil
        let now = MonotonicTime.now
        pictureExpires = now + max(Self.restAfterTrouble, now - start)
        nextLook = now + max(Self.retryPause, (now - start) * 4)
        listening.next = nil
    }

    private func takePicture() throws(Trouble) {
        let wireGuardLink = try link(settings.wireGuard, make: "ip link add \(settings.wireGuard) type wireguard")
        let vxlanLink = try link(
            settings.vxlan,
            make: "ip link add \(settings.vxlan) type vxlan id ID dstport 8472 local ADDRESS dev \(settings.wireGuard)"
        )
        guard vxlanLink.kind == "vxlan" else { throw Trouble("interface \(settings.vxlan) is not a VXLAN interface") }
        guard vxlanLink.underlying == wireGuardLink.index else {
            throw Trouble(
                "\(settings.vxlan) does not run over \(settings.wireGuard): make it with dev \(settings.wireGuard)"
            )
        }
        for link in [wireGuardLink, vxlanLink] where !link.isUp {
            throw Trouble("\(link.name) is down; set it up with: ip link set \(link.name) up")
        }
        try open(wireGuard: wireGuardLink.index, vxlan: vxlanLink.index)
        noteLimit(of: vxlanLink)
        let found = host.identity(of: wireGuardLink.index)
        let missing: [DomainTable.Admission]
        do {
            missing = try look(isNewDevice: found != identity || mustRestore)
        } catch {
            throw Trouble("\(error)")
        }
        noteLosses()
        mustRestore = !missing.isEmpty
        try restore(missing)
        mustRestore = false
        if found != identity {
            identity = found
            memory.mustWrite = true
        }
    }

    private func link(_ name: InterfaceName, make command: String) throws(Trouble) -> Link {
        do throws(NetlinkError) {
            if let link = try links.link(named: name) { return link }
        } catch {
            throw Trouble("\(error)")
        }
        throw Trouble("there is no interface \(name); make it, for instance with: \(command)")
    }

    /// Opens the kernel objects, unless they are open and still the same.
    private func open(wireGuard: InterfaceIndex, vxlan: InterfaceIndex) throws(Trouble) {
        if devices?.wireGuardIndex == wireGuard && devices?.fdb.device == vxlan { return }
        needsEntries = true
        do {
            devices = Devices(
                wireGuardIndex: wireGuard,
                wireGuard: try openWireGuardInterface(settings.wireGuard, buffer: host.buffer),
                fdb: try VXLANFdb(device: vxlan, buffer: host.buffer)
            )
        } catch {
            throw Trouble("\(error)")
        }
    }

    /// - Returns: what a new device lacks.
    private func look(isNewDevice: Bool) throws -> [DomainTable.Admission] {
        guard let via = devices?.wireGuardIndex, let state = try devices?.wireGuard.state() else { return [] }
        let wallClock = host.clocks.wallClock
        // A handshake of the future was made before the clock went back: the peer is there.
        let connected = state.peers.count { peer in
            peer.lastHandshake.map { wallClock - $0 < DomainStatus.freshness.components.seconds } ?? false
        }
        var picture = DomainTable.Picture(ownKey: state.publicKey, peers: state.peers, hasEntries: false)
        if needsEntries, let device = devices?.fdb.device { try listEntries(of: device, via: via, into: &picture) }
        // WireGuard is asked by name. An interface that was made anew meanwhile would seem to be the old one, without peers,
        // and everybody would be forgotten.
        guard try links.link(named: settings.wireGuard)?.index == via else {
            throw Trouble("\(settings.wireGuard) went, or is being made anew")
        }
        standing = Standing(publicKey: state.publicKey, listenPort: state.listenPort, connected: connected)
        needsEntries = false
        return table.reset(to: picture, isNewDevice: isNewDevice, sinceStart: host.clocks.sinceStart)
    }

    /// Lists the fdb, unless that would take too long because of what was learned: then all entries count as missing, or stay
    /// as they are known, and the repairs put them in, which does no harm to those that are there.
    private func listEntries(
        of device: InterfaceIndex,
        via: InterfaceIndex,
        into picture: inout DomainTable.Picture
    ) throws(NetlinkError) {
        var listed = picture
        listed.hasEntries = true
        let needsLearned = isMigration
        var fdb = try VXLANFdb(device: device, buffer: host.buffer)
        let isWhole = try fdb.list(atMost: LearnedEntries.listLimit) { record in
            guard let entry = record.entry, entry.via == via else { return }
            if entry.mac == .zero {
                listed.floodList.insert(entry.destination)
            } else if record.isPermanent {
                listed.unicastEntries.insert(RouterAddresses(mac: entry.mac, linkLocal: entry.destination))
            } else if needsLearned, record.isLearned {
                listed.learned.insert(entry.destination)
            }
        }
        if isWhole { picture = listed }
    }

    /// Brings routers back into a new interface. Their fdb entries come with the repairs that follow.
    private func restore(_ admissions: [DomainTable.Admission]) throws(Trouble) {
        removeDisplaced()
        for start in stride(from: 0, to: admissions.count, by: Self.restoredPerRound) {
            host.pulse.beat()
            let round = admissions[start...].prefix(Self.restoredPerRound)
            do throws(WireGuardError) {
                try devices?.wireGuard.apply(round.map(\.peerChange))
            } catch {
                throw Trouble("cannot bring routers back: \(error)")
            }
        }
        guard !admissions.isEmpty else { return }
        let count = "\(admissions.count) \(admissions.count == 1 ? "router" : "routers")"
        log(.restored, .notice, "brought \(count) back into \(settings.wireGuard)")
    }

    // MARK: - Without being asked

    /// When ``wake()`` has something to do.
    var nextWake: MonotonicTime? {
        // Out of service, only that can be done.
        guard trouble == nil else { return nextLook }
        let check = table.nextCheck.map(MonotonicTime.init(sinceStart:))
        let expiry = table.nextExpiry.map { max(MonotonicTime(sinceStart: $0), earliestExpiry) }
        return earliest(earliest(earliest(nextLook, listening.next), earliest(check, expiry)), learned.nextWork)
    }

    /// Does what is due.
    func wake() {
        let now = MonotonicTime.now
        if let nextLook, nextLook <= now { try? refresh(evenIfFresh: true) }
        guard trouble == nil else { return }
        if let next = listening.next, next <= now { listen() }
        if let next = table.nextCheck, MonotonicTime(sinceStart: next) <= now { resetDeadSessions() }
        if let next = table.nextExpiry, MonotonicTime(sinceStart: next) <= now, earliestExpiry <= now,
            (try? refresh()) != nil
        {
            removeExpired()
        }
        careForLearned(at: now)
    }

    /// Takes in that interfaces appeared, changed, or went.
    func notice(_ changes: LinkChanges) {
        guard case .links(let changes) = changes else { return lookSoon() }
        for change in changes {
            let isOurs = change.index == devices?.wireGuardIndex || change.index == devices?.fdb.device
            guard isOurs || change.name == settings.wireGuard || change.name == settings.vxlan else { continue }
            // Its number may be given to the next one.
            if change.isGone && change.index.number == identity?.interfaceIndex { identity = nil }
            lookSoon()
        }
    }

    /// Takes in what others, and this process, did with permanent entries.
    func notice(_ news: FdbNews) {
        guard trouble == nil, let device = devices?.fdb.device, let via = devices?.wireGuardIndex else { return }
        guard case .changes(let changes) = news else {
            needsEntries = true
            return lookSoon()
        }
        var needsRepair = false
        for change in changes where change.device == device && change.entry.via == via {
            let entry = change.entry
            if table.noteEntry(mac: entry.mac, to: entry.destination, isGone: change.isGone) { needsRepair = true }
        }
        if needsRepair { repair() }
    }

    /// Has the entries listed, beside what is told of them.
    func lookSoonAtEntries() {
        needsEntries = true
        lookSoon()
    }

    func lookSoon() {
        pictureExpires = MonotonicTime(nanoseconds: 0)
        nextLook = max(MonotonicTime.now + Self.settlingTime, earliestLook)
    }

    /// Adds the fdb entries that routers should have by now, and takes out those that lead to where they are no more.
    func repair() {
        removeDisplaced()
        let repairs = table.repairs()
        let entries = repairs.map(missingEntries(of:))
        var outcomes = append(entries.flatMap(\.self))[...]
        var failure: Trouble?
        for (admission, own) in zip(repairs, entries) {
            let failures = outcomes.prefix(own.count).compactMap(\.self)
            outcomes = outcomes.dropFirst(own.count)
            failure = failure ?? failures.first
            if failures.isEmpty { table.confirm(admission) }
        }
        for outcome in delete(table.takeStrays().flatMap({ self.entries($0.entries, of: $0.addresses) })) {
            failure = failure ?? outcome
        }
        if let failure, failure != repairTrouble, !failure.isTableFull || learned.hopelessUntil > .now {
            log(.failed, .error, "fdb entries are not as they should be: \(failure)")
        }
        repairTrouble = failure
    }
}

/// The earlier one of two times that may be never. Asked for each domain in each round of the loop, so it makes no array.
func earliest(_ one: MonotonicTime?, _ other: MonotonicTime?) -> MonotonicTime? {
    guard let one, let other else { return one ?? other }
    return min(one, other)
}
