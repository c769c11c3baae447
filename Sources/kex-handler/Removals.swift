internal import HandlerChannel
internal import KexConfiguration
internal import KexGateway
internal import Logging
internal import Netlink
internal import NetworkAddresses
internal import SystemCalls
internal import SystemPackage
internal import Systemd
internal import VXLANFdb
internal import WireGuardControl
internal import WireGuardTypes

/// Routers go.
extension MeshDomain {
    /// Routers that go in one go; then the watchdog is fed.
    static let removedPerRound = 64
    /// After expired routers could not be removed.
    static let expiryPause = Duration.seconds(1)

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
        let wasSuspicious = table.isSilenceSuspicious
        let verdicts = table.sweep(now, isDryRun: isDryRun)
        if table.isSilenceSuspicious, !wasSuspicious, !isDryRun {
            let line = "more than half of the routers fell silent together: this sweep removes nobody"
            log(.massSilence, .warning, "\(line); a later one does, if they stay silent")
        }
        let gone = verdicts.filter { $0.action == .remove }.map { ($0.key, $0.addresses) }
        let failed =
            isDryRun
            ? []
            : remove(gone, isOwnWord: true) { key in
                log(.removed, .info, key: key, "removed \(key): silent in two sweeps")
            }
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

    /// Takes out the new routers that were not heard of in their time.
    func removeExpired() {
        let expired = table.expired(at: host.clocks.sinceStart)
        guard !expired.isEmpty else { return }
        // Nothing was learned of who was never heard of.
        let failed = remove(expired, isOwnWord: false, hasSpoken: false) { key in
            noteStranger(.expired, .info, key, "removed \(key): not heard of since it registered")
        }
        earliestExpiry = failed.isEmpty ? earliestExpiry : .now + Self.expiryPause
    }

    /// Takes out the routers whose keys the operator's lists do not allow any more.
    func removeBanned() {
        let banned = table.banned
        guard !banned.isEmpty else { return }
        remove(banned, isOwnWord: true) { key in
            log(.removed, .info, key: key, "removed \(key): the operator's lists do not allow it")
        }
    }

    /// Takes out the routers that gave their places to others.
    func removeDisplaced() {
        let displaced = table.takeDisplaced()
        guard !displaced.isEmpty else { return }
        let causes = Dictionary(displaced.map { ($0.key, $0.cause) }) { first, _ in first }
        remove(displaced.map { ($0.key, $0.addresses) }, isOwnWord: false) { key in
            let reason =
                causes[key] == .address
                ? "it was never heard of, and another router has its address"
                : "the domain is full, and more routers than others have come from its address"
            noteStranger(.removed, .info, key, "removed \(key): \(reason)")
        }
    }

    /// Takes routers out, with everything that leads to them. Entries first, peers second, so that no frame is sent towards a
    /// peer that is gone. What was learned of them goes soon after.
    ///
    /// - Parameters:
    ///   - isOwnWord: whether the other gateways are to be told.
    ///   - hasSpoken: whether anything can have been learned of them.
    ///   - log: called for each that is gone.
    /// - Returns: the keys that are still there.
    @discardableResult
    func remove(
        _ routers: [(key: PublicKey, addresses: RouterAddresses)],
        isOwnWord: Bool,
        hasSpoken: Bool = true,
        log: (PublicKey) -> Void
    ) -> Set<PublicKey> {
        var failed: Set<PublicKey> = []
        for start in stride(from: 0, to: routers.count, by: Self.removedPerRound) {
            host.pulse.beat()
            let round = routers[start...].prefix(Self.removedPerRound)
            for ((key, addresses), trouble) in zip(round, removeRound(round)) {
                if let trouble {
                    failed.insert(key)
                    // Out of service: that is in the log.
                    if self.trouble == nil {
                        self.log(.kept, .error, key: key, "could not remove \(key): \(trouble)")
                        pictureExpires = MonotonicTime(nanoseconds: 0)
                    }
                } else {
                    if hasSpoken {
                        forgetLearned(of: table.allAddresses(of: key, at: addresses).map(\.linkLocal))
                    }
                    if isOwnWord { table.noteRemoval(of: key) }
                    table.remove(key)
                    learned.unfinished[key] = nil
                    log(key)
                }
            }
        }
        return failed
    }

    /// - Returns: for each router `nil`, or why it is still there.
    private func removeRound(
        _ routers: ArraySlice<(key: PublicKey, addresses: RouterAddresses)>
    ) -> [Trouble?] {
        let entries = routers.map { router in
            table.allAddresses(of: router.key, at: router.addresses).flatMap { self.entries([.mac, .flood], of: $0) }
        }
        var outcomes = delete(entries.flatMap(\.self))[...]
        var troubles = entries.map { own in
            defer { outcomes = outcomes.dropFirst(own.count) }
            return outcomes.prefix(own.count).compactMap(\.self).first
        }
        let good = zip(troubles.indices, routers).filter { troubles[$0.0] == nil }
        guard apply(good.map { .remove($0.1.key) }) != nil else { return troubles }
        // One of them was refused. Removing is safe to repeat, so one by one tells.
        for (index, router) in good { troubles[index] = apply([.remove(router.key)]) }
        return troubles
    }

    /// - Returns: for each entry `nil`, or why it may still be there.
    func delete(_ entries: [FdbEntry]) -> [Trouble?] {
        guard !entries.isEmpty else { return [] }
        do throws(NetlinkError) {
            return try devices?.fdb.delete(entries).map(Trouble.init(of:)) ?? []
        } catch {
            return entries.map { _ in Trouble("\(error)") }
        }
    }
}

extension MeshDomain.Trouble {
    /// `nil` unless the kernel refused the entry.
    init?(of outcome: FdbOutcome) {
        guard case .failed(let error) = outcome else { return nil }
        self.init("\(error)", isTableFull: error.refusal == .noSpace)
    }
}
