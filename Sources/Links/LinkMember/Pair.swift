internal import LinkFacts
internal import LinkMessages
internal import NetworkAddresses
internal import PathProbe
internal import SourceLimits
internal import Time
internal import WireGuardTypes

/// This machine and one other: their paths, their session, and what travels over it.
///
/// It is told what happened, and says in an ``Outbox`` what is to be done. Its parts have each their file: calls,
/// the session, and where the session leads.
struct Pair: Sendable {
    /// What the pair sees of this machine.
    struct Surroundings {
        /// The hub of ours that forwards for this pair.
        var hub: Hub?
        /// Of this machine, which others may try.
        var candidates: [Call.Candidate] = []
        /// Networks that this machine has an address in, outside of the tunnel.
        var networks: [IPPrefix] = []
        var tunnel = TunnelNetworks()
        var factsPort: UInt16 = 0
        var mapping = Mapping.unknown
        /// After which a pair without traffic has no link; `nil`: never.
        var idleTime: Duration?
        /// Whether the hub forwards another call.
        var mayCall = true
        /// By both clocks.
        var moment: Moment
    }

    struct Hub: Hashable {
        var key: PublicKey
        var endpoint: Endpoint
    }

    /// What is to be done for the pair.
    struct Outbox {
        var changes: [PeerChange] = []
        /// Sealed for the other member, and sent through the hub.
        var forwarded: [LinkMessage] = []
        /// Through the pair's own tunnel.
        var direct: [LinkMessage] = []
        /// To the hub itself.
        var toHub: [LinkMessage] = []
        var probes: [PathProber.Outgoing] = []
        /// A probe for the hub itself, at this port of its relay.
        var relayProbe: Endpoint?
        var notices: [LinkNotice] = []
        /// What this machine sends there is to be held; `nil`: nothing new is.
        var held: [IPPrefix]?
        /// What is held is to leave, after the changes.
        var isReleased = false
    }

    /// Whether the other one understands this.
    enum Kind: Hashable {
        case unknown
        case ours
        /// A wirelink machine, as its hub says.
        case plain(since: MonotonicTime)
    }

    /// How long a hub that does not forward leaves it open whether the other one is ours: the burst of probes, twice.
    static let doubt = Duration.seconds(6)
    /// Longest time until it is looked at again, while a session is being made, and else.
    static let tick = Duration.seconds(1)
    static let idleTick = Duration.seconds(5)
    /// Lines for the log about one pair: 8 without a pause, and one a minute in the long run.
    static let notices = TokenBucket.Size(burst: 8, interval: .seconds(60))
    /// A machine that was none of ours may have become one.
    static let plainLifetime = Duration.seconds(600)

    let other: PublicKey
    let address: IPv6Address
    var kind = Kind.unknown
    var prober: PathProber
    var relay = RelayPath()
    /// The hub that both use, while it is there.
    var hub: PublicKey?
    /// Since when something was said through it, and nothing has come; `nil` if that is not so.
    var unheardSince: MonotonicTime?
    /// Hubs that did not reach the other member.
    var deadHubs: Set<PublicKey> = []
    /// Since when it is known.
    let since: MonotonicTime
    var view: MemberView?
    /// Since when a router is there and nobody says that it is a member.
    var goneSince: MonotonicTime?
    /// Its facts port, if it has said so.
    var port: UInt16?
    /// What the other member may send from, without its link-local address.
    var allowedIPs: [IPPrefix] = []

    // Calls
    var called: [Endpoint] = []
    var told: [Endpoint] = []
    var callCount = 0
    var lastCall: MonotonicTime?
    var lastAnswer: MonotonicTime?
    var sentCandidates: [Call.Candidate] = []
    var renewals = TokenBucket()
    var hasChangingPort = false
    /// Whether a call of the other member is to be answered.
    var owesAnswer = false
    /// Whether a call or an answer waits until the hub forwards another one.
    var waitsForTurn = false
    /// When it was woken by traffic last.
    var lastDemand: MonotonicTime?

    // The session
    var initiation: Initiation
    var peer: Peer?
    /// Changes that the device has not answered.
    var pendingChanges = 0
    var isOtherReady = false
    var lastReady: MonotonicTime?
    var readyCount = 0
    var complaints = 0
    var lastGreeting: MonotonicTime?
    var firstProof: MonotonicTime?
    /// Whether something has come through the pair's own tunnel since the peer was made.
    var hasSession = false
    /// Sessions that were lost, one soon after the other.
    var resets = 0
    var lastReset: MonotonicTime?
    /// How often the other member is still told that the pair is over, unless it says something.
    var farewells = 0
    var lastFarewell: MonotonicTime?
    /// Since when there is a session.
    var sessionSince: MonotonicTime?
    var notBefore = MonotonicTime.start

    // Where the session leads
    /// Where the peer's endpoint was put last, or has roamed to.
    var endpoint: Endpoint?
    /// Where it was led last, from which WireGuard may have roamed since.
    var aim: Endpoint?
    var settling: Settling?
    /// Whether it was led elsewhere, and nothing was sent there since.
    var isLed = false
    var failure: FailureWatch?
    var move: AllowedIPsMove
    /// What the peer was given beside its link-local address.
    var movedIPs: [IPPrefix] = []
    var failed: FailedPath?
    var echoes: UInt64 = 0
    var lastEcho: MonotonicTime?
    var roundTrip: Duration?
    var way = MemberStatus.Way.throughHub(nil)
    var wayedSince: MonotonicTime
    /// With links on demand: until when there is a reason for one, beside the traffic of the session.
    var wantedUntil = MonotonicTime.start
    var meter: TrafficMeter?
    var lines = TokenBucket()

    init(own: PublicKey, other: PublicKey, at now: MonotonicTime) {
        self.other = other
        address = other.memberAddress
        prober = PathProber(other)
        initiation = Initiation(own: own, other: other, address: other.memberAllowedIP)
        move = AllowedIPsMove(isInitiator: own < other)
        since = now
        wayedSince = now
    }

    /// Whether the other member is to get what wirelink machines do with each other.
    func isLeftToField(hasHub: @autoclosure () -> Bool, at now: MonotonicTime) -> Bool {
        switch kind {
        case .plain: true
        case .ours: false
        case .unknown: since + Self.doubt <= now && !hasHub()
        }
    }

    /// Something authentic came from the other member that wirelink does not say.
    mutating func noteOurs() {
        if kind != .ours { kind = .ours }
    }

    /// What is due at `now`.
    mutating func advance(
        _ surroundings: Surroundings,
        using table: inout ProbeTable,
        at now: MonotonicTime
    ) -> Outbox {
        var outbox = Outbox()
        use(surroundings.hub?.key, &outbox, at: now)
        if case .plain(let time) = kind, time + Self.plainLifetime <= now {
            kind = .unknown
            callCount = 0
            lastCall = nil
        }
        guard !isAsleep(surroundings.idleTime, at: now) else {
            (owesAnswer, waitsForTurn) = (false, false)
            goBack(&outbox, at: now)
            sayFarewell(&outbox, at: now)
            noteWay(surroundings, &outbox, at: now)
            outbox.notices.removeAll { _ in !lines.take(Self.notices, at: now.sinceStart) }
            return outbox
        }
        call(surroundings, &outbox, at: now)
        openRelay(surroundings, &outbox, at: now)
        outbox.probes += prober.due(using: &table, isAsked: isAsked(at: now), at: now)
        sayFarewell(&outbox, at: now)
        makeSession(surroundings, &outbox, at: now)
        steer(surroundings, &outbox, at: now)
        noteWay(surroundings, &outbox, at: now)
        outbox.notices.removeAll { _ in !lines.take(Self.notices, at: now.sinceStart) }
        return outbox
    }

    /// Whether it matters if proven paths still work: while there is no session, and while there is traffic.
    func isAsked(at now: MonotonicTime) -> Bool {
        guard hasSession else { return kind == .ours }
        return failure?.hasTraffic(at: now) ?? false
    }

    /// Whether the way through the relay is to be open: not for a direct session without traffic.
    private func needsRelay(at now: MonotonicTime) -> Bool { !isDirect || (failure?.hasTraffic(at: now) ?? false) }

    private mutating func openRelay(_ surroundings: Surroundings, _ outbox: inout Outbox, at now: MonotonicTime) {
        guard kind == .ours, surroundings.hub != nil, needsRelay(at: now) else { return }
        switch relay.work(at: now) {
        case .ask: outbox.toHub.append(.relayWanted(other))
        case .probe(let endpoint): outbox.relayProbe = endpoint
        case nil: break
        }
    }

    /// When ``advance(_:using:at:)`` has something to do at the latest, if nothing else happens.
    func nextDeadline(hasHub: Bool, idleTime: Duration? = nil, at now: MonotonicTime) -> MonotonicTime {
        let wanted = wantedUntil(idleTime)
        if let wanted, wanted <= now { return now + (farewells > 0 ? Self.farewellInterval : Self.sleep) }
        let isUnderWay = initiation.state != .idle && !(hasSession && move.isMoved)
        var deadlines = [now + (isUnderWay ? Self.tick : Self.idleTick)]
        if let wanted { deadlines.append(wanted) }
        if !waitsForTurn, let next = nextCall(hasHub: hasHub, at: now) { deadlines.append(next) }
        if kind == .ours, hasHub, needsRelay(at: now), let next = relay.nextDeadline { deadlines.append(next) }
        if let next = prober.nextDeadline(isAsked: isAsked(at: now), at: now) { deadlines.append(next) }
        if !hasSession, let next = initiation.nextDeadline { deadlines.append(next) }
        if initiation.state == .idle, kind == .ours {
            let announced = (firstProof ?? now) + Self.unannouncedDelay
            deadlines += [notBefore, announced].filter { $0 > now }
        }
        if let failed, failed.until > now { deadlines.append(failed.until) }
        if farewells > 0, initiation.state == .idle, let lastFarewell {
            deadlines.append(lastFarewell + Self.farewellInterval)
        }
        if let time = failure?.lastSign, move.isMoved, time + FailureWatch.quiet > now {
            deadlines.append(time + FailureWatch.quiet)
        }
        if kind == .unknown, since + Self.doubt > now { deadlines.append(since + Self.doubt) }
        if let next = failure?.nextDeadline { deadlines.append(next) }
        if let next = nextComplaint { deadlines.append(next) }
        if let settling, pendingChanges == 0 { deadlines.append(settling.next) }
        if let next = move.nextDeadline, hasSession { deadlines.append(next) }
        if initiation.state != .idle, !hasSession {
            deadlines.append(
                initiation.isInitiator
                    ? (lastGreeting ?? now) + Self.greetingInterval : (lastReady ?? now) + interval(ofReady: readyCount)
            )
        }
        // What was due and is not done cannot be done now: something else must happen first.
        return deadlines.filter { $0 > now }.min() ?? now + .seconds(1)
    }
}
