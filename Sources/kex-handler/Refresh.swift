internal import GatewayState
internal import HandlerChannel
internal import KexConfiguration
internal import KexGateway
internal import LinkControl
internal import Netlink
internal import NetworkAddresses
internal import Synchronization
internal import SystemCalls
internal import VXLANFdb
internal import WireGuardControl
internal import WireGuardTypes

/// What a domain's refresh is to find out. It is carried out beside the loop, with sockets of its own; the loop goes on
/// with the table meanwhile. See docs/decisions/0017-snapshots-beside-the-loop.md.
struct RefreshRequest: Sendable {
    let settings: Configuration.Domain
    let machine: Machine
    /// The interface that the table's routers are in.
    let identity: DeviceIdentity?
    /// The VXLAN interface as of the last refresh.
    let vxlan: InterfaceIndex?
    /// The WireGuard interface as of the last refresh.
    let wireGuard: InterfaceIndex?
    /// Whether the fdb is to be listed even if both are the same.
    let needsEntries: Bool
    /// A copy, which takes in the snapshot.
    let table: DomainTable
    let start: DomainTable.ComparisonStart
    /// Whether there are routers that the table has, and that could not be brought back yet.
    let mustRestore: Bool
    /// Who was missing in the list before.
    let absent: Set<PublicKey>
    let removals: RemovalCounter
    /// `nil` for no sweep.
    let sweep: SweepKind?

    enum SweepKind: Sendable { case dry, real }
}

/// Counts the peers that this process takes out of one interface: each may end a list early that is being made.
final class RemovalCounter: Sendable {
    private let value = Atomic<Int>(0)

    var count: Int { value.load(ordering: .acquiring) }
    func add(_ count: Int) { value.add(count, ordering: .acquiringAndReleasing) }
}

/// What a refresh has found.
struct Refresh: Sendable {
    let began: MonotonicTime
    let wireGuard: Link
    let vxlan: Link
    let identity: DeviceIdentity
    let standing: Standing
    /// The table with the snapshot.
    let table: DomainTable
    let start: DomainTable.ComparisonStart
    /// What a new device lacks.
    let missing: [DomainTable.Admission]
    /// Who is missing in the list, if that means nothing yet.
    let absent: Set<PublicKey>
    let sweep: SweepFinding?
    var cost: Duration

    /// What is reported to front doors besides the number of routers.
    struct Standing: Sendable {
        var publicKey: PublicKey?
        var listenPort: UInt16?
        var connected = 0
    }

    struct SweepFinding: Sendable {
        var verdicts: [SweepVerdict]
        var routerCount: Int
        /// Seconds by which the clock was stepped.
        var clockStep: Int64?
        /// Whether it is this sweep that found too many silent.
        var isNewlySuspicious: Bool
    }
}

extension RefreshRequest {
    /// Refreshes. It takes as long as WireGuard takes to answer.
    func run() -> Result<Refresh, MeshDomain.Failure> {
        let began = MonotonicTime.now
        do throws(MeshDomain.Failure) {
            var refresh = try find(since: began)
            refresh.cost = .now - began
            return .success(refresh)
        } catch {
            return .failure(error)
        }
    }

    private func find(since began: MonotonicTime) throws(MeshDomain.Failure) -> Refresh {
        var links: LinkControl
        do throws(NetlinkError) {
            links = try LinkControl()
        } catch {
            throw MeshDomain.Failure("\(error)")
        }
        let (wireGuardLink, vxlanLink) = try findLinks(&links)
        let via = wireGuardLink.index
        let removed = removals.count
        let state: DeviceState
        do throws(WireGuardError) {
            state = try openWireGuardInterface(settings.wireGuard).state()
        } catch {
            throw MeshDomain.Failure("\(error)")
        }
        var snapshot = DomainTable.Snapshot(ownKey: state.publicKey, peers: state.peers, hasEntries: false)
        if needsEntries || vxlan != vxlanLink.index || wireGuard != via {
            try inWords { () throws(NetlinkError) in try listEntries(of: vxlanLink.index, via: via, into: &snapshot) }
        }
        // WireGuard is asked by name. An interface that was made anew meanwhile would seem to be the old one, without peers,
        // and everybody would be forgotten.
        let again = try inWords { () throws(NetlinkError) in try links.link(named: settings.wireGuard) }
        guard again?.index == via else {
            throw MeshDomain.Failure("\(settings.wireGuard) went, or is being made anew")
        }
        var table = table
        var absent: Set<PublicKey> = []
        if !state.isWhole {
            let isTrusted = removals.count == removed
            absent = table.complete(&snapshot, absentBefore: isTrusted ? self.absent : nil)
            if !isTrusted { absent = [] }
        }
        let now = Clocks.now
        let found = machine.identity(of: via)
        let missing = table.reset(
            to: snapshot,
            isNewDevice: found != identity || mustRestore,
            sinceStart: now.sinceStart
        )
        let finding = sweep.map { sweep(&table, $0, at: now) }
        return Refresh(
            began: began,
            wireGuard: wireGuardLink,
            vxlan: vxlanLink,
            identity: found,
            standing: Refresh.Standing(
                publicKey: state.publicKey,
                listenPort: state.listenPort,
                connected: connected(among: state.peers, at: now)
            ),
            table: table,
            start: start,
            missing: missing,
            absent: absent,
            sweep: finding,
            cost: .zero
        )
    }

    private func connected(among peers: [Peer], at now: Clocks) -> Int {
        // A handshake of the future was made before the clock went back: the peer is there.
        peers.count { peer in
            peer.lastHandshake.map { now.wallClock - $0 < DomainStatus.freshness.components.seconds } ?? false
        }
    }

    private func sweep(_ table: inout DomainTable, _ kind: SweepKind, at now: Clocks) -> Refresh.SweepFinding {
        let step = table.clockStep(until: now)
        let wasSuspicious = table.isSilenceSuspicious
        let count = table.routerCount
        let verdicts = table.sweep(now, isDryRun: kind == .dry)
        return Refresh.SweepFinding(
            verdicts: verdicts,
            routerCount: count,
            clockStep: step,
            isNewlySuspicious: table.isSilenceSuspicious && !wasSuspicious
        )
    }

    // MARK: - Parts

    private func findLinks(_ links: inout LinkControl) throws(MeshDomain.Failure) -> (wireGuard: Link, vxlan: Link) {
        let wireGuardLink = try link(
            settings.wireGuard,
            &links,
            make: "ip link add \(settings.wireGuard) type wireguard"
        )
        let vxlanLink = try link(
            settings.vxlan,
            &links,
            make: "ip link add \(settings.vxlan) type vxlan id ID dstport 8472 local ADDRESS dev \(settings.wireGuard) "
                + "maxaddress \(LearnedEntries.usualLimit(for: settings))"
        )
        guard vxlanLink.kind == "vxlan" else {
            throw MeshDomain.Failure("interface \(settings.vxlan) is not a VXLAN interface")
        }
        guard vxlanLink.underlying == wireGuardLink.index else {
            throw MeshDomain.Failure(
                "\(settings.vxlan) does not run over \(settings.wireGuard): make it with dev \(settings.wireGuard)"
            )
        }
        for link in [wireGuardLink, vxlanLink] where !link.isUp {
            let remedy = remedy(forDown: link, vxlan: vxlanLink)
            throw MeshDomain.Failure("\(link.name) is down; set it up with: \(remedy)")
        }
        try checkReadiness(wireGuardLink, vxlanLink, &links)
        return (wireGuardLink, vxlanLink)
    }

    private func link(
        _ name: InterfaceName,
        _ links: inout LinkControl,
        make command: String
    ) throws(MeshDomain.Failure) -> Link {
        let found = try inWords { () throws(NetlinkError) in try links.link(named: name) }
        guard let found else {
            throw MeshDomain.Failure("there is no interface \(name); make it, for instance with: \(command)")
        }
        return found
    }

    /// Lists the fdb, unless that would take too long because of what was learned: then all entries count as missing, or stay
    /// as they are known, and the repairs put them in, which does no harm to those that are there.
    private func listEntries(
        of device: InterfaceIndex,
        via: InterfaceIndex,
        into snapshot: inout DomainTable.Snapshot
    ) throws(NetlinkError) {
        var listed = snapshot
        listed.hasEntries = true
        let needsLearned = settings.addressProfiles.count > 1
        var fdb = try VXLANFdb(device: device)
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
        if isWhole { snapshot = listed }
    }

    private func inWords<Value>(
        _ body: () throws(NetlinkError) -> Value
    ) throws(MeshDomain.Failure) -> Value {
        do throws(NetlinkError) {
            return try body()
        } catch {
            throw MeshDomain.Failure("\(error)")
        }
    }
}
