internal import LinkFacts
internal import LinkMessages
public import Time
public import WireGuardTypes

extension FactExchange {
    /// How much a peer is told.
    private enum Level {
        case nothing
        case pingOnly
        case all
    }

    /// Source: wirelink's choice, measured. In addition nobody is told facts who was never heard, for nobody listens.
    private func level(of key: PublicKey, _ peer: PeerState) -> Level {
        guard peer.goneAt == nil, peer.peer.endpoint != nil else { return .nothing }
        guard peer.boot != nil else { return .pingOnly }
        if configured[key].map({ $0.trust ?? .untrusted >= .allowedIPs || $0.isFactExchanger }) ?? false { return .all }
        if peer.isHub { return .all }
        // Ours are told what changes, and would be told everything anew after each pause.
        return (isRouter || settings.isChatty) && (peer.isHealthy || peer.ours != nil) ? .all : .pingOnly
    }

    // MARK: - Time

    /// Notices what time has changed, and follows up on everything that was noted.
    mutating func settle(at now: MonotonicTime, mustUpdate: Bool = false) {
        if mustUpdate || nextUpdate.map({ $0 <= now }) ?? false { updatePeers(at: now) }
        let expired = claims.expire(at: now)
        if !expired.isEmpty {
            stale.formUnion(expired.map(\.subject))
            allowedIPsAreStale = true
            askAgain(expired.map(\.claim), at: now)
        }
        let last = journal.last
        refresh(at: now)
        if journal.last != last { wake = now }
    }

    private mutating func updatePeers(at now: MonotonicTime) {
        nextUpdate = nil
        for key in Array(peers.keys) {
            guard var peer = peers[key] else { continue }
            if let goneAt = peer.goneAt, now - goneAt >= FactTimes.absence {
                peers[key] = nil
                let subjects = claims.forget(key)
                stale.formUnion(subjects)
                allowedIPsAreStale = allowedIPsAreStale || !subjects.isEmpty
                stale.insert(key)
                continue
            }
            let wasLive = peer.isLive
            let hasChanged = peer.update(at: now)
            if let change = peer.nextChange { nextUpdate = min(nextUpdate ?? change, change) }
            peers[key] = peer
            guard hasChanged else { continue }
            stale.insert(key)
            if peer.isLive != wasLive { noteReturn(of: key, at: now) }
        }
    }

    /// A source is there again, or is not there any more.
    mutating func noteReturn(of key: PublicKey, at now: MonotonicTime) {
        guard let peer = peers[key] else { return }
        if peer.isLive { wake = now }
        guard peer.trust >= .membership else { return }
        stale.formUnion(claims.subjects.filter { $0.value.contains { $0.source == key } }.keys)
    }

    /// A machine of the field may have let a member go, or the datagram was lost that said that it is still there. With a
    /// new identifier of this start it tells everything again.
    private mutating func askAgain(_ expired: [Claim], at now: MonotonicTime) {
        let matters = expired.contains { claim in
            guard peers[claim.source]?.ours == nil else { return false }
            switch claim.statement {
            case .allowedIP, .plainMember, .member: return true
            case .alive, .endpoint: return false
            }
        }
        guard matters, rotatedAt.map({ now - $0 >= FactTimes.bootPause }) ?? true else { return }
        rotatedAt = now
        plainRandom &+= 0x9e37_79b9_7f4a_7c15
        for (key, peer) in peers where peer.boot != nil && peer.ours == nil { peers[key]?.rounds.ping(at: now) }
        wake = now
    }

    // MARK: - Sending

    /// What is to be sent now. Call it after events, and at ``nextDeadline``.
    ///
    /// - Parameter random: for the numbers of deltas; one that others cannot predict.
    public mutating func send(at now: MonotonicTime, using random: inout some RandomNumberGenerator) -> [FactMessage] {
        settle(at: now)
        defer { answers = [] }
        guard let wake, wake <= now else { return answers }
        var messages = answers
        var next: MonotonicTime?
        let gathering = max(DeltaTimes.leastGathering, DeltaTimes.gathering * peers.count)
        for key in book.keys {
            guard var peer = peers[key], let alive = alive(for: peer) else { continue }
            let level = level(of: key, peer)
            guard level != .nothing else { continue }
            var due: MonotonicTime
            if peer.ours != nil, peer.isLive {
                let deltas = peer.deltas(
                    to: key,
                    isPingOnly: level == .pingOnly,
                    alive: alive,
                    gathering: gathering,
                    from: journal,
                    at: now,
                    using: &random
                )
                messages += deltas.map { .delta($0, to: key) }
                due = peer.stream?.nextDue(in: journal) ?? now + DeltaTimes.firstRetry
                if peer.wantsGreeting {
                    messages.append(.group(Self.group(of: alive), to: key))
                    peer.wantsGreeting = false
                }
            } else {
                if peer.rounds.nextRound <= now {
                    let groups = peer.rounds.send(
                        to: key,
                        alive: alive,
                        isPingOnly: level == .pingOnly || peer.ours != nil,
                        isHeard: peer.isAlive,
                        from: journal,
                        at: now
                    )
                    messages += groups.map { .group($0, to: key) }
                }
                due = peer.rounds.nextRound
            }
            due = max(due, now + .milliseconds(1))
            next = min(next ?? due, due)
            peers[key] = peer
        }
        self.wake = next
        return messages
    }

    private static func group(of fact: Fact) -> [UInt8] { FactGroups(CollectionOfOne(fact)).groups.first ?? [] }

    /// When there is something to do without an event; `nil` before the first snapshot.
    public var nextDeadline: MonotonicTime? {
        if !answers.isEmpty { return .start }
        return [wake, nextUpdate, claims.nextExpiry].compactMap(\.self).min()
    }
}

extension PeerState {
    /// The deltas for a machine of ours, of a new stream where one is needed.
    fileprivate mutating func deltas(
        to receiver: PublicKey,
        isPingOnly: Bool,
        alive: Fact,
        gathering: Duration,
        from journal: Journal,
        at now: MonotonicTime,
        using random: inout some RandomNumberGenerator
    ) -> [FactDelta] {
        if let stream, stream.isPingOnly != isPingOnly || stream.isBroken(in: journal) { self.stream = nil }
        if stream == nil {
            // Whoever begins anew all the time gets no more than one stream a second.
            guard streamBeganAt.map({ now - $0 >= DeltaTimes.firstRetry }) ?? true else { return [] }
            streamBeganAt = now
            stream = DeltaStream(
                sequence: UInt32(truncatingIfNeeded: random.next()),
                isPingOnly: isPingOnly,
                in: journal
            )
        }
        return stream?.send(
            to: receiver,
            heardAt: heardDatagramAt,
            alive: alive,
            gathering: gathering,
            from: journal,
            at: now
        ) ?? []
    }
}

extension FactExchange {
    // MARK: - Queries

    /// All that are members, and the other peers of the device, by their keys. Not this machine.
    public var members: [MemberView] { book.keys.compactMap { book[$0] } }

    /// One of ``members``.
    public func member(_ key: PublicKey) -> MemberView? { book[key] }

    /// Whether a machine is behind one of these hubs.
    func isBehind(_ hubs: Set<PublicKey>, _ key: PublicKey) -> Bool {
        book.views[key]?.hubs.contains(where: hubs.contains) ?? false
    }

    /// Those whose view is another since the last call, or that are not there any more.
    mutating func takeChanged() -> Set<PublicKey> {
        defer { book.changed = [] }
        return book.changed
    }

    /// Lines for the log, since the last call.
    public mutating func takeNotices() -> [LinkNotice] { log.take() }
}
