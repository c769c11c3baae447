internal import Glibc
internal import NetworkAddresses
internal import SystemCalls
internal import SystemPackage

/// A question to the gateway through the tunnel, so that something comes back if its session lives: ping's own packet,
/// which every host answers (RFC 4443, section 4.1).
struct Echo: ~Copyable {
    private let socket: OwnedDescriptor
    private let address: sockaddr_in6

    /// ICMPv6_ECHO_REQUEST, code 0, a checksum that the kernel fills in (RFC 3542, section 3.1), identifier, number.
    private static let request: [UInt8] = [128, 0, 0, 0, 0x6b, 0x65, 0, 1]

    /// - Parameter index: of the interface that the link-local address is behind.
    init(to address: IPv6Address, through index: InterfaceIndex) throws(SystemCallError) {
        let number = Glibc.socket(
            AF_INET6,
            Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue),
            Int32(IPPROTO_ICMPV6)
        )
        guard number >= 0 else { throw SystemCallError("make a socket for", "ICMPv6", errno: Errno(rawValue: errno)) }
        socket = OwnedDescriptor(adopting: FileDescriptor(rawValue: number))
        var end = sockaddr_in6()
        end.sin6_family = sa_family_t(AF_INET6)
        unsafe withUnsafeMutableBytes(of: &end.sin6_addr) { unsafe $0.copyBytes(from: address.bytes) }
        end.sin6_scope_id = index.number
        self.address = end
    }

    /// Sends one; what cannot be sent is not answered either.
    func send() {
        _ = unsafe withUnsafeBytes(of: address) { end in
            unsafe Self.request.withUnsafeBytes { request in
                unsafe sendto(
                    socket.raw.rawValue,
                    request.baseAddress,
                    request.count,
                    Int32(MSG_DONTWAIT),
                    end.baseAddress?.assumingMemoryBound(to: sockaddr.self),
                    socklen_t(end.count)
                )
            }
        }
    }
}
