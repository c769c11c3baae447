internal import GatewayEvents
internal import KexGateway
internal import Logging
internal import SystemCalls
internal import Systemd
internal import VXLANFdb
internal import WireGuardTypes

/// Routers go.
extension MeshDomain {
    /// Routers that go in one go; then the watchdog is fed.
    static let removedPerRound = 64

    /// Takes out the new routers that were not heard of in their time.
    func removeExpired() {
        for (key, addresses) in table.expired(at: context.clocks.sinceStart) {
            chores.depart(
                Chores.Departure(
                    key: key,
                    addresses: addresses,
                    isOwnWord: false,
                    hasSpoken: false,
                    isDue: { $0.table.isPending(key) },
                    isDone: { [weak self] isGone in
                        guard isGone else { return }
                        self?.noteStranger(.expired, .info, key, "removed \(key): not heard of since it registered")
                    }
                )
            )
        }
    }

    /// Takes out the routers whose keys the operator's lists do not allow any more.
    func removeBanned() {
        for (key, addresses) in table.takeBanned() {
            chores.depart(
                Chores.Departure(
                    key: key,
                    addresses: addresses,
                    isOwnWord: true,
                    hasSpoken: true,
                    isDue: { $0.table.addresses(of: key) != nil },
                    isDone: { [weak self] isGone in
                        guard isGone else { return }
                        self?.log(.removed, .info, key: key, "removed \(key): the operator's lists do not allow it")
                    }
                )
            )
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
    ///   - isOwnWord: whether it is reported to the other gateways.
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
            context.pulse.beat()
            let round = routers[start...].prefix(Self.removedPerRound)
            for ((key, addresses), failure) in zip(round, removeRound(round)) {
                if let failure {
                    failed.insert(key)
                    // Out of service: that is in the log.
                    if self.outage == nil {
                        self.log(.kept, .error, key: key, "could not remove \(key): \(failure)")
                        schedule.expires = MonotonicTime(nanoseconds: 0)
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
    ) -> [DomainFailure?] {
        let entries = routers.map { router in
            table.allAddresses(of: router.key, at: router.addresses).flatMap { self.entries([.mac, .flood], of: $0) }
        }
        var outcomes = delete(entries.flatMap(\.self))[...]
        var results = entries.map { own in
            defer { outcomes = outcomes.dropFirst(own.count) }
            return outcomes.prefix(own.count).compactMap(\.self).first
        }
        let good = zip(results.indices, routers).filter { results[$0.0] == nil }
        guard apply(good.map { .remove($0.1.key) }) != nil else { return results }
        // One of them was refused. Removing is safe to repeat, so one by one tells.
        for (index, router) in good { results[index] = apply([.remove(router.key)]) }
        return results
    }

    /// - Returns: for each entry `nil`, or why it may still be there.
    func delete(_ entries: [FdbEntry]) -> [DomainFailure?] {
        guard !entries.isEmpty, let interfaces else { return [] }
        do throws(DomainFailure) {
            return try interfaces.kernel.delete(entries, from: interfaces.vxlan)
        } catch {
            return entries.map { _ in error }
        }
    }
}
