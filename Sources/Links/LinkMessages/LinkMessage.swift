public import LinkFacts
public import NetworkAddresses
public import WireGuardTypes

/// What two machines of ours say to each other beyond wirelink's facts.
public enum LinkMessage: Hashable, Sendable {
    case facts(FactDelta)
    /// The delta with this number has come.
    case received(UInt32)
    /// A sealed message of two other members. To the hub the key says for whom; from the hub, from whom.
    case forward(PublicKey, [UInt8])
    /// What was to be forwarded to this member was not.
    case undelivered(PublicKey, Undelivered)
    case call(Call)
    /// The sender wants to reach this member through the hub's relay.
    case relayWanted(PublicKey)
    /// The port of this member at the hub's relay; `nil`: the hub relays nothing for these two.
    case relayGranted(PublicKey, port: UInt16?)
    /// A question that only asks for its answer.
    case echo(UInt64, isAnswer: Bool)
    case switching(SwitchPhase)

    /// Why a hub did not forward a message.
    public enum Undelivered: UInt8, Hashable, Sendable {
        /// The member is a wirelink machine, or not known.
        case notOurs = 1
        case notConnected = 2
        /// The sender has sent more than the hub forwards for it.
        case tooMany = 3
    }

    /// How far two members are with their session, and with moving their allowed IPs to it.
    public enum SwitchPhase: UInt8, Hashable, Sendable {
        /// The sender expects a session: it has the peer, and would answer a handshake.
        case ready = 1
        /// The sender is about to move its allowed IPs to the pair, holds what it would send meanwhile, and asks for the
        /// same.
        case move = 2
        /// The sender has moved its allowed IPs to the pair.
        case moved = 3
        /// The sender has moved its allowed IPs back to the hub.
        case back = 4
        /// Nothing more comes from the sender through the hub: this is its last word there until it has moved.
        case drained = 5
        /// The sender has moved, and knows that the receiver has.
        case settled = 6
    }
}

/// Facts that changed since the last delta.
public struct FactDelta: Hashable, Sendable {
    /// Numbers the deltas of one sender to one receiver.
    public var sequence: UInt32
    /// Whether the receiver is to forget all that the sender said before.
    public var isFirst: Bool
    /// A time to live of zero withdraws a fact.
    public var facts: [Fact]

    public init(sequence: UInt32, isFirst: Bool, facts: [Fact]) {
        self.sequence = sequence
        self.isFirst = isFirst
        self.facts = facts
    }
}

/// A member asks another to probe it, and says where it can be.
public struct Call: Hashable, Sendable {
    /// Most candidates in one call.
    public static let maximumCandidates = 32

    /// Where the sender knows a candidate from.
    public enum Origin: UInt8, Hashable, Sendable {
        /// An address of one of its own interfaces.
        case interface = 1
        /// Somebody saw its packets come from there.
        case observed = 2
    }

    public struct Candidate: Hashable, Sendable {
        public var origin: Origin
        public var endpoint: Endpoint

        public init(_ origin: Origin, _ endpoint: Endpoint) {
            self.origin = origin
            self.endpoint = endpoint
        }
    }

    /// Whether the receiver is to answer with a call.
    public var wantsAnswer: Bool
    /// Whether the sender's NAT gives each destination another port, so that nobody can be told where it is.
    public var hasChangingPort: Bool
    /// UDP port of the sender's facts.
    public var factsPort: UInt16
    /// The first ``maximumCandidates`` are sent.
    public var candidates: [Candidate]

    public init(wantsAnswer: Bool, hasChangingPort: Bool = false, factsPort: UInt16, candidates: [Candidate]) {
        self.wantsAnswer = wantsAnswer
        self.hasChangingPort = hasChangingPort
        self.factsPort = factsPort
        self.candidates = candidates
    }
}
