internal import CMNL
internal import Netlink
public import NetworkAddresses

/// What a VXLAN interface is made with. Most of it cannot be changed later.
public struct VXLANSettings: Hashable, Sendable {
    /// Largest network identifier: 24 bits. Source: RFC 7348, section 5.
    public static let maximumIdentifier: UInt32 = 0xff_ffff

    /// The network identifier (VNI), 0 to ``maximumIdentifier``.
    public var identifier: UInt32
    /// Source address of the tunnel packets.
    public var local: IPv6Address
    /// The interface that they leave through: needed if `local` is link-local, and then for each entry as well.
    public var underlying: InterfaceIndex
    /// UDP port that the other side listens on, and this one too.
    public var port: UInt16
    /// Whether source addresses of received frames become forwarding entries.
    public var learns: Bool
    /// Most MAC addresses that the interface takes, learned or added; `nil` for no limit. Whoever is at the other end
    /// can send frames from any number of them, and each takes memory for five minutes.
    public var addressLimit: UInt32?
    /// Send without a UDP checksum, which is safe where the layer below authenticates (RFC 6935). The other side must
    /// accept that: by default the kernel drops such packets, and the tunnel works in one direction only (measured).
    public var sendsZeroChecksum: Bool
    /// Accept packets without a UDP checksum as well.
    public var acceptsZeroChecksum: Bool
    /// Hop limit of the tunnel packets, 1 to 255; `nil` leaves the choice to the kernel.
    public var hopLimit: UInt8?

    public init(
        identifier: UInt32,
        local: IPv6Address,
        underlying: InterfaceIndex,
        port: UInt16,
        learns: Bool,
        addressLimit: UInt32? = nil,
        sendsZeroChecksum: Bool = false,
        acceptsZeroChecksum: Bool = true,
        hopLimit: UInt8? = nil
    ) {
        self.identifier = identifier
        self.local = local
        self.underlying = underlying
        self.port = port
        self.learns = learns
        self.addressLimit = addressLimit
        self.sendsZeroChecksum = sendsZeroChecksum
        self.acceptsZeroChecksum = acceptsZeroChecksum
        self.hopLimit = hopLimit
    }

    /// Puts what goes into IFLA_INFO_DATA.
    func put(into message: inout MessageBuilder) throws(NetlinkError) {
        try message.put(Int(IFLA_VXLAN_ID), identifier)
        try message.put(Int(IFLA_VXLAN_LOCAL6), bytes: local.bytes)
        try message.put(Int(IFLA_VXLAN_LINK), underlying.number)
        try message.put(Int(IFLA_VXLAN_PORT), port.bigEndian)
        try message.put(Int(IFLA_VXLAN_LEARNING), UInt8(learns ? 1 : 0))
        try message.put(Int(IFLA_VXLAN_UDP_ZERO_CSUM6_TX), UInt8(sendsZeroChecksum ? 1 : 0))
        try message.put(Int(IFLA_VXLAN_UDP_ZERO_CSUM6_RX), UInt8(acceptsZeroChecksum ? 1 : 0))
        if let addressLimit { try message.put(Int(IFLA_VXLAN_LIMIT), addressLimit) }
        if let hopLimit { try message.put(Int(IFLA_VXLAN_TTL), hopLimit) }
    }
}
