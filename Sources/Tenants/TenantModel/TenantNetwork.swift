public import NetworkAddresses
public import WireGuardTypes

/// A private network of one tenant over some of the nodes.
public struct TenantNetwork: Hashable, Sendable {
    /// What WireGuard leaves of 1500 bytes with IPv6 outside.
    public static let usualMTU: UInt16 = 1420
    /// IPv6 needs 1280; jumbo frames end near 9000.
    public static let mtus: ClosedRange<UInt16> = 1280...9000

    public var name: NetworkName
    /// Grows with each change; a node refuses to go back.
    public var version: UInt32
    /// Numbers of the allocations whose prefixes its members may have, in the order in which they are tried.
    public var allocations: [UInt8]
    public var members: [Member]
    public var exit: Exit?
    /// Whether members have IPv4 inside.
    public var hasIPv4: Bool
    public var hiddenPairs: HiddenPairs
    public var vxlans: [VXLANSegment]
    public var mtu: UInt16

    public init(
        name: NetworkName,
        version: UInt32 = 1,
        allocations: [UInt8] = [],
        members: [Member] = [],
        exit: Exit? = nil,
        hasIPv4: Bool = true,
        hiddenPairs: HiddenPairs = .exit,
        vxlans: [VXLANSegment] = [],
        mtu: UInt16 = TenantNetwork.usualMTU
    ) {
        self.name = name
        self.version = version
        self.allocations = allocations
        self.members = members
        self.exit = exit
        self.hasIPv4 = hasIPv4
        self.hiddenPairs = hiddenPairs
        self.vxlans = vxlans
        self.mtu = mtu
    }
}

/// How two hidden members in different LANs reach each other.
public enum HiddenPairs: String, Hashable, Sendable, CaseIterable {
    /// By routes through the exit, which sees what they say.
    case exit
    /// With a session of their own, whose packets the exit passes on unread.
    case relay
}

/// One node in one network, as the document says it: a network resource before everything is derived.
public struct Member: Hashable, Sendable {
    public enum Kind: Hashable, Sendable, CaseIterable {
        /// A node of the document.
        case node
        /// A router, a phone or any other WireGuard device, which nobody applies plans on.
        case device
    }

    public var node: NodeName
    public var kind: Kind
    /// One key a network resource, so that nobody sees that two networks are on one node. The private key stays there.
    public var key: PublicKey
    /// A /64; `nil` for what the ledger says.
    public var prefix: IPv6Prefix?
    /// Whether ``prefix`` is of none of the allocations, and the ledger knows nothing of it.
    public var isStatic: Bool
    /// A /24 inside, instead of the derived one.
    public var ipv4: IPv4Prefix?
    /// Where WireGuard listens, instead of the port of the ledger.
    public var listenPort: UInt16?
    /// What may come in from the internet.
    public var allow: [AllowRule]

    public init(
        node: NodeName,
        kind: Kind = .node,
        key: PublicKey,
        prefix: IPv6Prefix? = nil,
        isStatic: Bool = false,
        ipv4: IPv4Prefix? = nil,
        listenPort: UInt16? = nil,
        allow: [AllowRule] = []
    ) {
        self.node = node
        self.kind = kind
        self.key = key
        self.prefix = prefix
        self.isStatic = isStatic
        self.ipv4 = ipv4
        self.listenPort = listenPort
        self.allow = allow
    }
}

/// Members in one LAN that speak VXLAN there instead of WireGuard. Nothing is encrypted, so the document says that the
/// LAN is trusted.
public struct VXLANSegment: Hashable, Sendable {
    /// Source: RFC 7348, section 5: 24 bits. 0 is left out, because it is what a forgotten value looks like.
    public static let identifiers: ClosedRange<UInt32> = 1...0xff_ffff
    /// Source: RFC 7348, section 5.
    public static let port: UInt16 = 4789

    public enum Delivery: Hashable, Sendable {
        /// Each knows the addresses of the others.
        case peers
        /// By multicast.
        case group(IPPrefix.Address)
    }

    public var lan: PlaceName
    /// `nil` for all members in that LAN.
    public var members: [NodeName]?
    public var delivery: Delivery
    /// `nil` for ``derivedIdentifier(network:lan:)``.
    public var identifier: UInt32?

    public init(
        lan: PlaceName,
        members: [NodeName]? = nil,
        delivery: Delivery = .peers,
        identifier: UInt32? = nil
    ) {
        self.lan = lan
        self.members = members
        self.delivery = delivery
        self.identifier = identifier
    }

    /// The number of the segment of `network`: given, or derived.
    public func identifier(in network: NetworkName) -> UInt32 {
        identifier ?? Self.derivedIdentifier(network: network, lan: lan)
    }

    /// 24 bits of a hash of both names, never 0. Two networks may get the same; that is a mistake in one LAN.
    public static func derivedIdentifier(network: NetworkName, lan: PlaceName) -> UInt32 {
        // FNV-1a of 32 bits, folded to 24 as its authors say. Source: the Internet-Draft "The FNV Non-Cryptographic Hash
        // Algorithm", section 3.
        var hash: UInt32 = 0x811c_9dc5
        for byte in Array(network.text.utf8) + [0] + Array(lan.text.utf8) {
            hash = (hash ^ UInt32(byte)) &* 0x0100_0193
        }
        return max(1, (hash >> 24) ^ (hash & 0xff_ffff))
    }
}
