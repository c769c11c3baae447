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
    /// Most MAC addresses that a VXLAN interface takes into its forwarding database; `nil` if there is no limit. It can be
    /// given only when the interface is made.
    public let addressLimit: UInt32?

    /// Reads an RTM_NEWLINK message.
    package init(_ reply: NetlinkReply) throws(MalformedReply) {
        let (header, all) = try reply.parse(ifinfomsg.self)
        var attributes = all
        var (name, kind, mtu, mac): (String, String?, UInt32, MACAddress?) = ("", nil, 0, nil)
        var details: Attributes?
        while let attribute = try attributes.next() {
            switch attribute.type {
            case Int(IFLA_IFNAME): name = attribute.text
            case Int(IFLA_MTU): mtu = try attribute.number()
            case Int(IFLA_ADDRESS): mac = MACAddress(bytes: attribute.payload)
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
        var (underlying, learns, limit): (InterfaceIndex?, Bool, UInt32) = (nil, false, 0)
        while kind == "vxlan", let attribute = try details?.next() {
            switch attribute.type {
            case Int(IFLA_VXLAN_LINK): underlying = InterfaceIndex(try attribute.number())
            case Int(IFLA_VXLAN_LEARNING): learns = try attribute.number(UInt8.self) != 0
            case Int(IFLA_VXLAN_LIMIT): limit = try attribute.number()
            default: break
            }
        }
        self.underlying = underlying
        self.learns = learns
        addressLimit = limit == 0 ? nil : limit
    }
}
