public import NetworkAddresses
public import WireGuardTypes

/// How a network derives a router's MAC and link-local address from the router's WireGuard key.
///
/// Three ways are in use, they do not agree, and a wrong one fails in silence: the handshake works, and WireGuard then
/// drops every packet because its source is not an allowed IP. So each domain names its own. All three take the MAC
/// `02:d0:d1:d2:d3:d4` from the first five bytes of an MD5 digest of the key's *text*.
///
/// Source: the deployed gateways and firmware packages of each network, checked against published addresses.
public enum AddressProfile: String, CaseIterable, Sendable {
    /// Text and a line feed are hashed (`echo KEY | md5sum`), and the universal/local bit is inverted as RFC 4291
    /// asks, so that `02` becomes `00`. Freifunk Westerwald and MYK.
    case eui64
    /// Text and a line feed are hashed; the bit stays set. Freifunk München and its relatives.
    case ffmuc
    /// The text alone is hashed; the bit stays set. Gluon's own package and Freifunk Hannover.
    case gluon

    /// The address of the router's VXLAN interface, a locally administered unicast address.
    public func mac(of key: PublicKey) -> MACAddress { mac(ofText: key.textBytes) }

    /// The link-local address that deployed workers gave a router whose key came to them with a line feed behind it,
    /// which their front doors let through. They hashed that line feed too, and added the address to the peer of the
    /// key.
    public func lineFeedAddress(of key: PublicKey) -> IPv6Address {
        linkLocalAddress(of: mac(ofText: key.textBytes + [UInt8(ascii: "\n")]))
    }

    private func mac(ofText text: [UInt8]) -> MACAddress {
        var message = text
        if self != .gluon { message.append(UInt8(ascii: "\n")) }
        let digest = MD5.digest(message)
        return MACAddress(0x02, digest[0], digest[1], digest[2], digest[3], digest[4])
    }

    /// The low half of the router's link-local address: `ff:fe` between the halves of `mac`, and the
    /// universal/local bit (0x02 of the first byte) inverted by ``eui64`` only.
    ///
    /// Source: RFC 4291, section 2.5.1 and appendix A. The networks of the other two profiles set the bit where the
    /// RFC inverts it, and their routers rely on that.
    public func interfaceIdentifier(of mac: MACAddress) -> UInt64 {
        let identifier = (mac.value >> 24) << 40 | 0xfffe << 24 | mac.value & 0xff_ffff
        let universalLocal: UInt64 = 0x02 << 56
        return self == .eui64 ? identifier ^ universalLocal : identifier | universalLocal
    }

    /// The router's only allowed IP and the destination of its VXLAN frames: fe80::/64 and the interface identifier
    /// of its MAC. It carries 40 bits of digest, so two keys *can* share an address: whoever installs it must check.
    public func linkLocalAddress(of key: PublicKey) -> IPv6Address { linkLocalAddress(of: mac(of: key)) }

    /// The same for whoever has derived the MAC already.
    public func linkLocalAddress(of mac: MACAddress) -> IPv6Address {
        IPv6Address(high: 0xfe80 << 48, low: interfaceIdentifier(of: mac))
    }
}
