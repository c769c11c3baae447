public import NetworkAddresses

/// The two families, the one first that is chosen where both would do.
public enum AddressFamily: Hashable, Sendable, CaseIterable, CustomStringConvertible {
    case ipv6
    case ipv4

    public var description: String {
        switch self {
        case .ipv6: "IPv6"
        case .ipv4: "IPv4"
        }
    }
}

extension IPPrefix.Address {
    public var family: AddressFamily {
        switch self {
        case .v4: .ipv4
        case .v6: .ipv6
        }
    }
}

/// Whether others can begin to speak to a socket, in one family.
public struct Reachability: Hashable, Sendable {
    public enum Kind: Hashable, Sendable, CaseIterable {
        /// Behind a NAT or a firewall: it can speak to others, and they only answer.
        case hidden
        /// Packets to its address arrive.
        case `public`
    }

    public var kind: Kind
    /// Of a public one at least one, the best first. Of a hidden one those by which mates in the same LAN reach it.
    public var addresses: [IPPrefix.Address]

    public init(_ kind: Kind, addresses: [IPPrefix.Address] = []) {
        self.kind = kind
        self.addresses = addresses
    }

    public var isPublic: Bool { kind == .public }
}

/// A machine on which networks live.
public struct Node: Hashable, Sendable {
    /// How many WireGuard interfaces one namespace with a public address gets, if nothing else is said. Each takes a port
    /// and, in user space, some 6 MB.
    public static let usualWireGuardLimit: UInt16 = 1024

    public var name: NodeName
    public var site: PlaceName?
    public var lan: LANAttachment?
    /// Of the machine itself, without its legs. `nil` for a family that it does not have.
    public var ipv4: Reachability?
    public var ipv6: Reachability?
    /// Public connections that networks use instead of the machine's own. Each is in a namespace of its own.
    public var legs: [PublicLeg]
    public var mayBeExit: Bool
    public var wireGuardLimit: UInt16
    /// A name for those who read files and can look names up: exported files have it as endpoint.
    public var hostName: String?

    public init(
        name: NodeName,
        site: PlaceName? = nil,
        lan: LANAttachment? = nil,
        ipv4: Reachability? = nil,
        ipv6: Reachability? = nil,
        legs: [PublicLeg] = [],
        mayBeExit: Bool = true,
        wireGuardLimit: UInt16 = Node.usualWireGuardLimit,
        hostName: String? = nil
    ) {
        self.name = name
        self.site = site
        self.lan = lan
        self.ipv4 = ipv4
        self.ipv6 = ipv6
        self.legs = legs
        self.mayBeExit = mayBeExit
        self.wireGuardLimit = wireGuardLimit
        self.hostName = hostName
    }

    /// A router or a phone that is in a network and is no node: hidden, in no LAN, speaking both families.
    public init(device name: NodeName) {
        self.init(name: name, ipv4: Reachability(.hidden), ipv6: Reachability(.hidden), mayBeExit: false)
    }

    /// The machine's own reachability.
    public func ownReachability(_ family: AddressFamily) -> Reachability? {
        switch family {
        case .ipv4: ipv4
        case .ipv6: ipv6
        }
    }

    /// The namespaces in which WireGuard's sockets of this node can be: the host's, or that of each leg.
    public var births: [Birth] {
        legs.isEmpty
            ? [Birth(leg: nil, ipv4: ipv4, ipv6: ipv6)]
            : legs.indices.map { index in
                Birth(
                    leg: index,
                    ipv4: legs[index].ipv4.map { Reachability(.public, addresses: [.v4($0.address.address)]) },
                    ipv6: legs[index].ipv6.map { Reachability(.public, addresses: [.v6($0.address.address)]) }
                )
            }
    }

    /// The first of ``births``.
    public var birth: Birth { births.first ?? Birth(leg: nil, ipv4: ipv4, ipv6: ipv6) }
}

/// A LAN that a node is in.
public struct LANAttachment: Hashable, Sendable {
    public var lan: PlaceName
    /// The nic that is in the LAN. VXLAN to a group needs it.
    public var interface: InterfaceName?
    /// Whether mates may speak to each other without a detour.
    public var isDirect: Bool

    public init(_ lan: PlaceName, interface: InterfaceName? = nil, isDirect: Bool = true) {
        self.lan = lan
        self.interface = interface
        self.isDirect = isDirect
    }
}

/// The namespace where a UDP socket of WireGuard is, and so what others reach.
public struct Birth: Hashable, Sendable {
    /// The index of the leg; `nil` for the host's own namespace.
    public var leg: Int?
    public var ipv4: Reachability?
    public var ipv6: Reachability?

    public init(leg: Int?, ipv4: Reachability?, ipv6: Reachability?) {
        self.leg = leg
        self.ipv4 = ipv4
        self.ipv6 = ipv6
    }

    /// `nil` for the host's own.
    public var namespace: String? { leg.map(NodeNames.publicNamespace) }

    public func reachability(_ family: AddressFamily) -> Reachability? {
        switch family {
        case .ipv4: ipv4
        case .ipv6: ipv6
        }
    }

    public func isPublic(_ family: AddressFamily) -> Bool { reachability(family)?.isPublic ?? false }

    /// Whether it can speak that family at all.
    public func speaks(_ family: AddressFamily) -> Bool { reachability(family) != nil }
}

/// A public connection of a node, apart from the machine's own (ExitIface).
public struct PublicLeg: Hashable, Sendable {
    /// Source: IEEE 802.1Q, less the two numbers that mean something else.
    public static let vlanIdentifiers: ClosedRange<UInt16> = 1...4094

    public enum Kind: Hashable, Sendable {
        /// The nic itself is moved.
        case nic(InterfaceName)
        case vlan(parent: InterfaceName, identifier: UInt16)
        /// `mac` is derived from the node's name if it is `nil`.
        case macvlan(parent: InterfaceName, mac: MACAddress?)
        /// A veth whose other end is in a bridge that has the uplink.
        case veth(bridge: InterfaceName)
        /// Something else made the interface, such as a tunnel, and keeps it. It is moved, and never deleted.
        case existing(InterfaceName)

        /// The interface of the host that the leg is made of or stands on.
        public var interface: InterfaceName {
            switch self {
            case .nic(let name), .vlan(let name, _), .macvlan(let name, _), .veth(let name), .existing(let name): name
            }
        }
    }

    public struct IPv4: Hashable, Sendable {
        public var address: IPv4Prefix
        public var gateway: IPv4Address

        public init(address: IPv4Prefix, gateway: IPv4Address) {
            self.address = address
            self.gateway = gateway
        }
    }

    public struct IPv6: Hashable, Sendable {
        public var address: IPv6Prefix
        /// May be link-local.
        public var gateway: IPv6Address

        public init(address: IPv6Prefix, gateway: IPv6Address) {
            self.address = address
            self.gateway = gateway
        }
    }

    public var kind: Kind
    public var ipv4: IPv4?
    public var ipv6: IPv6?

    public init(_ kind: Kind, ipv4: IPv4? = nil, ipv6: IPv6? = nil) {
        self.kind = kind
        self.ipv4 = ipv4
        self.ipv6 = ipv6
    }
}
