internal import CMNL
internal import Netlink
internal import NetworkAddresses
internal import WireGuardTypes

// The numbers of `linux/wireguard.h` under names of this project, in the type that attributes have.

enum DeviceAttribute {
    static let name = Int(WGDEVICE_A_IFNAME.rawValue)
    static let privateKey = Int(WGDEVICE_A_PRIVATE_KEY.rawValue)
    static let publicKey = Int(WGDEVICE_A_PUBLIC_KEY.rawValue)
    static let listenPort = Int(WGDEVICE_A_LISTEN_PORT.rawValue)
    static let firewallMark = Int(WGDEVICE_A_FWMARK.rawValue)
    static let peers = Int(WGDEVICE_A_PEERS.rawValue)
}

enum PeerAttribute {
    static let publicKey = Int(WGPEER_A_PUBLIC_KEY.rawValue)
    static let presharedKey = Int(WGPEER_A_PRESHARED_KEY.rawValue)
    static let flags = Int(WGPEER_A_FLAGS.rawValue)
    static let endpoint = Int(WGPEER_A_ENDPOINT.rawValue)
    static let persistentKeepalive = Int(WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL.rawValue)
    static let lastHandshake = Int(WGPEER_A_LAST_HANDSHAKE_TIME.rawValue)
    static let receivedBytes = Int(WGPEER_A_RX_BYTES.rawValue)
    static let sentBytes = Int(WGPEER_A_TX_BYTES.rawValue)
    static let allowedIPs = Int(WGPEER_A_ALLOWEDIPS.rawValue)
}

enum AllowedIPAttribute {
    static let family = Int(WGALLOWEDIP_A_FAMILY.rawValue)
    static let address = Int(WGALLOWEDIP_A_IPADDR.rawValue)
    static let length = Int(WGALLOWEDIP_A_CIDR_MASK.rawValue)
}

extension Endpoint {
    /// `struct sockaddr_in` (16 bytes) or `struct sockaddr_in6` (28): family in the byte order of this machine, port
    /// and address in network order, scope again as this machine has it.
    var kernelBytes: [UInt8] {
        switch self {
        case .v4(let address, let port):
            hostOrder(UInt16(AF_INET)) + hostOrder(port.bigEndian) + address.bytes + [UInt8](repeating: 0, count: 8)
        case .v6(let address, let port, let scope):
            hostOrder(UInt16(AF_INET6)) + hostOrder(port.bigEndian) + [0, 0, 0, 0] + address.bytes + hostOrder(scope)
        }
    }

    /// Reads ``kernelBytes``.
    init(kernelBytes bytes: ArraySlice<UInt8>) throws(MalformedReply) {
        let start = bytes.startIndex
        switch bytes.count {
        case 16:
            guard let address = IPv4Address(bytes: bytes[start + 4..<start + 8]) else { break }
            self = .v4(address, port: Self.port(of: bytes))
            return
        case 28:
            guard let address = IPv6Address(bytes: bytes[start + 8..<start + 24]) else { break }
            let scope = unsafe bytes.suffix(4).withUnsafeBytes { unsafe $0.loadUnaligned(as: UInt32.self) }
            self = .v6(address, port: Self.port(of: bytes), scope: scope)
            return
        default: break
        }
        throw MalformedReply("an endpoint of \(bytes.count) bytes")
    }

    private static func port(of bytes: ArraySlice<UInt8>) -> UInt16 {
        UInt16(bytes[bytes.startIndex + 2]) << 8 | UInt16(bytes[bytes.startIndex + 3])
    }
}

private func hostOrder(_ value: some FixedWidthInteger & BitwiseCopyable) -> [UInt8] {
    unsafe withUnsafeBytes(of: value) { unsafe Array($0) }
}
