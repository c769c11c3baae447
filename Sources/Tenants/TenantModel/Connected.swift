public import NetworkAddresses
public import WireGuardTypes

/// A member that another one reaches without a detour. The planner makes these; nobody writes them.
public struct Connected: Hashable, Sendable {
    public enum Connection: Hashable, Sendable {
        case wireGuard(WireGuardConnection)
        case localVXLAN(VXLANConnection)
    }

    public var member: MemberID
    public var connection: Connection
    /// What is reached through it.
    public var prefixes: [IPPrefix]

    public init(member: MemberID, connection: Connection, prefixes: [IPPrefix]) {
        self.member = member
        self.connection = connection
        self.prefixes = prefixes
    }
}

public struct WireGuardConnection: Hashable, Sendable {
    /// Ours.
    public var interface: String
    /// Where the other is spoken to; `nil` for one that dials.
    public var endpoint: Endpoint?
    /// The other's.
    public var key: PublicKey
    /// The other's, the next hop of routes.
    public var linkLocal: IPv6Address

    public init(interface: String, endpoint: Endpoint?, key: PublicKey, linkLocal: IPv6Address) {
        self.interface = interface
        self.endpoint = endpoint
        self.key = key
        self.linkLocal = linkLocal
    }
}

public struct VXLANConnection: Hashable, Sendable {
    public enum Delivery: Hashable, Sendable {
        case peer(IPPrefix.Address)
        case group(IPPrefix.Address)
    }

    /// Ours.
    public var interface: String
    public var delivery: Delivery
    /// 24 bits.
    public var identifier: UInt32
    /// The other's, the next hop of routes.
    public var linkLocal: IPv6Address

    public init(interface: String, delivery: Delivery, identifier: UInt32, linkLocal: IPv6Address) {
        self.interface = interface
        self.delivery = delivery
        self.identifier = identifier
        self.linkLocal = linkLocal
    }
}
