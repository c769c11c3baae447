public import NetworkAddresses
public import WireGuardTypes

/// The WireGuard interface and the addresses of this machine, as they were at one moment.
public struct DeviceSnapshot: Hashable, Sendable {
    /// Of this machine.
    public var publicKey: PublicKey
    /// WireGuard's UDP port, 1 to 65535; 0 while there is none.
    public var listenPort: UInt16
    /// What marks WireGuard's own packets for the routing rules; 0 for none.
    public var firewallMark: UInt32
    /// No key is there twice.
    public var peers: [Peer]
    /// Those of ``peers`` that this program made, and not the operator.
    public var madePeers: Set<PublicKey>
    /// Seconds since 1970 by the wall clock at the moment of the reading. How old a handshake was then is the difference
    /// to this.
    public var wallClock: Int64
    /// Addresses of the WireGuard interface, with the length of their network; link-local ones as well.
    public var tunnelAddresses: [IPPrefix]
    /// Addresses of all other interfaces that are up.
    public var underlayAddresses: [UnderlayAddress]
    /// Whether the WireGuard interface is up.
    public var isUp: Bool

    public init(
        publicKey: PublicKey,
        listenPort: UInt16,
        firewallMark: UInt32 = 0,
        peers: [Peer] = [],
        madePeers: Set<PublicKey> = [],
        wallClock: Int64,
        tunnelAddresses: [IPPrefix] = [],
        underlayAddresses: [UnderlayAddress] = [],
        isUp: Bool = true
    ) {
        self.publicKey = publicKey
        self.listenPort = listenPort
        self.firewallMark = firewallMark
        self.peers = peers
        self.madePeers = madePeers
        self.wallClock = wallClock
        self.tunnelAddresses = tunnelAddresses
        self.underlayAddresses = underlayAddresses
        self.isUp = isUp
    }
}

/// An address of this machine outside the tunnel.
public struct UnderlayAddress: Hashable, Sendable {
    public var interface: InterfaceName
    /// With the length of its network.
    public var address: IPPrefix
    /// Whether it was made by chance and goes again. Source: RFC 8981.
    public var isTemporary: Bool
    /// Whether new conversations should not use it. Source: RFC 4862, section 5.5.4.
    public var isDeprecated: Bool
    /// Whether it may be another machine's, so that it is not used yet. Source: RFC 4862, section 5.4.
    public var isTentative: Bool

    public init(
        interface: InterfaceName,
        address: IPPrefix,
        isTemporary: Bool = false,
        isDeprecated: Bool = false,
        isTentative: Bool = false
    ) {
        self.interface = interface
        self.address = address
        self.isTemporary = isTemporary
        self.isDeprecated = isDeprecated
        self.isTentative = isTentative
    }
}
