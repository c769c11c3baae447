internal import EUI64
internal import KexProtocol
internal import NetworkAddresses
internal import WireGuardTypes

/// What the file for `up` and `down` says: the router's interfaces, and the gateways that it may use.
struct RouterConfiguration: Hashable, Sendable {
    var domain: DomainName
    var privateKeyFile: String
    var wireGuard: InterfaceName
    var vxlan: InterfaceName
    /// The domain's network identifier (VNI).
    var vxlanIdentifier: UInt32
    /// UDP port of both ends of the VXLAN tunnel.
    var vxlanPort: UInt16 = 8472
    var addressProfile = AddressProfile.eui64
    /// Largest packet in bytes of the mesh, and of the tunnel below it.
    var mtu: UInt32 = 1280
    var wireGuardMTU: UInt32 = 1420
    /// Set on WireGuard's own packets, so that a routing rule can keep them out of the mesh.
    var firewallMark: UInt32?
    /// At least one, no key twice.
    var gateways: [Gateway] = []

    struct Gateway: Hashable, Sendable {
        /// Where it takes registrations.
        var exchange: HostPort
        /// Its WireGuard endpoint.
        var endpoint: HostPort
        var publicKey: PublicKey
        /// Its end of the VXLAN tunnel.
        var linkAddress: IPv6Address
    }

    /// Ranges of what can be configured.
    enum Limit {
        /// Source: RFC 7348, section 5: 24 bits. 0 is left out, because it is what a forgotten value looks like.
        static let vxlanIdentifier: ClosedRange<UInt32> = 1...0xff_ffff
        /// IPv6 needs 1280; jumbo frames end near 9000.
        static let mtu: ClosedRange<UInt32> = 1280...9000
        /// Bytes that VXLAN over IPv6 puts around a packet; the kernel refuses an MTU without room for them.
        /// Source: VXLAN6_HEADROOM of `net/vxlan.h`: IPv6 40, UDP 8, VXLAN 8, Ethernet 14.
        static let vxlanOverhead: UInt32 = 70
        /// 0 means no mark to the kernel.
        static let firewallMark: ClosedRange<UInt32> = 1...UInt32.max
    }
}

extension RouterConfiguration: CustomStringConvertible {
    /// The configuration as a file that would be read to the same.
    var description: String {
        var lines = [
            "[Router]",
            "Domain=\(domain)",
            "PrivateKeyFile=\(privateKeyFile)",
            "WireGuard=\(wireGuard)",
            "VXLAN=\(vxlan)",
            "VXLANId=\(vxlanIdentifier)",
            "VXLANPort=\(vxlanPort)",
            "AddressProfile=\(addressProfile.rawValue)",
            "MTU=\(mtu)",
            "WireGuardMTU=\(wireGuardMTU)",
        ]
        if let firewallMark { lines.append("FirewallMark=\(firewallMark)") }
        for gateway in gateways {
            lines += [
                "",
                "[Gateway]",
                "Exchange=\(gateway.exchange)",
                "Endpoint=\(gateway.endpoint)",
                "PublicKey=\(gateway.publicKey)",
                "LinkAddress=\(gateway.linkAddress)",
            ]
        }
        return lines.joined(separator: "\n")
    }
}
