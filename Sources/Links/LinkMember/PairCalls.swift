internal import LinkMessages
internal import NetworkAddresses
internal import PathProbe
internal import SourceLimits
internal import Time

// Calls: each member says where it may be, and both probe at the same time, so that each opens its NAT for the other.
extension Pair {
    /// Between calls, until a direct path is found; after the last one, the last again.
    static let callIntervals: [Duration] = [
        .seconds(1), .seconds(2), .seconds(4), .seconds(15), .seconds(60), .seconds(600),
    ]
    /// Calls because the own candidates changed: 4 at once, and one each 30 s.
    static let renewalLimit = TokenBucket.Size(burst: 4, interval: .seconds(30))
    /// Least time between answers to calls.
    static let answerInterval = Duration.milliseconds(500)

    /// What facts say about the other member.
    mutating func take(_ view: MemberView, _ surroundings: Surroundings, at now: MonotonicTime) {
        self.view = view
        allowedIPs = view.allowedIPs
        let endpoints = view.candidates.map(\.endpoint)
        guard endpoints != told else { return }
        told = endpoints
        offer(surroundings, at: now)
    }

    /// The addresses of this machine, or its routes, changed.
    mutating func restart(_ surroundings: Surroundings, at now: MonotonicTime) {
        callCount = 0
        lastCall = nil
        relay.renew()
        prober.restart(at: now)
        offer(surroundings, at: now)
    }

    mutating func take(_ call: Call, _ surroundings: Surroundings, at now: MonotonicTime) {
        noteWish(at: now)
        port = call.factsPort
        hasChangingPort = call.hasChangingPort
        called = call.candidates.map(\.endpoint)
        offer(surroundings, at: now)
        guard call.wantsAnswer, lastAnswer.map({ $0 + Self.answerInterval <= now }) ?? true else { return }
        lastAnswer = now
        owesAnswer = true
    }

    /// An authentic request of the other member came from there.
    mutating func heardProbe(from source: Endpoint, _ surroundings: Surroundings, at now: MonotonicTime) {
        noteOurs()
        // One that came through the tunnel shows no way outside of it.
        guard surroundings.tunnel.allows(source) else { return }
        // The other one does not look at paths of a session for the sake of a session.
        if !hasSession { noteWish(at: now) }
        prober.heard(from: PathCandidate(source, isNear: isNear(source, surroundings)), at: now)
    }

    /// The hub did not pass on what was for the other member.
    mutating func noteUndelivered(_ reason: LinkMessage.Undelivered, at now: MonotonicTime) {
        // One that has spoken is one of ours, whatever somebody says.
        if reason == .notOurs, kind == .unknown { kind = .plain(since: now) }
        // That call was none.
        if reason == .tooMany { callCount = max(callCount - 1, 0) }
    }

    /// The hub said where the other member is at its relay.
    ///
    /// - Parameter hub: where WireGuard reaches the hub.
    mutating func noteGrant(_ port: UInt16?, at hub: Endpoint?, now: MonotonicTime) {
        guard let port, let hub else { return relay.refuse(at: now) }
        switch hub {
        case .v4(let address, _): relay.grant(.v4(address, port: port))
        case .v6(let address, _, let scope): relay.grant(.v6(address, port: port, scope: scope))
        }
    }

    mutating func call(_ surroundings: Surroundings, _ outbox: inout Outbox, at now: MonotonicTime) {
        let candidates = surroundings.candidates
        // What others say of where they see this machine may change as often as they like.
        if candidates != sentCandidates, lastCall.map({ $0 + Self.answerInterval <= now }) ?? true,
            renewals.take(Self.renewalLimit, at: now.sinceStart)
        {
            callCount = 0
            lastCall = nil
        }
        let isDue = nextCall(hasHub: surroundings.hub != nil, at: now).map { $0 <= now } ?? false
        guard surroundings.hub != nil, isDue || owesAnswer else {
            (owesAnswer, waitsForTurn) = (false, false)
            return
        }
        waitsForTurn = !surroundings.mayCall
        guard !waitsForTurn else { return }
        // Who has just called has said where it is.
        outbox.forwarded.append(.call(ownCall(surroundings, wantsAnswer: isDue && !owesAnswer)))
        owesAnswer = false
        guard isDue else { return }
        lastCall = now
        callCount += 1
        sentCandidates = candidates
    }

    /// Whether packets wait for a better way than they have.
    func isUrgent(at now: MonotonicTime) -> Bool {
        failure?.hasTraffic(at: now) ?? false || lastDemand.map { $0 + FailureWatch.recent > now } ?? false
    }

    func nextCall(hasHub: Bool, at now: MonotonicTime) -> MonotonicTime? {
        guard hasHub else { return nil }
        if case .plain = kind { return nil }
        guard let lastCall else { return now }
        if hasSession, isDirect { return nil }
        return lastCall + Self.callIntervals[min(max(callCount, 1), Self.callIntervals.count) - 1]
    }

    private func ownCall(_ surroundings: Surroundings, wantsAnswer: Bool) -> Call {
        Call(
            wantsAnswer: wantsAnswer,
            hasChangingPort: surroundings.mapping == .forEachDestination,
            factsPort: surroundings.factsPort,
            candidates: surroundings.candidates
        )
    }

    private mutating func offer(_ surroundings: Surroundings, at now: MonotonicTime) {
        var seen: Set<Endpoint> = []
        // WireGuard has heard a relayed member at the hub, which is no direct path.
        let hub = surroundings.hub?.endpoint.source
        let all = (called + told).filter {
            surroundings.tunnel.allows($0) && $0.source != hub && seen.insert($0).inserted
        }
        let near = all.filter { isNear($0, surroundings) }
        let far = all.filter { !isNear($0, surroundings) }
        prober.offer(
            near.map { PathCandidate($0, isNear: true) } + far.map { PathCandidate($0, isNear: false) },
            at: now
        )
    }

    private func isNear(_ endpoint: Endpoint, _ surroundings: Surroundings) -> Bool {
        surroundings.networks.contains { $0.contains(endpoint.source) }
    }
}
