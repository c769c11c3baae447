internal import HandlerChannel
internal import KexConfiguration
internal import KexGateway
internal import Logging
internal import Netlink
internal import SystemCalls
internal import Systemd
internal import VXLANFdb
internal import WireGuardControl
internal import WireGuardTypes

/// Routers go.
extension MeshDomain {
    /// Marks stale routers, and takes out those that stayed stale.
    ///
    /// - Returns: an event for each router that the operator should hear of, and the number of routers looked at.
    func sweep(isDryRun: Bool) throws(Trouble) -> (events: [SweepEvent], peers: Int) {
        // A domain that rests is left to rest.
        try refresh(evenIfFresh: trouble == nil)
        let peers = table.routerCount
        let now = host.clocks
        if let step = table.clockStep(until: now), !isDryRun {
            log(.clockStepped, .warning, "the clock was stepped by \(step) s: this sweep removes nobody")
        }
        let verdicts = table.sweep(now, isDryRun: isDryRun)
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
            host.pulse.beat()
            let entries = fdbEntries[verdict.addresses.linkLocal] ?? []
            // Out of service since one of the removals before, which is in the log: the rest would fail as well.
            if trouble != nil {
                failed.insert(verdict.key)
            } else if let trouble = delete(entries) ?? apply([.remove(verdict.key)]) {
                failed.insert(verdict.key)
                log(.kept, .error, key: verdict.key, "could not remove \(verdict.key): \(trouble)")
                if self.trouble == nil { pictureExpires = MonotonicTime(nanoseconds: 0) }
            } else {
                table.remove(verdict.key)
                log(.removed, .info, key: verdict.key, "removed \(verdict.key): silent in two sweeps")
            }
        }
        return failed
    }

    func delete(_ entries: [FdbEntry]) -> Trouble? {
        guard !entries.isEmpty else { return nil }
        do throws(NetlinkError) {
            for case .failed(let error) in try devices?.fdb.delete(entries) ?? [] { return Trouble("\(error)") }
            return nil
        } catch {
            return Trouble("\(error)")
        }
    }
}
