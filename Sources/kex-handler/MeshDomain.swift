internal import EUI64
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
final class MeshDomain {
    /// What cannot be done now, and what the operator can do about it.
    struct Trouble: Error, Hashable, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }

    /// Where the kernel keeps the domain. Made anew with each picture, because interfaces come and go.
    private struct Devices: ~Copyable {
        let wireGuardIndex: InterfaceIndex
        let wireGuard: any WireGuardInterface
        var fdb: VXLANFdb
    }

    let settings: Configuration.Domain
    private var table: DomainTable
    private var devices: Devices?
    private var links: LinkControl
    /// All fdb entries by destination, learned ones too, as of the last picture: what a removal takes out.
    private var fdbEntries: [IPv6Address: [FdbEntry]] = [:]
    /// When the table must be compared with the kernel before it may be used again.
    private var pictureExpires = MonotonicTime(nanoseconds: 0)
    private var trouble: Trouble?
    private let log: Logger

    /// How much longer a picture is used than it took to take: so at most this share of the time goes into asking the
    /// kernel, however fast registrations come in. What somebody else changes meanwhile is seen that much later: some
    /// milliseconds with 100 peers, a second or two with 10,000.
    static let pictureUse = 20
    /// Longest use of a picture. Taking one is slow too when this process, or WireGuard in user space, was stopped for a
    /// while; a router whose peer was taken out meanwhile would be told that it is in until the picture expires.
    static let longestPictureUse = Duration.seconds(2)
    /// After a failure the domain rests for this long at least, so that one that does not answer (WireGuard in user
    /// space may hang) leaves the others time.
    static let restAfterTrouble = Duration.milliseconds(100)

    init(_ settings: Configuration.Domain, prohibitedKeys: Set<PublicKey>, log: Logger) throws(NetlinkError) {
        self.settings = settings
        let profile = settings.addressProfile
        table = DomainTable(
            rules: DomainRules(
                addresses: { RouterAddresses(of: $0, profile: profile) },
                fdbEntries: (settings.fdb.hasMACEntry ? [.mac] : FdbEntries())
                    .union(settings.fdb.hasFloodEntry ? [.flood] : []),
                maximumPeers: settings.maximumPeers,
                staleAfter: settings.staleAfter,
                sweepInterval: settings.sweepInterval,
                prohibitedKeys: prohibitedKeys
            )
        )
        links = try LinkControl()
        self.log = log
    }

    // MARK: - The kernel's picture

    /// Compares the table with the kernel, unless that was done just now.
    ///
    /// - Throws: what is wrong. It is logged when it begins and when it ends, not each time.
    func refresh(evenIfFresh: Bool = false) throws(Trouble) {
        let start = MonotonicTime.now
        if !evenIfFresh && start < pictureExpires {
            if let trouble { throw trouble }
            return
        }
        do throws(Trouble) {
            try takePicture()
            if trouble != nil { log.notice("\(settings.name): in service again") }
            trouble = nil
            let now = MonotonicTime.now
            pictureExpires = now + min(Self.longestPictureUse, (now - start) * Self.pictureUse)
        } catch {
            leaveService(error, since: start)
            throw error
        }
    }

    /// Answers nobody for a while: as long as it took to find the trouble, so that a domain which does not answer takes
    /// at most half of the time from the others.
    private func leaveService(_ error: Trouble, since start: MonotonicTime) {
        if trouble != error { log.error("\(settings.name): out of service: \(error)") }
        trouble = error
        devices = nil
        let now = MonotonicTime.now
        pictureExpires = now + max(Self.restAfterTrouble, now - start)
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
        do {
            try look()
        } catch {
            throw Trouble("\(error)")
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
        do {
            devices = Devices(
                wireGuardIndex: wireGuard,
                wireGuard: try openWireGuardInterface(settings.wireGuard),
                fdb: try VXLANFdb(device: vxlan)
            )
        } catch {
            throw Trouble("\(error)")
        }
    }

    private func look() throws {
        guard let via = devices?.wireGuardIndex, let state = try devices?.wireGuard.state() else { return }
        var picture = DomainTable.Picture(ownKey: state.publicKey, peers: state.peers)
        fdbEntries.removeAll(keepingCapacity: true)
        for record in try devices?.fdb.list() ?? [] {
            guard let entry = record.entry, entry.via == via else { continue }
            fdbEntries[entry.destination, default: []].append(entry)
            if entry.mac == .zero {
                picture.floodList.insert(entry.destination)
            } else if record.isPermanent {
                picture.macs[entry.destination, default: []].insert(entry.mac)
            }
        }
        table.reset(to: picture)
    }

    /// What the domain holds, for the log.
    var summary: String { "\(table.routerCount) routers" }

    // MARK: - Registrations

    /// Brings routers in. Every answer of success is given after the kernel has acknowledged everything.
    ///
    /// - Parameter keys: each once.
    /// - Returns: `nil` for success, or why not.
    func register(
        _ keys: [(key: PublicKey, source: IPv6Address)],
        log: (GatewayEvent, Logger.Level, PublicKey, String) -> Void
    ) -> [Refusal?] {
        do throws(Trouble) {
            try refresh()
        } catch {
            return keys.map { _ in .unavailable }
        }
        var refusals = [Refusal?](repeating: nil, count: keys.count)
        var admissions: [(index: Int, admission: DomainTable.Admission)] = []
        for (index, (key, source)) in keys.enumerated() {
            switch table.decide(key) {
            case .present: break
            case .admit(let admission): admissions.append((index, admission))
            case .refuse(let refusal, let reason):
                refusals[index] = refusal
                log(.refused, .info, key, "refused \(key) from \(source.unmappedDescription): \(reason)")
            }
        }
        guard !admissions.isEmpty else { return refusals }
        let outcomes = admit(admissions.map(\.admission))
        for ((index, admission), trouble) in zip(admissions, outcomes) {
            let (key, source) = keys[index]
            if let trouble {
                refusals[index] = .unavailable
                log(.failed, .error, key, "could not register \(key) from \(source.unmappedDescription): \(trouble)")
            } else {
                let addresses = admission.addresses
                let what = admission.isNewPeer ? "registered" : "repaired the fdb entries of"
                log(
                    admission.isNewPeer ? .registered : .repaired,
                    .info,
                    key,
                    "\(what) \(key) from \(source.unmappedDescription): \(addresses.linkLocal), \(addresses.mac)"
                )
            }
        }
        return refusals
    }

    /// Peer first, entries second: an entry without a peer would send frames nowhere.
    ///
    /// - Returns: for each admission `nil`, or why it is not in the kernel.
    private func admit(_ admissions: [DomainTable.Admission]) -> [Trouble?] {
        var troubles = addPeers(of: admissions)
        let good = admissions.indices.filter { troubles[$0] == nil }
        let entries = good.map { missingEntries(of: admissions[$0]) }
        var outcomes = append(entries.flatMap(\.self))[...]
        for (index, own) in zip(good, entries) {
            let failures = outcomes.prefix(own.count).compactMap(\.self)
            outcomes = outcomes.dropFirst(own.count)
            guard let failure = failures.first else { continue }
            troubles[index] = failure
            _ = delete(own)
        }
        if trouble == nil, troubles.contains(where: { $0 != nil }) {
            takeBackPeers(of: admissions.indices.filter { troubles[$0] != nil }.map { admissions[$0] })
        }
        for (admission, trouble) in zip(admissions, troubles) {
            if trouble == nil { table.confirm(admission) } else { table.abandon(admission) }
        }
        return troubles
    }

    private func addPeers(of admissions: [DomainTable.Admission]) -> [Trouble?] {
        func change(_ admission: DomainTable.Admission) -> PeerChange {
            let allowedIP = IPPrefix(host: admission.addresses.linkLocal)
            return .add(PeerSettings(publicKey: admission.key, allowedIPs: [allowedIP]))
        }
        let new = admissions.indices.filter { admissions[$0].isNewPeer }
        var troubles = [Trouble?](repeating: nil, count: admissions.count)
        guard apply(new.map { change(admissions[$0]) }) != nil else { return troubles }
        // One of them was refused, and the rest may or may not be in. Adding is safe to repeat, so one by one tells.
        for index in new { troubles[index] = apply([change(admissions[index])]) }
        // Out of service: nobody is in, those whose peer was there before included.
        if let trouble { return admissions.map { _ in trouble } }
        return troubles
    }

    private func missingEntries(of admission: DomainTable.Admission) -> [FdbEntry] {
        guard let via = devices?.wireGuardIndex else { return [] }
        var entries: [FdbEntry] = []
        let (mac, destination) = (admission.addresses.mac, admission.addresses.linkLocal)
        if admission.missingEntries.contains(.mac) {
            entries.append(FdbEntry(mac: mac, destination: destination, via: via))
        }
        if admission.missingEntries.contains(.flood) { entries.append(.flood(to: destination, via: via)) }
        return entries
    }

    /// Removes the peers of half-done admissions, as far as the kernel shows them as routers now: somebody may have
    /// made one of them a peer of the operator's own meanwhile. After a failure nothing is taken for granted, so the
    /// next registration looks at the kernel first.
    private func takeBackPeers(of admissions: [DomainTable.Admission]) {
        pictureExpires = MonotonicTime(nanoseconds: 0)
        let keys = Set(admissions.filter(\.isNewPeer).map(\.key))
        // WireGuard alone is asked: the VXLAN interface may be what is missing.
        guard !keys.isEmpty, let peers = try? devices?.wireGuard.state().peers else { return }
        let routers = peers.filter { keys.contains($0.publicKey) && table.isRouter($0) }
        _ = apply(routers.map { .remove($0.publicKey) })
    }

    /// Changes peers. If WireGuard does not so much as refuse, the domain leaves service, and every further change fails
    /// at once: one that does not answer would cost a time limit for each.
    private func apply(_ changes: [PeerChange]) -> Trouble? {
        if let trouble { return trouble }
        guard !changes.isEmpty, let wireGuard = devices?.wireGuard else { return nil }
        let start = MonotonicTime.now
        do throws(WireGuardError) {
            try wireGuard.apply(changes)
            return nil
        } catch {
            let failure = Trouble("\(error)")
            if case .refused = error { return failure }
            leaveService(failure, since: start)
            return failure
        }
    }

    private func append(_ entries: [FdbEntry]) -> [Trouble?] {
        guard !entries.isEmpty else { return [] }
        do throws(NetlinkError) {
            return (try devices?.fdb.append(entries) ?? []).map { outcome in
                if case .failed(let error) = outcome { Trouble("\(error)") } else { nil }
            }
        } catch {
            return entries.map { _ in Trouble("\(error)") }
        }
    }

    // MARK: - Sweep

    /// Marks stale routers, and takes out those that stayed stale.
    ///
    /// - Returns: an event for each router that the operator should hear of, and the number of routers looked at.
    func sweep(isDryRun: Bool) throws(Trouble) -> (events: [SweepEvent], peers: Int) {
        // A domain that rests is left to rest.
        try refresh(evenIfFresh: trouble == nil)
        let peers = table.routerCount
        let sinceStart = Duration.nanoseconds(Int64(MonotonicTime.now.nanoseconds))
        let verdicts = table.sweep(sinceStart: sinceStart, wallClock: wallClockSeconds(), isDryRun: isDryRun)
        let failed = isDryRun ? [] : remove(verdicts.filter { $0.action == .remove })
        let events = verdicts.map { verdict in
            let action: SweepEvent.Action =
                switch verdict.action {
                case .mark: .marked
                case .wait: .waiting
                case .remove: failed.contains(verdict.key) ? .failed : .removed
                case .unmark: .returned
                }
            return SweepEvent(domain: settings.name, key: verdict.key, action: action, silence: verdict.silence)
        }
        return (events, peers)
    }

    /// Entries first, peer second, so that no frame is sent towards a peer that is gone. All entries of the
    /// destination go, learned ones too: the kernel tells only of MACs that it does not know yet.
    ///
    /// - Returns: the keys that are still there.
    private func remove(_ verdicts: [SweepVerdict]) -> Set<PublicKey> {
        var failed: Set<PublicKey> = []
        for verdict in verdicts {
            let entries = fdbEntries[verdict.addresses.linkLocal] ?? []
            // Out of service since one of the removals before, which is in the log: the rest would fail as well.
            if trouble != nil {
                failed.insert(verdict.key)
            } else if let trouble = delete(entries) ?? apply([.remove(verdict.key)]) {
                failed.insert(verdict.key)
                log.error("\(settings.name): could not remove \(verdict.key): \(trouble)")
                if self.trouble == nil { pictureExpires = MonotonicTime(nanoseconds: 0) }
            } else {
                table.remove(verdict.key)
                log.info("\(settings.name): removed \(verdict.key): silent in two sweeps")
            }
        }
        return failed
    }

    private func delete(_ entries: [FdbEntry]) -> Trouble? {
        guard !entries.isEmpty else { return nil }
        do throws(NetlinkError) {
            for case .failed(let error) in try devices?.fdb.delete(entries) ?? [] { return Trouble("\(error)") }
            return nil
        } catch {
            return Trouble("\(error)")
        }
    }
}
