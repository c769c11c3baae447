internal import LinkFacts
internal import LinkMessages
internal import PathProbe
internal import Time
internal import WireGuardTypes

// What is kept of members, and goes with them.
extension LinkMember {
    /// Takes a pair away. Its member is none any more, or a peer of the operator.
    mutating func drop(_ key: PublicKey, _ own: inout Own, at now: MonotonicTime) {
        guard var pair = own.pairs.removeValue(forKey: key) else { return }
        let hub = own.hub(for: key)
        var outbox = Pair.Outbox()
        // What the operator made is the operator's.
        if !own.isOperators(key) { pair.reset(&outbox, isTold: true, at: now) }
        own.agenda.remove(key)
        own.busy.remove(key)
        own.owners.set([], of: key)
        carryOut(outbox, of: key, hub, &own, at: now)
    }

    /// A peer is not in the device any more.
    mutating func remove(_ key: PublicKey, _ own: inout Own) {
        own.arrivals[key] = nil
        // The exchange has its view no more, or another one, and the pair is looked at with it.
        own.changed.insert(key)
        unplug(key, &own)
    }

    /// A hub does nothing any more for a member.
    private mutating func unplug(_ key: PublicKey, _ own: inout Own) {
        let (hadPort, others) = own.switchboard.remove(key)
        own.relayEnds.remove(key)
        for other in others.sorted() { work.append(.forgetRelay(key, other)) }
        if hadPort { work.append(.closeRelayPort(key)) }
    }

    /// Forgets those that have gone.
    mutating func sweep(_ own: inout Own, at now: MonotonicTime) {
        guard own.sweepDue <= now else { return }
        own.sweepDue = now + Self.sweepInterval
        let away = own.switchboard.members.filter { !own.isConnected($0) }
        for key in own.switchboard.absent(of: away, at: now).sorted() { unplug(key, &own) }
        for (key, pair) in own.pairs {
            if own.exchange.member(key)?.isMember == true {
                own.pairs[key]?.goneSince = nil
            } else if let since = pair.goneSince, own.hasRouter {
                // As long as nobody is there who would know, it is left as it is.
                if since + Self.pairPatience <= now { drop(key, &own, at: now) }
            } else {
                own.pairs[key]?.goneSince = now
            }
        }
        for key in own.askedSecrets {
            let isThere = own.peers[key] != nil || own.pairs[key] != nil
            if isThere { own.departed[key] = nil } else if own.departed[key] == nil { own.departed[key] = now }
        }
        own.relayProbes = own.relayProbes.filter { own.pairs[$0.value.pair] != nil }
        let names = Set(own.exchange.lookups)
        own.lookups = own.lookups.filter { names.contains($0.key) }
        guard own.departed.count > Self.maximumDeparted else { return }
        let oldest = own.departed.sorted { ($0.value, $0.key) < ($1.value, $1.key) }.map(\.key)
        for key in oldest.prefix(own.departed.count - Self.maximumDeparted) { own.forget(key) }
    }
}

extension LinkMember.Own {
    /// Whether somebody is there who would know of each member whether it is one.
    var hasRouter: Bool {
        peers.keys.contains { isOperators($0) && (exchange.member($0).map { $0.isRouter && $0.isHealthy } ?? false) }
    }

    /// Forgets the secret of a member, and all that was made of it.
    mutating func forget(_ key: PublicKey) {
        departed[key] = nil
        askedSecrets.remove(key)
        awaitedSecrets.remove(key)
        signer.remove(key)
        table.remove(key)
        if addresses[key.memberAddress] == key { addresses[key.memberAddress] = nil }
        // A counter is used once, whatever becomes of the member.
        if let sealer = sealers.removeValue(forKey: key) { lastCounter = max(lastCounter, sealer.counter) }
    }
}
