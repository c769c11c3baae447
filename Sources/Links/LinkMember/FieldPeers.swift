internal import LinkFacts
internal import NetworkAddresses
public import Time
public import WireGuardTypes

/// The peers for machines of the field, which know nothing of pairs: a peer for each member, with one endpoint after
/// the other until there is a session, and its allowed IPs as long as it is there. In between traffic goes through the
/// hub, whose networks are wider.
///
/// A peer of the operator gets its link-local address, and other endpoints while it has no session. Nothing else of it
/// changes. Source: wirelink's behaviour, measured.
public struct FieldPeers: Sendable {
    /// A machine stays alive for at least so long before it gets its allowed IPs.
    private static let readiness = Duration.milliseconds(2_500)
    /// From one endpoint to the next: the time that WireGuard takes for two attempts.
    static let endpointPause = Duration.seconds(5 + 10)
    /// Changes that were not seen in the device are asked for again after so long.
    private static let patience = FactTimes.round

    /// What was tried of a peer.
    private struct Attempts {
        var triedAt: [Endpoint: MonotonicTime] = [:]
        var changedAt: MonotonicTime?
    }

    private var attempts: [PublicKey: Attempts] = [:]
    /// When something was asked for, until the device has it.
    private var asked: [PeerChange: MonotonicTime] = [:]

    public init() {}

    /// What is to be changed now. Call it after each snapshot, and whenever facts have changed.
    ///
    /// - Parameters:
    ///   - pairs: machines that are none of the field's, or may turn out not to be. Peers of them that this program made
    ///     are left alone.
    /// - Returns: the changes, and the peers that have a new endpoint: see ``FactExchange/ping(_:at:)``.
    public mutating func changes(
        _ exchange: FactExchange,
        leaving pairs: Set<PublicKey>,
        at now: MonotonicTime
    ) -> (changes: [PeerChange], pings: [PublicKey]) {
        var changes: [PeerChange] = []
        var pings: [PublicKey] = []
        asked = asked.filter { now - $0.value < Self.patience }
        attempts = attempts.filter { exchange.member($0.key) != nil }
        func ask(_ change: PeerChange) {
            guard asked[change] == nil else { return }
            asked[change] = now
            changes.append(change)
        }
        func tryEndpoint(_ view: MemberView, _ peer: PeerState) {
            // What the operator gave comes first.
            let given = peer.isMade ? nil : peer.givenEndpoint
            guard let endpoint = next(for: view, before: given, at: now) else { return }
            // The same one again is a new attempt, too: WireGuard has given up the last one.
            if endpoint != peer.peer.endpoint { changes.append(.update(settings(view, [], endpoint: endpoint))) }
            pings.append(view.key)
        }
        for key in exchange.book.keys {
            // Most of a large mesh are ours: their views are not even looked at.
            if pairs.contains(key), exchange.peers[key]?.isMade ?? true { continue }
            guard let view = exchange.member(key) else { continue }
            guard let peer = exchange.peers[view.key], peer.goneAt == nil else {
                guard view.isMember, view.isCurrent, view.ours == nil, !pairs.contains(key) else { continue }
                ask(.add(settings(view, [view.key.memberAllowedIP], endpoint: first(of: view, at: now))))
                continue
            }
            let own = IPPrefix(host: view.address)
            if !peer.isMade {
                if !peer.peer.allowedIPs.contains(own), !exchange.book.displaced.contains(view.key) {
                    ask(.update(settings(view, [own])))
                }
                tryEndpoint(view, peer)
                continue
            }
            guard !pairs.contains(key) else { continue }
            if !view.isMember, exchange.mayRemovePeers(at: now) {
                ask(.remove(view.key))
                continue
            }
            let wanted = allowedIPs(of: view, peer, exchange, at: now)
            if let wanted, Set(wanted) != Set(peer.peer.allowedIPs) {
                let missing = wanted.filter { !peer.peer.allowedIPs.contains($0) }
                let isMore = Set(peer.peer.allowedIPs).isSubset(of: wanted)
                ask(.update(settings(view, isMore ? missing : wanted, replaces: !isMore)))
            }
            if view.ours == nil { tryEndpoint(view, peer) }
        }
        return (changes, pings)
    }

    private func settings(
        _ view: MemberView,
        _ allowedIPs: [IPPrefix],
        replaces: Bool = false,
        endpoint: Endpoint? = nil
    ) -> PeerSettings {
        PeerSettings(
            publicKey: view.key,
            allowedIPs: allowedIPs,
            replacesAllowedIPs: replaces,
            endpoint: endpoint
        )
    }

    /// What a peer of this program is to have; `nil` leaves it as it is.
    private func allowedIPs(
        of view: MemberView,
        _ peer: PeerState,
        _ exchange: FactExchange,
        at now: MonotonicTime
    ) -> [IPPrefix]? {
        let own = IPPrefix(host: view.address)
        let present = peer.peer.allowedIPs
        let mayTake = exchange.mayTakeAllowedIPs(at: now)
        guard view.isHealthy else {
            // The longest prefix counts: without the peer's, traffic goes to the hub.
            return mayTake || !present.contains(own) ? [own] + (mayTake ? [] : present.filter { $0 != own }) : nil
        }
        guard view.isBasic || peer.isAlive(for: Self.readiness, at: now), view.ours == nil else {
            return present.contains(own) ? nil : [own] + present
        }
        let granted = [own] + view.allowedIPs
        return mayTake ? granted : granted + present.filter { !granted.contains($0) }
    }

    // MARK: - Endpoints

    /// The endpoint that a new peer gets.
    private mutating func first(of view: MemberView, at now: MonotonicTime) -> Endpoint? {
        let choice = choose(view, view.candidates.map(\.endpoint))
        if let choice { note(choice, view.key, at: now) }
        return choice
    }

    /// The endpoint that is tried next, if it is time.
    private mutating func next(
        for view: MemberView,
        before given: Endpoint?,
        at now: MonotonicTime
    ) -> Endpoint? {
        guard !view.isHealthy else { return nil }
        let known = attempts[view.key] ?? Attempts()
        if let changedAt = known.changedAt, now - changedAt < Self.endpointPause { return nil }
        let candidates = view.candidates.map(\.endpoint)
        let endpoints = given.map { given in [given] + candidates.filter { $0 != given } } ?? candidates
        guard let choice = choose(view, endpoints) else { return nil }
        note(choice, view.key, at: now)
        return choice
    }

    private mutating func note(_ endpoint: Endpoint, _ key: PublicKey, at now: MonotonicTime) {
        attempts[key, default: Attempts()].triedAt[endpoint] = now
        attempts[key]?.changedAt = now
    }

    /// Of the candidates that were not tried the best one, and then the one that was tried least recently.
    private mutating func choose(_ view: MemberView, _ endpoints: [Endpoint]) -> Endpoint? {
        guard var known = attempts[view.key] else { return endpoints.first }
        known.triedAt = known.triedAt.filter { endpoints.contains($0.key) }
        attempts[view.key] = known
        if let untried = endpoints.first(where: { known.triedAt[$0] == nil }) { return untried }
        return endpoints.indices.min { left, right in
            (known.triedAt[endpoints[left]] ?? .start, left) < (known.triedAt[endpoints[right]] ?? .start, right)
        }.map { endpoints[$0] }
    }
}

extension FactExchange {
    /// Whether this machine takes its peers' word for what they may not send from: it is none of those that say so.
    func mayTakeAllowedIPs(at now: MonotonicTime) -> Bool {
        now - startedAt > FactTimes.settling && !isRouter && ownTrust < .allowedIPs
    }

    /// Whether a peer that nobody calls a member is removed. Somebody who would call it one must be there, and have been
    /// there for longer than what it says holds.
    func mayRemovePeers(at now: MonotonicTime) -> Bool {
        guard !isRouter, ownTrust < .membership else { return false }
        return peers.values.contains { peer in
            peer.goneAt == nil && peer.trust >= .membership
                && peer.isSteady(for: FactTimes.steadiness, andFor: FactTimes.persistence, at: now)
        }
    }
}
