public import NetworkAddresses
public import WireGuardTypes

/// What the operator wants of the links of one WireGuard interface.
public struct LinkSettings: Hashable, Sendable {
    /// UDP port of the facts, here and at the machines of the field, 1 to 65535; `nil` stands for the one after
    /// WireGuard's port.
    public var factsPort: UInt16?
    /// Whether this machine is a router; `nil` leaves that to ``FactExchange``.
    public var isRouter: Bool?
    /// Whether this machine tells facts to all machines with which it has a session, as a router does.
    public var isChatty: Bool
    /// Interfaces whose addresses are told to others. None stands for all.
    public var reportInterfaces: [InterfacePattern]
    /// Interfaces whose addresses are kept back, also if they are in ``reportInterfaces``.
    public var hideInterfaces: [InterfacePattern]
    /// UDP ports of the relay, if this machine is a hub; `nil` leaves them to the kernel.
    public var relayPorts: ClosedRange<UInt16>?
    /// In the order of the file. No key is there twice.
    public var members: [MemberSettings]
    /// Whether a pair is made for machines with traffic between them only, and not for all.
    public var linksOnDemand: Bool
    /// With ``linksOnDemand``: a pair without traffic for so long is taken down.
    public var idleTime: Duration

    /// Of ``idleTime``, where the operator says nothing.
    public static let usualIdleTime = Duration.seconds(300)

    public init(
        factsPort: UInt16? = nil,
        isRouter: Bool? = nil,
        isChatty: Bool = false,
        reportInterfaces: [InterfacePattern] = [],
        hideInterfaces: [InterfacePattern] = [],
        relayPorts: ClosedRange<UInt16>? = nil,
        members: [MemberSettings] = [],
        linksOnDemand: Bool = false,
        idleTime: Duration = Self.usualIdleTime
    ) {
        self.factsPort = factsPort
        self.isRouter = isRouter
        self.isChatty = isChatty
        self.reportInterfaces = reportInterfaces
        self.hideInterfaces = hideInterfaces
        self.relayPorts = relayPorts
        self.members = members
        self.linksOnDemand = linksOnDemand
        self.idleTime = idleTime
    }

    /// Whether addresses of an interface are told to others. Those of the WireGuard interface itself never are.
    public func reports(_ interface: InterfaceName) -> Bool {
        !hideInterfaces.contains { $0.matches(interface) }
            && (reportInterfaces.isEmpty || reportInterfaces.contains { $0.matches(interface) })
    }
}

/// What the operator says of one machine, which may be this one.
public struct MemberSettings: Hashable, Sendable {
    public var publicKey: PublicKey
    /// What people call it.
    public var name: String?
    /// What it is believed; `nil` leaves that to what kind of peer it is. See ``Trust``.
    public var trust: Trust?
    /// Whether it is told facts although it is no router.
    public var isFactExchanger: Bool
    /// Where it may be found. Names are looked up by somebody else.
    public var endpoints: [HostPort]
    /// What it may send from, without bits behind the prefix.
    public var allowedIPs: [IPPrefix]
    /// Whether it runs plain WireGuard, without a program that sends facts.
    public var isBasic: Bool

    public init(
        publicKey: PublicKey,
        name: String? = nil,
        trust: Trust? = nil,
        isFactExchanger: Bool = false,
        endpoints: [HostPort] = [],
        allowedIPs: [IPPrefix] = [],
        isBasic: Bool = false
    ) {
        self.publicKey = publicKey
        self.name = name
        self.trust = trust
        self.isFactExchanger = isFactExchanger
        self.endpoints = endpoints
        self.allowedIPs = allowedIPs
        self.isBasic = isBasic
    }
}
