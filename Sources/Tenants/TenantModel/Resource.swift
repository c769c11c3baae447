public import NetworkAddresses
public import WireGuardTypes

/// What the ledger has given.
public struct Assignments: Hashable, Sendable {
    public struct Prefix: Hashable, Sendable {
        public var segment: Segment
        /// The number of the allocation that it is of.
        public var allocation: UInt8

        public init(_ segment: Segment, allocation: UInt8) {
            self.segment = segment
            self.allocation = allocation
        }
    }

    public var prefixes: [MemberID: Prefix]
    /// Where WireGuard listens, in the namespace where it is born.
    public var ports: [MemberID: UInt16]
    /// Ports at the exit of the network that lead to the member.
    public var relayPorts: [MemberID: UInt16]
    /// The leg of its node in whose namespace a member's WireGuard is born, where it is not the first.
    public var legs: [MemberID: Int]

    public init(
        prefixes: [MemberID: Prefix] = [:],
        ports: [MemberID: UInt16] = [:],
        relayPorts: [MemberID: UInt16] = [:],
        legs: [MemberID: Int] = [:]
    ) {
        self.prefixes = prefixes
        self.ports = ports
        self.relayPorts = relayPorts
        self.legs = legs
    }
}

/// One node in one network with everything that is derived: a network resource. What plans are made of.
public struct Resource: Hashable, Sendable {
    public var id: MemberID
    /// The node; of a device one that is ``Node/init(device:)``.
    public var node: Node
    public var kind: Member.Kind
    public var key: PublicKey
    public var segment: Segment
    public var names: ResourceNames
    /// A /24; `nil` in a network without IPv4.
    public var ipv4: IPv4Prefix?
    /// Where WireGuard is born.
    public var birth: Birth
    public var listenPort: UInt16
    public var relayPort: UInt16?
    public var allow: [AllowRule]

    public init(
        id: MemberID,
        node: Node,
        kind: Member.Kind,
        key: PublicKey,
        segment: Segment,
        names: ResourceNames,
        ipv4: IPv4Prefix?,
        birth: Birth,
        listenPort: UInt16,
        relayPort: UInt16? = nil,
        allow: [AllowRule] = []
    ) {
        self.id = id
        self.node = node
        self.kind = kind
        self.key = key
        self.segment = segment
        self.names = names
        self.ipv4 = ipv4
        self.birth = birth
        self.listenPort = listenPort
        self.relayPort = relayPort
        self.allow = allow
    }

    public var tag: Tag { names.tag }
    public var linkLocal: IPv6Address { tag.linkLocal }

    /// On the nic that leads to the others, with the network of all; `nil` in a network without IPv4.
    public var wireGuardIPv4: IPv4Prefix? { ipv4 == nil ? nil : tag.wireGuardIPv4 }

    /// Everything that is its own, and nobody else's: link-local address, WireGuard's IPv4 address, prefix, IPv4.
    public var ownPrefixes: [IPPrefix] {
        var prefixes = [IPPrefix(host: linkLocal)]
        if let address = wireGuardIPv4?.address, let host = IPv4Prefix(address, length: 32) {
            prefixes.append(host.ipPrefix)
        }
        prefixes.append(segment.prefix.ipPrefix)
        if let ipv4 { prefixes.append(ipv4.ipPrefix) }
        return prefixes
    }
}

/// A network whose members have everything.
public struct ResolvedNetwork: Hashable, Sendable {
    /// As the document has it.
    public var network: TenantNetwork
    /// In the order of the document.
    public var resources: [Resource]
    /// The exit's public address by IPv6, with its length: given, or in the first /64 of its allocation.
    public var exitIPv6: IPv6Prefix?
    /// Where the exit sends what leaves by IPv6: given, that of its allocation, or `fe80::1`, which site routers have.
    public var exitIPv6Gateway: IPv6Address?

    public init(
        network: TenantNetwork,
        resources: [Resource],
        exitIPv6: IPv6Prefix? = nil,
        exitIPv6Gateway: IPv6Address? = nil
    ) {
        self.network = network
        self.resources = resources
        self.exitIPv6 = exitIPv6
        self.exitIPv6Gateway = exitIPv6Gateway
    }

    public var exit: Resource? {
        network.exit.flatMap { exit in resources.first { $0.id.node == exit.node } }
    }
}
