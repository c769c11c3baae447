internal import CLinux
internal import Glibc
internal import NetworkAddresses
internal import SystemCalls
internal import SystemPackage

/// The socket of one member's port, for both families and on all addresses.
enum RelayPort {
    /// Bytes that may wait to be read or sent. Source: SO_RCVBUF of socket(7); the kernel takes the lower of this and
    /// `net.core.rmem_max`.
    private static let bufferSize: Int32 = 4 << 20

    /// - Parameter port: 0 lets the kernel choose.
    /// - Throws: EADDRINUSE if somebody has the port.
    static func open(_ port: UInt16) throws(SystemCallError) -> OwnedDescriptor {
        let kind = Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let number = try check("open a socket for", "port \(port)") { Int(socket(AF_INET6, kind, 0)) }
        let descriptor = OwnedDescriptor(adopting: FileDescriptor(rawValue: Int32(number)))
        let raw = descriptor.raw
        try Socket.set(Int32(IPPROTO_IPV6), IPV6_V6ONLY, to: Int32(0), of: raw)
        try Socket.set(Int32(IPPROTO_IPV6), IPV6_RECVPKTINFO, to: Int32(1), of: raw)
        // As WireGuard: what is too long on its way is cut into fragments.
        try Socket.set(Int32(IPPROTO_IP), IP_MTU_DISCOVER, to: Int32(IP_PMTUDISC_DONT), of: raw)
        try Socket.set(Int32(IPPROTO_IPV6), IPV6_MTU_DISCOVER, to: Int32(IPV6_PMTUDISC_DONT), of: raw)
        try Socket.set(SOL_SOCKET, SO_RCVBUF, to: bufferSize, of: raw)
        try Socket.set(SOL_SOCKET, SO_SNDBUF, to: bufferSize, of: raw)
        var name = sockaddr_in6()
        name.sin6_family = sa_family_t(AF_INET6)
        name.sin6_port = port.bigEndian
        _ = try check("bind", "port \(port)") {
            unsafe withUnsafePointer(to: &name) { name in
                unsafe name.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    unsafe Int(bind(raw.rawValue, $0, socklen_t(MemoryLayout<sockaddr_in6>.size)))
                }
            }
        }
        return descriptor
    }
}
