public import NetworkAddresses

/// The one member of a network through which it reaches the internet.
public struct Exit: Hashable, Sendable {
    /// One of the network's members.
    public var node: NodeName
    /// Whether the other members send everything to it that is of no member.
    public var isDefaultRoute: Bool
    /// What the public side stands on, if that is not the node's first leg (ExitIface). Its addresses are ``ipv4`` and
    /// ``ipv6``.
    public var interface: PublicLeg.Kind?
    public var ipv4: ExitIPv4?
    /// `nil` if the network has no way out by IPv6.
    public var ipv6: ExitIPv6?
    public var forwards: [PortForward]
    /// What may come in from the internet to any member.
    public var allow: [AllowRule]

    public init(
        node: NodeName,
        isDefaultRoute: Bool = true,
        interface: PublicLeg.Kind? = nil,
        ipv4: ExitIPv4? = nil,
        ipv6: ExitIPv6? = ExitIPv6(),
        forwards: [PortForward] = [],
        allow: [AllowRule] = []
    ) {
        self.node = node
        self.isDefaultRoute = isDefaultRoute
        self.interface = interface
        self.ipv4 = ipv4
        self.ipv6 = ipv6
        self.forwards = forwards
        self.allow = allow
    }
}

/// How a network gets out by IPv4.
public enum ExitIPv4: Hashable, Sendable {
    /// It has an address of its own (ipv4_conf).
    case own(ExitIPv4Address)
    /// It shares the address of the namespace in which its WireGuard is born with the other networks there. Both the
    /// network and that namespace translate, so that networks with the same addresses inside do not meet.
    case shared
}

public struct ExitIPv4Address: Hashable, Sendable {
    public enum Translation: Hashable, Sendable {
        /// The addresses inside are known outside.
        case none
        case masquerade
        case source(IPv4Address)
    }

    public var address: IPv4Prefix
    public var gateway: IPv4Address?
    /// Of the default route; 0 for the kernel's own choice.
    public var metric: UInt32
    public var translation: Translation

    public init(
        address: IPv4Prefix,
        gateway: IPv4Address? = nil,
        metric: UInt32 = 0,
        translation: Translation = .masquerade
    ) {
        self.address = address
        self.gateway = gateway
        self.metric = metric
        self.translation = translation
    }
}

/// How a network gets out by IPv6 (ipv6_conf).
public struct ExitIPv6: Hashable, Sendable {
    public enum Translation: Hashable, Sendable {
        case none
        /// Only for a network with local addresses (ULA).
        case masquerade
        /// Prefix for prefix, of the same length (RFC 6296). Only for a network with local addresses.
        case prefix(IPv6Prefix)
    }

    /// `nil` for ``Allocation/exitAddress(of:)``.
    public var address: IPv6Prefix?
    /// `nil` for that of the allocation, or `fe80::1`.
    public var gateway: IPv6Address?
    /// Of the default route; 0 for the kernel's own choice.
    public var metric: UInt32
    public var translation: Translation

    public init(
        address: IPv6Prefix? = nil,
        gateway: IPv6Address? = nil,
        metric: UInt32 = 0,
        translation: Translation = .none
    ) {
        self.address = address
        self.gateway = gateway
        self.metric = metric
        self.translation = translation
    }
}

/// A port of the exit's IPv4 address that leads into the network (ipv4_dnat).
public struct PortForward: Hashable, Sendable {
    public enum Transport: String, Hashable, Sendable, CaseIterable {
        case tcp
        case udp
    }

    /// The address outside; `nil` for the exit's.
    public var address: IPv4Address?
    public var transport: Transport
    /// Outside.
    public var port: UInt16
    public var target: IPv4Address
    public var targetPort: UInt16

    public init(
        address: IPv4Address? = nil,
        transport: Transport,
        port: UInt16,
        target: IPv4Address,
        targetPort: UInt16
    ) {
        self.address = address
        self.transport = transport
        self.port = port
        self.target = target
        self.targetPort = targetPort
    }
}

/// What may come in from the internet by IPv6 (ipv6_allow).
public struct AllowRule: Hashable, Sendable {
    public enum Transport: String, Hashable, Sendable, CaseIterable {
        case tcp
        case udp
        case icmpv6
    }

    /// An address or a network inside.
    public var destination: IPv6Prefix
    /// `nil` for every protocol.
    public var transport: Transport?
    /// Empty for every port.
    public var ports: [ClosedRange<UInt16>]
    /// `nil` for everybody.
    public var source: IPv6Prefix?

    public init(
        destination: IPv6Prefix,
        transport: Transport? = nil,
        ports: [ClosedRange<UInt16>] = [],
        source: IPv6Prefix? = nil
    ) {
        self.destination = destination
        self.transport = transport
        self.ports = ports
        self.source = source
    }
}
