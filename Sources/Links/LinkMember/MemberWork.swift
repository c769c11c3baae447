internal import Keys
internal import LinkFacts
internal import LinkMessages
internal import NetworkAddresses
internal import PathProbe
internal import Time
internal import WireGuardTypes

// What a member has to do.
extension LinkMember {
    mutating func advance(_ own: inout Own, at now: MonotonicTime) {
        matchPairs(&own, at: now)
        askSecrets(&own, at: now)
        lookAfterFieldPeers(&own, at: now)
        sweep(&own, at: now)
        // What is told somebody before his secret is known, or before the device has his address, would count as told,
        // and be lost.
        let hasSecrets = own.awaitedSecrets.isDisjoint(with: own.peers.keys) || own.awaitedUntil <= now
        if hasSecrets, own.unready.isEmpty || own.unreadyUntil <= now {
            for message in own.exchange.send(at: now, using: &random) { send(message, &own) }
            matchPairs(&own, at: now)
        }
        let due = own.touched.union(own.agenda.take(at: now)).union(own.turns.take(at: now))
        // Who has traffic is called first. In the order of the keys, so that the same events have the same work.
        let urgent = due.filter { own.pairs[$0]?.isUrgent(at: now) ?? false }
        for key in urgent.sorted() + due.subtracting(urgent).sorted() {
            guard var pair = own.pairs[key] else { continue }
            let surroundings = own.surroundings(for: key, at: now)
            own.pairs[key] = nil
            let outbox = pair.advance(surroundings, using: &own.table, at: now)
            own.agenda.set(key, at: pair.nextDeadline(hasHub: surroundings.hub != nil, idleTime: idleTime, at: now))
            if pair.initiation.state == .idle { own.busy.remove(key) } else { own.busy.insert(key) }
            own.pairs[key] = pair
            if pair.waitsForTurn { own.turns.wait(key, isUrgent: urgent.contains(key)) }
            carryOut(outbox, of: key, surroundings.hub, &own, at: now)
        }
        own.touched = []
        for notice in own.exchange.takeNotices() + own.log.take() { work.append(.log(notice)) }
        let interval = own.busy.isEmpty ? Self.idleInterval : Self.watchInterval
        if own.readEvery != interval {
            own.readEvery = interval
            work.append(.read(every: interval))
        }
        let turn = own.turns.nextDeadline(at: now)
        let deadlines = [own.agenda.next(), own.exchange.nextDeadline, own.fieldDue, own.sweepDue, turn]
        // Never at once: what could not be done now cannot be done now.
        own.nextDeadline = max(deadlines.compactMap(\.self).min() ?? now, now + Self.leastPause)
    }

    /// Has a pair for each member that is no peer of the operator.
    private mutating func matchPairs(_ own: inout Own, at now: MonotonicTime) {
        let changed = own.exchange.takeChanged().union(own.changed)
        own.changed = []
        for key in changed {
            let view = own.exchange.member(key)
            if own.isOperators(key) {
                // It may be the hub that others are reached by.
                own.touched.formUnion(own.pairs.keys)
                if own.pairs[key] != nil { drop(key, &own, at: now) }
                continue
            }
            guard let view, view.isMember else { continue }
            if own.pairs[key] == nil {
                own.pairs[key] = Pair(own: own.snapshot.publicKey, other: key, at: now)
                own.hasNewcomers = true
            }
            guard own.pairs[key]?.view != view else { continue }
            let surroundings = own.surroundings(for: key, at: now)
            own.pairs[key]?.take(view, surroundings, at: now)
            if idleTime != nil { own.owners.set(view.allowedIPs, of: key) }
            own.touched.insert(key)
        }
    }

    private mutating func lookAfterFieldPeers(_ own: inout Own, at now: MonotonicTime) {
        guard own.fieldDue <= now else { return }
        own.fieldDue = now + Self.fieldInterval
        lookUpNames(&own, at: now)
        // Once for all: with many members there are many pairs, and few hubs.
        let hubs = Set(own.peers.keys.filter { own.isUsableHub($0) })
        let ours = own.pairs.filter { key, pair in
            !pair.isLeftToField(hasHub: own.exchange.isBehind(hubs, key), at: now)
        }
        let (changes, pings) = own.fieldPeers.changes(own.exchange, leaving: Set(ours.keys), at: now)
        if !changes.isEmpty {
            let keys = Set(changes.map(\.publicKey))
            for key in keys { own.pairs[key]?.pendingChanges += 1 }
            own.unready.formUnion(keys)
            own.unreadyUntil = now + Self.changePatience
            work.append(.change(changes))
        }
        for key in pings { own.exchange.ping(key, at: now) }
    }

    /// Asks for what this machine has in common with those that it speaks to.
    private mutating func askSecrets(_ own: inout Own, at now: MonotonicTime) {
        // Those that have not come were perhaps too many at once.
        if !own.awaitedSecrets.isEmpty, own.awaitedUntil + Self.secretRetry <= now {
            own.askedSecrets.subtract(own.awaitedSecrets)
            own.awaitedSecrets = []
            own.hasNewcomers = true
        }
        guard own.hasNewcomers else { return }
        own.hasNewcomers = false
        for key in Array(own.peers.keys) + Array(own.pairs.keys) where own.sealers[key] == nil {
            guard own.askedSecrets.insert(key).inserted else { continue }
            own.awaitedSecrets.insert(key)
            own.awaitedUntil = now + Self.changePatience
            work.append(.secretWanted(key))
        }
    }

    private mutating func lookUpNames(_ own: inout Own, at now: MonotonicTime) {
        for name in own.exchange.lookups where own.lookups[name].map({ $0 + Self.lookupInterval <= now }) ?? true {
            own.lookups[name] = now
            work.append(.lookUp(name))
        }
    }

    private mutating func send(_ message: FactMessage, _ own: inout Own) {
        switch message {
        case .group(let facts, let member):
            guard let bytes = try? own.signer.datagram(of: facts, for: member, using: &random) else { return }
            own.pairs[member]?.failure?.noteFacts(bytes.count)
            work.append(.datagram(bytes, to: member.memberAddress, port: own.port(of: member)))
        case .delta(let delta, let member): sendFacts(.facts(delta), to: member, &own)
        case .received(let sequence, let member): sendFacts(.received(sequence), to: member, &own)
        }
    }

    /// Carries out what a pair wants. Changes come first: what is sent may need them.
    mutating func carryOut(
        _ outbox: Pair.Outbox,
        of key: PublicKey,
        _ hub: Pair.Hub?,
        _ own: inout Own,
        at now: MonotonicTime
    ) {
        if let prefixes = outbox.held { work.append(.hold(key, prefixes)) }
        if !outbox.changes.isEmpty {
            own.pairs[key]?.pendingChanges += 1
            work.append(.change(outbox.changes))
        }
        if outbox.isReleased { work.append(.release(key)) }
        for message in outbox.direct {
            send(message, to: key, &own)
        }
        if let hub {
            if !outbox.forwarded.isEmpty { own.pairs[key]?.noteForwarded(at: now) }
            own.turns.note(outbox.forwarded.count, at: now)
            for message in outbox.forwarded {
                guard let inner = own.sealers[key]?.seal(message, using: &random) else { continue }
                send(.forward(key, inner), to: hub.key, &own)
            }
            for message in outbox.toHub { send(message, to: hub.key, &own) }
            if let endpoint = outbox.relayProbe, let request = own.table.request(to: hub.key, at: nil, now: now) {
                // What was never answered is forgotten with the next ones.
                if own.relayProbes.count > 4 * ProbeTable.maximumPairs { own.relayProbes = [:] }
                own.relayProbes[request.counter] = Own.RelayProbe(hub: hub.key, pair: key, destination: endpoint)
                work.append(.probe(request.datagram, to: endpoint, from: .wireGuard))
            }
        }
        for probe in outbox.probes { work.append(.probe(probe.datagram, to: probe.destination, from: .wireGuard)) }
        for notice in outbox.notices { own.log.add(notice, at: now) }
    }

    private mutating func sendFacts(_ message: LinkMessage, to member: PublicKey, _ own: inout Own) {
        guard let bytes = own.sealers[member]?.seal(message, using: &random) else { return }
        own.pairs[member]?.failure?.noteFacts(bytes.count)
        work.append(.datagram(bytes, to: member.memberAddress, port: own.port(of: member)))
    }

    mutating func send(_ message: LinkMessage, to member: PublicKey, _ own: inout Own) {
        guard let bytes = own.sealers[member]?.seal(message, using: &random) else { return }
        work.append(.datagram(bytes, to: member.memberAddress, port: own.port(of: member)))
    }
}
