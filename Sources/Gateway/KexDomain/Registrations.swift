internal import GatewayEvents
internal import HandlerChannel
internal import KexConfiguration
public import KexGateway
public import KexProtocol
internal import Logging
internal import Netlink
internal import NetworkAddresses
internal import SystemCalls
internal import Systemd
internal import Time
internal import VXLANFdb
internal import WireGuardControl
public import WireGuardTypes

/// Routers come in.
extension MeshDomain {
    /// The answer to a registration.
    public enum RegistrationAnswer {
        /// `nil` for success, or why not.
        case said(Refusal?)
        /// Ask again in a moment, when ``MeshDomain/isWaiting`` ends.
        case later
    }

    /// Registers routers. Success is answered only after the kernel has acknowledged everything.
    ///
    /// - Parameters:
    ///   - keys: each once.
    ///   - mayWait: whether ``RegistrationAnswer/later`` is an answer.
    public func register(_ keys: [(key: PublicKey, origin: Origin)], mayWait: Bool = true) -> [RegistrationAnswer] {
        guard isInService, !schedule.isOutdated else {
            return keys.map { _ in mayWait && schedule.isOutdated ? .later : .said(.unavailable) }
        }
        if !noteDemand(), mayWait {
            schedule.isAwaited = true
            return keys.map { _ in .later }
        }
        guard restoreNow(keys.lazy.map(\.key)) == nil else { return keys.map { _ in .said(.unavailable) } }
        let now = context.clocks
        var answers = [RegistrationAnswer](repeating: .said(nil), count: keys.count)
        var admissions: [(index: Int, admission: DomainTable.Admission)] = []
        for (index, (key, origin)) in keys.enumerated() {
            if backlog.halfDone.contains(key) {
                answers[index] = mayWait ? .later : .said(.unavailable)
                continue
            }
            switch table.decide(key, from: origin, at: now, limits: &context.newKeys) {
            case .present:
                // If the session seems to be dead, it is reset before the router is answered and begins the next one.
                if mayWait, table.isToBeChecked(key, at: now.sinceStart) {
                    answers[index] = .later
                    schedule.isAwaited = true
                    scheduleRefresh(at: context.now)
                    continue
                }
                guard let addresses = learned.unfinished.removeValue(forKey: key) else { continue }
                noteRegistered(key, addresses, from: origin, isNew: true)
            case .admit(let admission): admissions.append((index, admission))
            case .refuse(let refusal, let reason):
                answers[index] = .said(refusal)
                guard context.refusalNotices.permits(refusal, key, settings.name) else { continue }
                noteStranger(.refused, .info, key, "refused \(key) from \(origin): \(reason)")
            }
        }
        guard !admissions.isEmpty else { return answers }
        // Expired routers leave, because their places are needed.
        backlog.add(table.expired(at: context.clocks.sinceStart))
        let mayWait = mayWait && learned.hopelessUntil <= context.now
        let outcomes = admit(admissions.map(\.admission), mayWait: mayWait)
        if outcomes.contains(nil) { schedulePolling(isNews: true) }
        for ((index, admission), failure) in zip(admissions, outcomes) {
            let (key, origin) = keys[index]
            if let failure, failure.isTableFull, mayWait {
                answers[index] = .later
                if admission.isNewPeer { learned.unfinished[key] = admission.addresses }
                continue
            }
            let isUnfinished = learned.unfinished.removeValue(forKey: key) != nil
            if let failure {
                if isUnfinished {
                    leave([Departure(key: key, addresses: admission.addresses, cause: .unfinished)])
                }
                answers[index] = .said(.unavailable)
                let line = "could not register \(key) from \(origin): \(failure)"
                noteStranger(.failed, .error, key, line)
            } else {
                noteRegistered(key, admission.addresses, from: origin, isNew: admission.isNewPeer || isUnfinished)
            }
        }
        return answers
    }

    private func noteRegistered(
        _ key: PublicKey,
        _ addresses: RouterAddresses,
        from origin: Origin,
        isNew: Bool
    ) {
        let what = isNew ? "registered" : "repaired the fdb entries of"
        let name = table.rules.allowedKeys?[key].map { $0.isEmpty ? "" : " (\($0))" } ?? ""
        let line = "\(what) \(key)\(name) from \(origin): \(addresses.linkLocal), \(addresses.mac)"
        noteStranger(isNew ? .registered : .repaired, .info, key, line)
    }

    /// Adds the peers first and the entries second, because an entry without a peer would send frames nowhere. If only
    /// the room for the entries is missing, and the registration may wait for it, the peer stays.
    ///
    /// - Returns: for each admission `nil`, or why it is not in the kernel.
    func admit(_ admissions: [DomainTable.Admission], mayWait: Bool) -> [DomainFailure?] {
        guard !admissions.isEmpty else { return [] }
        leave(table.takeDisplaced())
        var results = addPeers(of: admissions)
        let good = admissions.indices.filter { results[$0] == nil }
        let entries = good.map { missingEntries(of: admissions[$0]) }
        var outcomes = append(entries.flatMap(\.self))[...]
        for (index, own) in zip(good, entries) {
            let failures = outcomes.prefix(own.count).compactMap(\.self)
            outcomes = outcomes.dropFirst(own.count)
            guard let failure = failures.first else { continue }
            results[index] = failure
            if !failure.isTableFull || !mayWait { _ = delete(own) }
        }
        let failed = admissions.indices.filter { index in results[index].map { !$0.isTableFull || !mayWait } ?? false }
        if isInService, !failed.isEmpty { takeBackPeers(of: failed.map { admissions[$0] }) }
        for (admission, failure) in zip(admissions, results) {
            switch failure {
            case nil: table.take(.admitted(admission))
            case let failure? where failure.isTableFull && mayWait: break
            default: table.take(.abandoned(admission))
            }
        }
        return results
    }

    private func addPeers(of admissions: [DomainTable.Admission]) -> [DomainFailure?] {
        let new = admissions.indices.filter { admissions[$0].isNewPeer }
        var results = [DomainFailure?](repeating: nil, count: admissions.count)
        guard apply(new.map { admissions[$0].peerChange }) != nil else { return results }
        // One of them was refused, and the rest may or may not be in. An addition can be repeated, so each is tried by
        // itself.
        for index in new { results[index] = apply([admissions[index].peerChange]) }
        // Out of service nobody is in, not even a router whose peer was there before.
        if let failure = state.failure { return admissions.map { _ in failure } }
        return results
    }

    func missingEntries(of admission: DomainTable.Admission) -> [FdbEntry] {
        entries(admission.missingEntries, of: admission.addresses)
    }

    func entries(_ kinds: FdbEntries, of addresses: RouterAddresses) -> [FdbEntry] {
        guard let via = state.interfaces?.wireGuard else { return [] }
        var entries: [FdbEntry] = []
        if kinds.contains(.mac) {
            entries.append(FdbEntry(mac: addresses.mac, destination: addresses.linkLocal, via: via))
        }
        if kinds.contains(.flood) { entries.append(.flood(to: addresses.linkLocal, via: via)) }
        return entries
    }

    /// Removes the peers of failed admissions, beside the loop. WireGuard is read first: the operator may have made one
    /// of them a peer of his own meanwhile. The VXLAN interface is not touched, because it may be what is missing.
    private func takeBackPeers(of admissions: [DomainTable.Admission]) {
        invalidate(.table)
        let keys = Set(admissions.filter(\.isNewPeer).map(\.key))
        guard !keys.isEmpty else { return }
        backlog.halfDone.formUnion(keys)
        let (name, access, removals) = (settings.wireGuard, context.access, removals)
        let empty = DomainTable(rules: table.rules)
        context.run(of: self) {
            // If this fails, the next refresh finds the peer as a pending router, which expires.
            let kernel = access(name, DatagramBuffer())
            guard let peers = try? kernel.state().peers else { return }
            let routers = peers.filter { keys.contains($0.publicKey) && empty.isRouter($0) }
            removals.add(routers.count)
            try? kernel.apply(routers.map { .remove($0.publicKey) })
        } then: { domain, _ in
            domain.backlog.halfDone.subtract(keys)
        }
    }

    /// Changes peers. If WireGuard gives no answer at all, the domain leaves service, and every further change fails at
    /// once. Otherwise each would cost a time limit.
    func apply(_ changes: [PeerChange]) -> DomainFailure? {
        if let failure = state.failure { return failure }
        guard !changes.isEmpty, let kernel = state.interfaces?.kernel else { return nil }
        let start = context.now
        removals.add(changes.count { if case .remove = $0 { true } else { false } })
        do throws(DomainFailure) {
            try kernel.apply(changes)
            return nil
        } catch {
            if error.kind != .refused { leaveService(error, since: start) }
            return error
        }
    }

    func append(_ entries: [FdbEntry]) -> [DomainFailure?] {
        guard !entries.isEmpty, let interfaces = state.interfaces else { return [] }
        do throws(DomainFailure) {
            let outcomes = try interfaces.kernel.append(entries, to: interfaces.vxlan)
            if learned.limit != nil, outcomes.contains(where: { $0?.isTableFull ?? false }) { learned.isFull = true }
            return outcomes
        } catch {
            return entries.map { _ in error }
        }
    }
}

extension DomainTable.Admission {
    /// The peer of a router, as WireGuard gets it.
    var peerChange: PeerChange {
        let linkLocals = [addresses.linkLocal] + furtherLinkLocals
        return .add(PeerSettings(publicKey: key, allowedIPs: linkLocals.map(IPPrefix.init(host:))))
    }
}
