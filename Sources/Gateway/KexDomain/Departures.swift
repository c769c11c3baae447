internal import KexConfiguration
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
    private static let removedPerRound = 64

    /// Takes out the routers that are still to leave, and reports what became of each.
    func leave(_ departures: [Departure]) {
        guard !departures.isEmpty else { return }
        let due = departures.filter(table.isDue)
        let left = Set(due.map(\.key)).subtracting(remove(due))
        for departure in departures { noteDone(departure, isGone: left.contains(departure.key)) }
    }

    /// A departure is over, one way or the other.
    func noteDone(_ departure: Departure, isGone: Bool) {
        let key = departure.key
        if isGone { report(departure) }
        sweeps.note(key, isGone ? .removed : table.isRegistering(key) ? .returned : .failed, in: settings.name)
    }

    private func report(_ departure: Departure) {
        let key = departure.key
        switch departure.cause {
        case .displaced:
            noteStranger(
                .removed,
                .info,
                key,
                "removed \(key): it was never heard of, and another router has its address"
            )
        case .crowdedOut:
            let reason = "the domain is full, and its network holds more routers than others"
            noteStranger(.removed, .info, key, "removed \(key): \(reason)")
        case .expired: noteStranger(.expired, .info, key, "removed \(key): not heard of since it registered")
        case .removedInFleet:
            let reason = "another gateway removed it, and it is silent here too"
            noteStranger(.removed, .info, key, "removed \(key): \(reason)")
        case .prohibited: log(.removed, .info, key: key, "removed \(key): the operator's lists do not allow it")
        case .silent: log(.removed, .info, key: key, "removed \(key): silent in two sweeps")
        case .unfinished: break
        }
    }

    /// Takes routers out, with everything that leads to them. Entries first, peers second, so that no frame is sent
    /// towards a peer that is gone. What was learned of them goes soon after.
    ///
    /// - Returns: the keys that are still there.
    private func remove(_ departures: [Departure]) -> Set<PublicKey> {
        var failed: Set<PublicKey> = []
        for start in stride(from: 0, to: departures.count, by: Self.removedPerRound) {
            context.pulse.beat()
            let round = departures[start...].prefix(Self.removedPerRound)
            for (departure, failure) in zip(round, removeRound(round)) {
                let key = departure.key
                guard let failure else {
                    if departure.hasSpoken {
                        forgetLearned(of: table.allAddresses(of: key, at: departure.addresses).map(\.linkLocal))
                    }
                    table.take(.left(departure))
                    learned.unfinished[key] = nil
                    continue
                }
                failed.insert(key)
                // Out of service: that is in the log.
                if isInService {
                    log(.kept, .error, key: key, "could not remove \(key): \(failure)")
                    invalidate(.table)
                }
            }
        }
        return failed
    }

    /// - Returns: for each router `nil`, or why it is still there.
    private func removeRound(_ departures: ArraySlice<Departure>) -> [DomainFailure?] {
        let entries = departures.map { departure in
            table.allAddresses(of: departure.key, at: departure.addresses)
                .flatMap { self.entries([.mac, .flood], of: $0) }
        }
        var outcomes = delete(entries.flatMap(\.self))[...]
        var results = entries.map { own in
            defer { outcomes = outcomes.dropFirst(own.count) }
            return outcomes.prefix(own.count).compactMap(\.self).first
        }
        let good = zip(results.indices, departures).filter { results[$0.0] == nil }
        guard apply(good.map { .remove($0.1.key) }) != nil else { return results }
        // One of them was refused. A removal can be repeated, so each is tried by itself.
        for (index, departure) in good { results[index] = apply([.remove(departure.key)]) }
        return results
    }

    /// - Returns: for each entry `nil`, or why it may still be there.
    func delete(_ entries: [FdbEntry]) -> [DomainFailure?] {
        guard !entries.isEmpty, let interfaces = state.interfaces else { return [] }
        do throws(DomainFailure) {
            return try interfaces.kernel.delete(entries, from: interfaces.vxlan)
        } catch {
            return entries.map { _ in error }
        }
    }
}
