internal import CMNL
package import Netlink
public import NetworkAddresses

/// A network interface as the kernel describes it.
public struct Link: Hashable, Sendable {
    public let index: InterfaceIndex
    public let name: InterfaceName
    /// The kind that it was created as, such as `wireguard`, `vxlan` or `tun`; `nil` for hardware and loopback.
    public let kind: String?
    /// Whether it has been set up (IFF_UP). It may still lack a carrier.
    public let isUp: Bool
    /// Largest packet in bytes.
    public let mtu: UInt32
    /// `nil` for an interface without link-layer addresses, such as WireGuard's.
    public let mac: MACAddress?

    /// The interface that a VXLAN interface sends through; `nil` if it has none, or is of another kind.
    public let underlying: InterfaceIndex?

    /// Whether a VXLAN interface makes entries from the frames that it receives; `false` for other kinds.
    public let learns: Bool
    /// Most MAC addresses that a VXLAN interface takes into its forwarding database; `nil` if there is no limit. It can
    /// be given only when the interface is made.
    public let addressLimit: UInt32?

    /// What a VXLAN interface sends from; `nil` if it leaves that to the kernel, or is of another kind.
    public let local: IPPrefix.Address?
    /// Network identifier and port of a VXLAN interface; 0 for other kinds.
    public let identifier: UInt32
    public let port: UInt16

    /// Whether IPv6 is switched off on the interface (`disable_ipv6` of ip-sysctl).
    public let isIPv6Off: Bool
    /// Where that is among an interface's IPv6 settings. Source: DEVCONF_DISABLE_IPV6 of `linux/ipv6.h`.
    private static let disableIPv6Setting = 26

    /// As it would be read, for what stands in for the kernel in tests.
    package init(
        index: InterfaceIndex,
        name: InterfaceName,
        kind: String?,
        isUp: Bool = true,
        mtu: UInt32 = 1420,
        underlying: InterfaceIndex? = nil,
        addressLimit: UInt32? = nil,
        local: IPPrefix.Address? = nil
    ) {
        self.index = index
        self.name = name
        self.kind = kind
        self.isUp = isUp
        self.mtu = mtu
        mac = nil
        self.underlying = underlying
        learns = addressLimit != nil
        self.addressLimit = addressLimit
        self.local = local
        (identifier, port, isIPv6Off) = (0, 0, false)
    }

    /// Reads an RTM_NEWLINK message.
    package init(_ reply: NetlinkReply) throws(MalformedReply) {
        let (header, all) = try reply.parse(ifinfomsg.self)
        var attributes = all
        var (name, kind, mtu, mac): (String, String?, UInt32, MACAddress?) = ("", nil, 0, nil)
        var details: Attributes?
        var settings: ArraySlice<UInt8> = []
        while let attribute = try attributes.next() {
            switch attribute.type {
            case Int(IFLA_IFNAME): name = attribute.text
            case Int(IFLA_MTU): mtu = try attribute.number()
            case Int(IFLA_ADDRESS): mac = MACAddress(bytes: attribute.payload)
            case Int(IFLA_AF_SPEC):
                var families = attribute.nested
                while let family = try families.next() {
                    guard family.type == Int(AF_INET6) else { continue }
                    var own = family.nested
                    while let attribute = try own.next() {
                        if attribute.type == Int(IFLA_INET6_CONF) { settings = attribute.payload }
                    }
                }
            case Int(IFLA_LINKINFO):
                var information = attribute.nested
                while let attribute = try information.next() {
                    if attribute.type == Int(IFLA_INFO_KIND) { kind = attribute.text }
                    if attribute.type == Int(IFLA_INFO_DATA) { details = attribute.nested }
                }
            default: break
            }
        }
        guard let index = InterfaceIndex(UInt32(bitPattern: header.ifi_index)), let name = InterfaceName(name)
        else { throw MalformedReply("interface \(header.ifi_index) with the name \(name.debugDescription)") }
        self.index = index
        self.name = name
        self.kind = kind
        isUp = header.ifi_flags & UInt32(IFF_UP) != 0
        self.mtu = mtu
        self.mac = mac
        // An array of 32-bit numbers, which grows with the kernel.
        isIPv6Off = settings.dropFirst(Self.disableIPv6Setting * 4).prefix(4).contains { $0 != 0 }
        var (underlying, learns, limit): (InterfaceIndex?, Bool, UInt32) = (nil, false, 0)
        var (local, identifier, port): (IPPrefix.Address?, UInt32, UInt16) = (nil, 0, 0)
        while kind == "vxlan", let attribute = try details?.next() {
            switch attribute.type {
            case Int(IFLA_VXLAN_LINK): underlying = InterfaceIndex(try attribute.number())
            case Int(IFLA_VXLAN_ID): identifier = try attribute.number()
            case Int(IFLA_VXLAN_PORT): port = UInt16(bigEndian: try attribute.number())
            case Int(IFLA_VXLAN_LOCAL):
                local = IPv4Address(bytes: try attribute.bytes(4)).map(IPPrefix.Address.v4)
            case Int(IFLA_VXLAN_LOCAL6):
                local = IPv6Address(bytes: try attribute.bytes(16)).map(IPPrefix.Address.v6)
            case Int(IFLA_VXLAN_LEARNING): learns = try attribute.number(UInt8.self) != 0
            case Int(IFLA_VXLAN_LIMIT): limit = try attribute.number()
            default: break
            }
        }
        self.underlying = underlying
        self.learns = learns
        self.local = local
        self.identifier = identifier
        self.port = port
        addressLimit = limit == 0 ? nil : limit
    }
}
