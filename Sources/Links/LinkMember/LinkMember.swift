internal import Keys
internal import LinkFacts
internal import LinkMessages
internal import NetworkAddresses
internal import PathProbe
internal import SourceLimits
public import Time
internal import WireGuardTypes

/// One machine among those that share a hub. It does no I/O and knows no clock: it is told what happened and when, and
/// says what is to be done.
public struct LinkMember: Sendable {
    /// How often the interface is read while there is no pair to watch, and while there is one.
    static let idleInterval = Duration.seconds(5)
    static let watchInterval = Duration.seconds(1)
    /// Least time between readings for the sake of those who have just come.
    static let newcomerInterval = Duration.milliseconds(100)
    /// Between looks after the peers of machines of the field, if nothing of the device has changed.
    static let fieldInterval = Duration.seconds(1)
    /// After which a secret that has not come is asked for again.
    static let secretRetry = Duration.seconds(5)
    /// How long facts wait for changes of the device.
    static let changePatience = Duration.seconds(1)
    /// Between look-ups of one name, while the machine that has it is not there.
    static let lookupInterval = Duration.seconds(60)
    /// Least time until the next deadline.
    static let leastPause = Duration.milliseconds(1)
    /// Between looks after what is kept of those that are not there any more.
    static let sweepInterval = Duration.seconds(60)
    /// How long nobody may say that a machine is a member before its pair is taken away. Longer than it takes to notice
    /// that the only router, which would say so, is not there: 180 s of WireGuard.
    static let pairPatience = Duration.seconds(240)
    /// Members that have gone whose secret is kept, so that nothing they sent before is taken again.
    static let maximumDeparted = 512
    /// Datagrams that are read of one peer: 1,024 without a pause, and 256 a second; of a hub, which forwards for all,
    /// four times as many.
    static let arrivalLimit = TokenBucket.Size(burst: 1_024, interval: .microseconds(3_906.25))
    static let hubArrivalLimit = TokenBucket.Size(burst: 4_096, interval: .microseconds(976.5625))
    /// Least time between notices about refused bytes, so that nobody can fill the log.
    static let refusalInterval = Duration.seconds(60)

    let settings: LinkSettings
    /// Of links on demand; `nil`: all members have links.
    let idleTime: Duration?
    var random: RandomSource
    /// Of this start.
    let boot: UInt64
    /// `nil` before the first snapshot.
    var own: Own?
    var work: [LinkWork] = []

    /// All that depends on this machine's key.
    struct Own: Sendable {
        var snapshot: DeviceSnapshot
        var readAt: MonotonicTime
        var factsPort: UInt16
        var signer: GroupSigner
        var table: ProbeTable
        var exchange: FactExchange
        var pairs: [PublicKey: Pair] = [:]
        var sealers: [PublicKey: MessageSealer] = [:]
        /// Secrets that were asked for: those that came as well, and those that there are none of.
        var askedSecrets: Set<PublicKey> = []
        /// Those that have not come yet, and how long facts wait for them at most.
        var awaitedSecrets: Set<PublicKey> = []
        var awaitedUntil = MonotonicTime.start
        var switchboard = Switchboard()
        var turns = Turns()
        var fieldPeers = FieldPeers()
        /// When each pair is due, and those that something has happened to.
        var agenda = Agenda()
        var touched: Set<PublicKey> = []
        /// Pairs that have a session or are about to.
        var busy: Set<PublicKey> = []
        /// Members that are looked at again.
        var changed: Set<PublicKey> = []
        /// Whether somebody new is there to have a secret with.
        var hasNewcomers = true
        /// Those that a secret is kept of, and nothing else, since when.
        var departed: [PublicKey: MonotonicTime] = [:]
        /// Highest counter of a member that was forgotten.
        var lastCounter: UInt64 = 0
        /// When those that went are looked for.
        var sweepDue = MonotonicTime.start
        /// Datagrams of each peer.
        var arrivals: [PublicKey: TokenBucket] = [:]
        var site: Site
        var owners = AddressOwners()
        var idleTime: Duration?
        var log = NoticeLog()
        /// Peers whose link-local address may not be in the device yet, until then at most.
        var unready: Set<PublicKey> = []
        var unreadyUntil = MonotonicTime.start
        /// When the peers of machines of the field are looked after again.
        var fieldDue = MonotonicTime.start
        var mapping = MappingObservations()
        /// Probes to a port of the relay, which the hub answers: for which pair, by counter.
        var relayProbes: [UInt64: RelayProbe] = [:]
        /// Why packets were not held when that was tried last.
        var noHold: String?
        /// Where members are when they send to the relay.
        var relayEnds = RelayEnds()
        /// When a name was looked up last.
        var lookups: [HostPort: MonotonicTime] = [:]
        var readEvery = Duration.zero
        var lastReadNow: MonotonicTime?
        var lastRefusal: MonotonicTime?
        /// Members by their link-local address.
        var addresses: [IPv6Address: PublicKey] = [:]
        /// Peers of the device by their keys.
        var peers: [PublicKey: Peer]
        var nextDeadline = MonotonicTime.start
    }

    /// - Parameters:
    ///   - seesTraffic: whether it will be told of traffic by ``LinkEvent/traffic(_:)``. If not, there are no links on
    ///     demand, whatever the settings say.
    ///   - random: outside of tests one that nobody can predict.
    public init(
        settings: LinkSettings,
        seesTraffic: Bool = false,
        random: any RandomNumberGenerator & Sendable = SystemRandomNumberGenerator()
    ) {
        self.settings = settings
        idleTime = settings.linksOnDemand && seesTraffic ? settings.idleTime : nil
        self.random = RandomSource(random)
        boot = self.random.next()
    }

    /// Takes what happened at `now`, which never goes back.
    public mutating func take(_ event: LinkEvent, at now: MonotonicTime) {
        if case .device(let snapshot) = event { note(snapshot, at: now) }
        guard var own else { return }
        self.own = nil
        switch event {
        case .device: break
        case .secret(let member, let secret): own.note(secret, of: member, boot: boot)
        case .datagram(let bytes, let source, _): receive(bytes, from: source, &own, at: now)
        case .probe(let bytes, let source, let port): receiveProbe(bytes, from: source, at: port, &own, at: now)
        case .changed(let members):
            for member in members {
                own.pairs[member]?.noteChanged()
                own.touched.insert(member)
            }
            own.unready.subtract(members)
        case .refused(let member, let reason):
            own.unready.remove(member)
            var outbox = Pair.Outbox()
            own.pairs[member]?.noteRefused(&outbox, at: now)
            carryOut(outbox, of: member, own.hub(for: member), &own, at: now)
            own.touched.insert(member)
            own.log.add(LinkNotice(.refused, .warning, member, "change of the peer refused: \(reason)"), at: now)
        case .held(let member):
            own.noHold = nil
            own.pairs[member]?.move.noteHold(true, at: now)
            own.touched.insert(member)
        case .notHeld(let member, let reason):
            own.noHold = reason
            own.pairs[member]?.move.noteHold(false, at: now)
            own.touched.insert(member)
        case .relayPort(let member, let port): grant(port, of: member, &own, at: now)
        case .resumed: resume(&own, at: now)
        case .traffic(let addresses): noteTraffic(addresses, &own, at: now)
        case .found(let endpoints, let name):
            // A resolver that does not answer has not said that the address is wrong.
            if !endpoints.isEmpty { own.exchange.take(endpoints, of: name, at: now) }
        }
        self.own = own
    }

    /// What is to be done now. Call it after events, and at ``nextDeadline``.
    public mutating func work(at now: MonotonicTime) -> [LinkWork] {
        if var own {
            self.own = nil
            advance(&own, at: now)
            self.own = own
        }
        defer { work = [] }
        return work
    }

    /// When there is something to do without an event; `nil` before the first snapshot.
    public var nextDeadline: MonotonicTime? {
        own?.nextDeadline
    }

    /// Leaves the mesh: what is to be done before the program ends.
    public mutating func leave(at now: MonotonicTime) -> [LinkWork] {
        guard var own else { return [] }
        self.own = nil
        for key in own.pairs.keys.sorted() {
            var outbox = Pair.Outbox()
            own.pairs[key]?.reset(&outbox, isTold: true, at: now)
            carryOut(outbox, of: key, own.hub(for: key), &own, at: now)
        }
        defer { work = [] }
        return work
    }
}

/// A source of random numbers of whatever kind.
struct RandomSource: RandomNumberGenerator, Sendable {
    private var source: any RandomNumberGenerator & Sendable

    init(_ source: any RandomNumberGenerator & Sendable) { self.source = source }

    mutating func next() -> UInt64 { source.next() }
}

extension LinkMember {
    public func status(at now: MonotonicTime) -> LinkStatus {
        guard let own else { return LinkStatus(members: []) }
        let members = own.exchange.members.map { view in
            let surroundings = own.surroundings(for: view.key, at: now)
            let pair = own.pairs[view.key]
            return MemberStatus(
                key: view.key,
                name: view.name,
                isOurs: view.ours != nil || pair?.kind == .ours,
                isAlive: view.isAlive || view.isCurrent,
                way: own.way(to: view),
                since: pair.map { now - $0.wayedSince } ?? .zero,
                roundTrip: pair?.measuredRoundTrip,
                attempts: pair?.attempts(surroundings, at: now) ?? [],
                allowedIPs: view.allowedIPs
            )
        }
        let relay = RelayStatus(ports: settings.relayPorts, used: own.switchboard.openPorts)
        return LinkStatus(
            members: members,
            noHold: own.noHold,
            relay: relay.ports != nil || relay.used > 0 ? relay : nil
        )
    }
}
