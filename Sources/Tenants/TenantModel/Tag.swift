public import NetworkAddresses

/// The short number of a network resource: the last bits of the first half of its addresses, so that it can be read in
/// them. Everything that a network resource is called is made of it.
public struct Tag: Hashable, Sendable, Comparable {
    public let value: UInt32
    /// Of a static prefix and of a block of /48 and smaller ones 16; of larger ones as many as count its /64.
    public let bits: UInt8

    init(value: UInt32, bits: UInt8) {
        self.value = value
        self.bits = bits
    }

    /// Of a prefix that is of no allocation: its last 16 bits.
    public init(static segment: Segment) {
        self.init(value: UInt32(truncatingIfNeeded: segment.upper & 0xffff), bits: 16)
    }

    /// What IPv4 is derived from.
    public var low16: UInt16 { UInt16(truncatingIfNeeded: value) }

    /// Whether IPv4 can be derived: the first and the last network of 100.64.0.0/16 are none of a member.
    public var allowsIPv4: Bool { low16 != 0 && low16 != 0xffff }

    /// Whether ``linkLocal`` is another's: `fe80::` is nobody's and `fe80::1` is that of every router.
    public var isTaken: Bool { value <= 1 }

    /// On the nic that leads to the other members; the next hop of their routes.
    public var linkLocal: IPv6Address { IPv6Address(high: 0xfe80 << 48, low: UInt64(value)) }

    /// Of an exit, on its public nic.
    public var publicLinkLocal: IPv6Address { IPv6Address(high: 0xfe80 << 48, low: UInt64(value) << 16 | 1) }

    /// The IPv4 network inside the network resource.
    public var ipv4: IPv4Prefix { prefix(10 << 24 | UInt32(low16) << 8, 24) }

    /// The IPv4 address on the nic that leads to the other members, with the network that all of them are in.
    public var wireGuardIPv4: IPv4Prefix { prefix(100 << 24 | 64 << 16 | UInt32(low16), 16) }

    /// The port at which WireGuard wants to listen: below those that the kernel hands out by itself.
    public var wantedPort: UInt16 { 16384 + UInt16(value % 16384) }

    private func prefix(_ address: UInt32, _ length: UInt8) -> IPv4Prefix {
        guard let prefix = IPv4Prefix(IPv4Address(value: address), length: length)
        else { preconditionFailure("the lengths are those above") }
        return prefix
    }

    public static func < (left: Self, right: Self) -> Bool { (left.value, left.bits) < (right.value, right.bits) }
}

extension Tag: CustomStringConvertible {
    /// Hexadecimal, four digits or as many as the bits need.
    public var description: String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: max(0, (Int(bits) + 3) / 4 - digits.count)) + digits
    }
}

/// What the names of a network resource's parts are made of.
public struct ResourceNames: Hashable, Sendable {
    public let tag: Tag
    /// The number of its allocation; `nil` if its prefix is of none.
    public let allocation: UInt8?

    public init(tag: Tag, allocation: UInt8?) {
        self.tag = tag
        self.allocation = allocation
    }

    /// `TAG-ALLOCATION`, and `TAG-s` for a static prefix.
    public var suffix: String { "\(tag)-\(allocation.map(String.init) ?? "s")" }

    /// The nic of WireGuard.
    public var wireGuard: String { "wg-\(suffix)" }
    /// The nic of VXLAN to mates in the same LAN.
    public var vxlan: String { "vx-\(suffix)" }
    /// The bridge for what lives in the network.
    public var bridge: String { "br-\(suffix)" }
    /// The nic that joins the bridge to the namespace.
    public var veth: String {
        let name = "veth-\(suffix)"
        return name.utf8.count > InterfaceName.maximumLength ? "v-\(suffix)" : name
    }
    /// The public nic of an exit.
    public var publicNic: String { "pub-\(suffix)" }
    /// The nic by which an exit reaches an IPv4 address that it shares.
    public var transit: String { "nat-\(suffix)" }
    /// The namespace.
    public var namespace: String { "tn-\(suffix)" }

    /// All names of interfaces.
    public var interfaces: [String] { [wireGuard, vxlan, bridge, veth, publicNic, transit] }
}

/// Names that are of a node and of no network.
public enum NodeNames {
    /// The namespace of leg `index`, from 0: `tn-public`, `tn-public-1`, …
    public static func publicNamespace(_ index: Int) -> String { index == 0 ? "tn-public" : "tn-public-\(index)" }

    /// What the leg's nic is called in there.
    public static let publicNic = "public"
}

/// Addresses between an exit and the namespace whose IPv4 address it shares with other networks.
public enum Transit {
    /// What the namespace with the public address translates.
    public static let network = IPv4Address(value: 100 << 24 | 127 << 16)

    /// Of the network whose WireGuard listens at `port`: no two of a namespace have the same port, and the ledger keeps it.
    /// It differs from ``Tag/wireGuardIPv4``, for both are in one namespace.
    public static func address(port: UInt16) -> IPv4Address { IPv4Address(value: network.value | UInt32(port)) }
}
