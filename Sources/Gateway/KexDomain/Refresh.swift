internal import GatewayState
internal import HandlerChannel
internal import KexConfiguration
internal import KexGateway
internal import LinkControl
internal import Netlink
internal import NetworkAddresses
internal import Synchronization
internal import SystemCalls
internal import Time
internal import VXLANFdb
internal import WireGuardControl
internal import WireGuardTypes

/// What a refresh of a domain is to find out. It runs beside the loop, with sockets of its own, and the loop goes on
/// with the table meanwhile. See docs/decisions/0017-snapshots-beside-the-loop.md.
struct RefreshRequest: Sendable {
    let settings: Configuration.Domain
    let machine: Machine
    let access: KernelAccess
    let clock: DomainClock
    /// The interface that the table's routers are in.
    let identity: DeviceIdentity?
    /// The VXLAN interface as of the last refresh.
    let vxlan: InterfaceIndex?
    /// The WireGuard interface as of the last refresh.
    let wireGuard: InterfaceIndex?
    /// Whether the fdb is to be listed even if both are the same.
    let needsEntries: Bool
    /// Takes in the snapshot.
    let comparison: Comparison
    /// Whether there are routers that the table has, and that could not be brought back yet.
    let mustRestore: Bool
    /// Who was missing in the list before.
    let absent: Set<PublicKey>
    let removals: RemovalCounter
    /// `nil` for no sweep.
    let sweep: SweepKind?

    enum SweepKind: Sendable { case dry, real }
}

/// Counts the peers that this process removes from one interface. A removal may end a list early that is being made.
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
    /// With the snapshot.
    let comparison: Comparison
    /// Who is missing in the list, if the list was interrupted.
    let absent: Set<PublicKey>
    var cost: Duration

    /// What is reported to front doors besides the number of routers.
    struct Standing: Sendable {
        var publicKey: PublicKey?
        var listenPort: UInt16?
        var connected = 0
    }
}

extension RefreshRequest {
    /// Reads the kernel and compares the table with it. It takes as long as WireGuard takes to answer.
    func run() -> Result<Refresh, DomainFailure> {
        let began = clock.now()
        do throws(DomainFailure) {
            var refresh = try find(since: began)
            refresh.cost = clock.now() - began
            return .success(refresh)
        } catch {
            return .failure(error)
        }
    }

    private func find(since began: MonotonicTime) throws(DomainFailure) -> Refresh {
        let kernel = access(settings.wireGuard, DatagramBuffer())
        let (wireGuardLink, vxlanLink) = try findLinks(kernel)
        let via = wireGuardLink.index
        let removed = removals.count
        let state = try kernel.state()
        var snapshot = DomainTable.Snapshot(ownKey: state.publicKey, peers: state.peers, hasEntries: false)
        if needsEntries || vxlan != vxlanLink.index || wireGuard != via {
            try listEntries(of: vxlanLink.index, via: via, into: &snapshot, kernel)
        }
        // WireGuard is read by name. A new interface would pass for the old one without peers, and all routers would be
        // forgotten.
        let again = try kernel.link(named: settings.wireGuard)
        guard again?.index == via else {
            throw DomainFailure("\(settings.wireGuard) is gone, or is being made again")
        }
        var comparison = comparison
        var absent: Set<PublicKey> = []
        if !state.isWhole {
            let isTrusted = removals.count == removed
            absent = comparison.complete(&snapshot, absentBefore: isTrusted ? self.absent : nil)
            if !isTrusted { absent = [] }
        }
        let now = clock.both
        let found = machine.identity(of: via)
        comparison.take(
            snapshot,
            begunAt: .nanoseconds(Int64(began.nanoseconds)),
            isNewDevice: found != identity || mustRestore,
            sinceStart: now.sinceStart
        )
        if let sweep { comparison.sweep(at: now, isDryRun: sweep == .dry) }
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
            comparison: comparison,
            absent: absent,
            cost: .zero
        )
    }

    private func connected(among peers: [Peer], at now: Moment) -> Int {
        // A handshake in the future was made before the clock went back, so the peer is there.
        peers.count { peer in
            peer.lastHandshake.map { now.seconds - $0 < DomainStatus.freshness.components.seconds } ?? false
        }
    }

    // MARK: - Parts

    private func findLinks(_ kernel: any DomainKernel) throws(DomainFailure) -> (wireGuard: Link, vxlan: Link) {
        let wireGuardLink = try link(
            settings.wireGuard,
            kernel,
            make: "ip link add \(settings.wireGuard) type wireguard"
        )
        let vxlanLink = try link(
            settings.vxlan,
            kernel,
            make: "ip link add \(settings.vxlan) type vxlan id ID dstport 8472 local ADDRESS dev \(settings.wireGuard) "
                + "maxaddress \(LearnedEntries.usualLimit(for: settings))"
        )
        guard vxlanLink.kind == "vxlan" else {
            throw DomainFailure("interface \(settings.vxlan) is not a VXLAN interface")
        }
        guard vxlanLink.underlying == wireGuardLink.index else {
            throw DomainFailure(
                "\(settings.vxlan) does not run over \(settings.wireGuard): make it with dev \(settings.wireGuard)"
            )
        }
        for link in [wireGuardLink, vxlanLink] where !link.isUp {
            let remedy = remedy(forDown: link, vxlan: vxlanLink)
            throw DomainFailure("\(link.name) is down; set it up with: \(remedy)")
        }
        try checkReadiness(wireGuardLink, vxlanLink, kernel)
        return (wireGuardLink, vxlanLink)
    }

    private func link(
        _ name: InterfaceName,
        _ kernel: any DomainKernel,
        make command: String
    ) throws(DomainFailure) -> Link {
        guard let found = try kernel.link(named: name) else {
            throw DomainFailure("there is no interface \(name); make it, for instance with: \(command)")
        }
        return found
    }

    /// Lists the fdb, unless too many learned entries make that take too long. Then the entries stay as they are known,
    /// or count as missing. The repairs add them, which does no harm to those that are there.
    private func listEntries(
        of device: InterfaceIndex,
        via: InterfaceIndex,
        into snapshot: inout DomainTable.Snapshot,
        _ kernel: any DomainKernel
    ) throws(DomainFailure) {
        var listed = snapshot
        listed.hasEntries = true
        let needsLearned = settings.addressProfiles.count > 1
        let isWhole = try kernel.list(device, atMost: LearnedEntries.listLimit) { record in
            let entry = record.entry
            guard entry.via == via else { return }
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

}
