internal import CMNL
internal import Glibc
package import SystemPackage

/// Bytes to the kernel, bytes back: the one thing that tests replace.
package protocol NetlinkTransport: AnyObject {
    /// The number under which the kernel answers this socket.
    var port: UInt32 { get }
    /// Sends one datagram of one or more messages.
    func send(_ bytes: [UInt8]) throws(Errno)
    /// Waits for one datagram and returns its size.
    ///
    /// - Throws: EAGAIN if none came in time, ENOSPC if it is longer than `buffer`.
    func receive(into buffer: inout [UInt8]) throws(Errno) -> Int
}

/// A real netlink socket.
@safe final class KernelTransport: NetlinkTransport {
    private let socket: OpaquePointer
    let port: UInt32

    /// Opens and binds the socket, close-on-exec, with everything switched on that makes answers exact.
    init(protocol number: Int32, timeout: Duration) throws(Errno) {
        guard let socket = unsafe mnl_socket_open2(number, Int32(SOCK_CLOEXEC.rawValue)) else { throw Self.lastError }
        unsafe self.socket = unsafe socket
        guard unsafe mnl_socket_bind(socket, 0, pid_t(MNL_SOCKET_AUTOPID)) == 0 else {
            let error = Self.lastError
            unsafe mnl_socket_close(socket)
            port = 0
            throw error
        }
        port = unsafe mnl_socket_get_portid(socket)
        // The kernel's own words, short acknowledgements, and filters of dumps that are obeyed instead of ignored.
        for option in [NETLINK_EXT_ACK, NETLINK_CAP_ACK, NETLINK_GET_STRICT_CHK] { try turnOn(option) }
        let (seconds, attoseconds) = timeout.components
        var limit = timeval(tv_sec: Int(seconds), tv_usec: Int(attoseconds / 1_000_000_000_000))
        let size = socklen_t(MemoryLayout<timeval>.size)
        let result = unsafe setsockopt(mnl_socket_get_fd(socket), SOL_SOCKET, SO_RCVTIMEO, &limit, size)
        guard result == 0 else { throw Self.lastError }
    }

    deinit { unsafe mnl_socket_close(socket) }

    private func turnOn(_ option: Int32) throws(Errno) {
        var one: Int32 = 1
        let size = socklen_t(MemoryLayout<Int32>.size)
        guard unsafe mnl_socket_setsockopt(socket, option, &one, size) == 0 else { throw Self.lastError }
    }

    func send(_ bytes: [UInt8]) throws(Errno) {
        while unsafe mnl_socket_sendto(socket, bytes, bytes.count) == -1 {
            guard Self.lastError == .interrupted else { throw Self.lastError }
        }
    }

    func receive(into buffer: inout [UInt8]) throws(Errno) -> Int {
        while true {
            let count = unsafe buffer.withUnsafeMutableBytes {
                unsafe mnl_socket_recvfrom(socket, $0.baseAddress, $0.count)
            }
            if count >= 0 { return count }
            guard Self.lastError == .interrupted else { throw Self.lastError }
        }
    }

    private static var lastError: Errno { Errno(rawValue: errno) }
}
