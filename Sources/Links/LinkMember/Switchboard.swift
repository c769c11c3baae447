internal import LinkMessages
internal import NetworkAddresses
internal import SourceLimits
internal import Time
internal import WireGuardTypes

/// What a hub does for its members: it passes on what they say to each other, sealed, and lends them ports of its relay.
struct Switchboard: Sendable {
    /// What is forwarded for one sender: 256 messages at once, so that a machine that comes can call all members of a
    /// large mesh, and 50 a second.
    static let forwardLimit = TokenBucket.Size(burst: 256, interval: .milliseconds(20))
    /// Most members with a port of the relay.
    static let maximumPorts = 1024
    /// Most members that one member may be relayed to.
    static let maximumRelayed = 1024

    enum Port: Hashable, Sendable {
        case opening
        case open(UInt16)
        case refused(at: MonotonicTime)
    }

    /// A member that is not connected for so long has its port no more.
    static let absence = Duration.seconds(600)
    /// After which a port that could not be opened is tried again.
    static let retry = Duration.seconds(60)

    private var forwards: [PublicKey: TokenBucket] = [:]
    private(set) var ports: [PublicKey: Port] = [:]
    /// Whom each member wants to reach.
    private var wanted: [PublicKey: Set<PublicKey>] = [:]
    /// Since when members are not connected.
    private var absentSince: [PublicKey: MonotonicTime] = [:]
    /// Grants that wait for a port: of the key, for these.
    private var waiting: [PublicKey: Set<PublicKey>] = [:]

    /// What came of a request.
    enum Outcome: Hashable, Sendable {
        case granted(UInt16)
        case refused
        /// The port is to be opened first.
        case opens
        case waits
    }

    /// Whether a message of this sender is forwarded, as far as its number goes.
    mutating func forwards(for sender: PublicKey, at now: MonotonicTime) -> Bool {
        forwards[sender, default: TokenBucket()].take(Self.forwardLimit, at: now.sinceStart)
    }

    /// A member wants to reach another through the relay. Both are connected members of ours.
    mutating func want(_ other: PublicKey, by member: PublicKey, at now: MonotonicTime) -> Outcome {
        guard wanted[member, default: []].count < Self.maximumRelayed || wanted[member]?.contains(other) == true else {
            return .refused
        }
        wanted[member, default: []].insert(other)
        switch ports[other] {
        case .open(let port): return .granted(port)
        case .opening:
            waiting[other, default: []].insert(member)
            return .waits
        case .refused(let time) where time + Self.retry > now: return .refused
        case .refused, nil:
            guard ports.count < Self.maximumPorts || ports[other] != nil else { return .refused }
            ports[other] = .opening
            waiting[other, default: []].insert(member)
            return .opens
        }
    }

    /// Whether a member has asked for the other one, so that its probes at that port count.
    func isRelayed(_ member: PublicKey, _ other: PublicKey) -> Bool { wanted[member]?.contains(other) ?? false }

    /// A port was opened, or could not be. Returns who waits for it.
    mutating func notePort(of member: PublicKey, _ port: UInt16?, at now: MonotonicTime) -> Set<PublicKey> {
        guard ports[member] == .opening else { return [] }
        ports[member] = port.map { .open($0) } ?? .refused(at: now)
        return waiting.removeValue(forKey: member) ?? []
    }

    /// A member has gone. Returns whether it had a port, and whom it wanted to reach.
    mutating func remove(_ member: PublicKey) -> (hadPort: Bool, wanted: Set<PublicKey>) {
        forwards[member] = nil
        absentSince[member] = nil
        let others = wanted.removeValue(forKey: member) ?? []
        for key in wanted.keys { wanted[key]?.remove(member) }
        waiting[member] = nil
        for key in waiting.keys { waiting[key]?.remove(member) }
        return (ports.removeValue(forKey: member) != nil, others)
    }

    /// Those that are not connected for ``absence``. Call it now and then, with those that are not connected now.
    mutating func absent(of away: Set<PublicKey>, at now: MonotonicTime) -> [PublicKey] {
        absentSince = absentSince.filter { away.contains($0.key) }
        for key in away where absentSince[key] == nil { absentSince[key] = now }
        return absentSince.filter { $0.value + Self.absence <= now }.map(\.key)
    }

    /// How many members have a port.
    var openPorts: Int { ports.values.count { if case .open = $0 { true } else { false } } }

    /// Those that something is kept for.
    var members: Set<PublicKey> { Set(forwards.keys).union(wanted.keys).union(ports.keys) }
}
