public import NetworkAddresses
public import WireGuardTypes

/// What a member wants done, in this order.
public enum LinkWork: Hashable, Sendable {
    /// Changes of WireGuard's peers, together. Each is answered by ``LinkEvent/changed(_:)`` or
    /// ``LinkEvent/refused(_:reason:)``.
    case change([PeerChange])
    /// What this machine sends to these prefixes through the interface is to be kept back for a moment, for a peer that
    /// was made. Answered by ``LinkEvent/held(_:)`` or ``LinkEvent/notHeld(_:reason:)``.
    case hold(PublicKey, [IPPrefix])
    /// What is kept back for a peer is to be sent, when all changes before this are made.
    case release(PublicKey)
    case secretWanted(PublicKey)
    /// From the own facts port, through the tunnel.
    case datagram([UInt8], to: IPv6Address, port: UInt16)
    /// Outside the tunnel.
    case probe([UInt8], to: Endpoint, from: ProbePort)
    /// A port of the relay for a member. Answered by ``LinkEvent/relayPort(_:_:)``.
    case openRelayPort(PublicKey)
    case closeRelayPort(PublicKey)
    /// The first member is at this endpoint when it sends to the relay's port of the second.
    case relayEnd(of: PublicKey, at: Endpoint, towards: PublicKey)
    /// The relay forgets the ends of these two.
    case forgetRelay(PublicKey, PublicKey)
    /// Where the operator says that a machine may be found, by a name. Answered by ``LinkEvent/found(_:for:)``.
    case lookUp(HostPort)
    /// How often the interface is to be read from now on, beside whenever something about it changes.
    case read(every: Duration)
    /// The interface is to be read now.
    case readNow
    case log(LinkNotice)
}

/// A line for the log.
public struct LinkNotice: Hashable, Sendable {
    public enum Level: Hashable, Sendable { case info, notice, warning }

    /// What it is about. The raw value is the journal's `KEX_EVENT=`.
    public enum Event: String, Hashable, Sendable {
        case memberFound = "member-found"
        case memberGone = "member-gone"
        case linkDirect = "link-direct"
        case linkRelayed = "link-relayed"
        case linkThroughHub = "link-through-hub"
        case conflict = "conflict"
        case refused = "refused"
        case interface = "interface"
    }

    public var event: Event
    public var level: Level
    public var member: PublicKey?
    public var text: String

    public init(_ event: Event, _ level: Level, _ member: PublicKey?, _ text: String) {
        self.event = event
        self.level = level
        self.member = member
        self.text = text
    }
}
