public import EUI64
public import NetworkAddresses
public import WireGuardTypes

/// What the operator allows in one domain.
public struct DomainRules: Sendable {
    /// How routers derive their addresses, the preferred way first, each once; never empty. There are several while
    /// routers migrate from one to another: see `Addresses.swift`.
    public var profiles: [AddressProfile]
    /// Where a router's addresses come from. A test may bring a derivation that collides.
    public var derive: @Sendable (PublicKey, AddressProfile) -> RouterAddresses
    /// The entries that a registered router has, as the operator wants it.
    public var fdbEntries: FdbEntries
    /// Whether a router gets its flood entry when it registers; otherwise when it is heard of.
    public var floodsAtRegistration: Bool
    /// Most routers that were heard of. ``DomainLimit/pending`` more may be on their way in.
    public var maximumPeers: Int
    /// A router that was silent for longer than this is stale.
    public var staleAfter: Duration
    /// Least time between the sweep that finds a router stale and the one that takes it out.
    public var sweepInterval: Duration
    /// Keys that may not register.
    public var prohibitedKeys: Set<PublicKey>
    /// The only keys that may register, with the operator's names for them; `nil` if the domain is open.
    public var allowedKeys: [PublicKey: String]?

    public init(
        profiles: [AddressProfile],
        derive: @escaping @Sendable (PublicKey, AddressProfile) -> RouterAddresses = {
            RouterAddresses(of: $0, profile: $1)
        },
        fdbEntries: FdbEntries,
        floodsAtRegistration: Bool = false,
        maximumPeers: Int,
        staleAfter: Duration,
        sweepInterval: Duration,
        prohibitedKeys: Set<PublicKey>,
        allowedKeys: [PublicKey: String]? = nil
    ) {
        precondition(!profiles.isEmpty, "a router has an address")
        self.profiles = profiles
        self.derive = derive
        self.fdbEntries = fdbEntries
        self.floodsAtRegistration = floodsAtRegistration
        self.maximumPeers = maximumPeers
        self.staleAfter = staleAfter
        self.sweepInterval = sweepInterval
        self.prohibitedKeys = prohibitedKeys
        self.allowedKeys = allowedKeys
    }

    /// Why the key may not register; `nil` if it may.
    func objection(to key: PublicKey) -> String? {
        if prohibitedKeys.contains(key) { return "the key is prohibited" }
        if let allowedKeys, allowedKeys[key] == nil { return "the domain is closed, and the key is not on its list" }
        return nil
    }
}

/// What a key says about its router.
public struct RouterAddresses: Hashable, Sendable {
    // In this order they take 22 bytes, and 24 in the other.

    /// An allowed IP of the router's, the only one unless there are several profiles, and the destination of its VXLAN
    /// frames.
    public var linkLocal: IPv6Address
    /// Of the router's VXLAN interface.
    public var mac: MACAddress

    public init(mac: MACAddress, linkLocal: IPv6Address) {
        self.mac = mac
        self.linkLocal = linkLocal
    }

    public init(of key: PublicKey, profile: AddressProfile) {
        let mac = profile.mac(of: key)
        self.init(mac: mac, linkLocal: profile.linkLocalAddress(of: mac))
    }
}

/// The kinds of fdb entry that a router can have.
public struct FdbEntries: OptionSet, Hashable, Sendable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// The derived MAC is reached at the router's address.
    public static let mac = FdbEntries(rawValue: 1)
    /// Broadcasts, multicasts and frames to unknown MACs go to the router's address too.
    public static let flood = FdbEntries(rawValue: 2)
}
