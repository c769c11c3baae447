public import NetworkAddresses
public import WireGuardTypes

/// What is known of all members, for people and for programs.
public struct LinkStatus: Hashable, Sendable {
    /// By name, those without a name last; then by key.
    public let members: [MemberStatus]
    /// Why packets are lost when a link is made: they cannot be held meanwhile. `nil` if they can, or nobody has tried.
    public let noHold: String?
    /// `nil` for a machine that has neither used ports for a relay nor a setting for them.
    public let relay: RelayStatus?

    public init(members: [MemberStatus], noHold: String? = nil, relay: RelayStatus? = nil) {
        self.noHold = noHold
        self.relay = relay
        self.members = members.sorted { left, right in
            switch (left.name, right.name) {
            case (let one?, let other?) where one != other: one < other
            case (_?, nil): true
            case (nil, _?): false
            default: left.key < right.key
            }
        }
    }
}

/// The relay of this machine for others.
public struct RelayStatus: Hashable, Sendable {
    /// As the operator set them; `nil`: the kernel chooses.
    public var ports: ClosedRange<UInt16>?
    /// How many of them members have.
    public var used: Int

    public init(ports: ClosedRange<UInt16>?, used: Int) {
        self.ports = ports
        self.used = used
    }
}

public struct MemberStatus: Hashable, Sendable {
    /// How traffic goes to a member.
    public enum Way: Hashable, Sendable {
        /// It is a hub: a peer of the operator that leads to other machines.
        case hub(Endpoint?)
        /// It is another peer of the operator, and stays as it is.
        case peer(Endpoint?)
        case direct(Endpoint)
        /// Through the relay of this hub, which sees nothing.
        case relayed(by: PublicKey)
        /// In the tunnel of this hub; `nil` if none is known.
        case throughHub(PublicKey?)
    }

    public var key: PublicKey
    public var name: String?
    /// Whether it understands more than wirelink's facts.
    public var isOurs: Bool
    public var isAlive: Bool
    public var way: Way
    /// For how long that has been so.
    public var since: Duration
    /// Of the way that is used, if it was measured.
    public var roundTrip: Duration?
    /// What was tried, and why it failed, in words.
    public var attempts: [String]
    public var allowedIPs: [IPPrefix]

    public init(
        key: PublicKey,
        name: String?,
        isOurs: Bool,
        isAlive: Bool,
        way: Way,
        since: Duration,
        roundTrip: Duration?,
        attempts: [String],
        allowedIPs: [IPPrefix]
    ) {
        self.key = key
        self.name = name
        self.isOurs = isOurs
        self.isAlive = isAlive
        self.way = way
        self.since = since
        self.roundTrip = roundTrip
        self.attempts = attempts
        self.allowedIPs = allowedIPs
    }
}
