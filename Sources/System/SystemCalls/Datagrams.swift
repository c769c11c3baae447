internal import CLinux
public import NetworkAddresses
public import SystemPackage

/// UDP, and what else has a sender for each packet.
extension Socket {
    /// A UDP socket for what comes to `endpoint` only.
    ///
    /// - Parameter endpoint: a link-local address with the interface as its scope; port 0 lets the kernel choose.
    /// - Throws: EADDRINUSE if another process has the port, EADDRNOTAVAIL if the address is not there or still looks
    ///   for duplicates.
    public static func datagrams(at endpoint: Endpoint) throws(SystemCallError) -> OwnedDescriptor {
        let address = SocketAddress(endpoint)
        let kind = Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let number = try check("open a socket for", "\(endpoint)") { Int(socket(address.family, kind, 0)) }
        let descriptor = OwnedDescriptor(adopting: Int32(number))
        _ = try check("bind", "\(endpoint)") {
            unsafe address.withPointer { unsafe Int(bind(descriptor.raw.rawValue, $0, $1)) }
        }
        return descriptor
    }

    /// Receives a packet and its sender's address, without waiting. A packet that is longer than `buffer` is cut: have
    /// a byte more than a packet may be.
    ///
    /// - Returns: how many bytes, which may be none; `nil` if no packet is there.
    /// - Throws: what an earlier packet met on its way, such as ECONNREFUSED, and other errors of the socket.
    public static func receive(
        over descriptor: FileDescriptor,
        into buffer: inout [UInt8]
    ) throws(SystemCallError) -> (count: Int, sender: SocketAddress)? {
        var sender = SocketAddress()
        let count = try checkWithoutWaiting("receive from", "descriptor \(descriptor.rawValue)") {
            unsafe buffer.withUnsafeMutableBytes { buffer in
                unsafe sender.withMutablePointer { address, length in
                    unsafe recvfrom(
                        descriptor.rawValue,
                        buffer.baseAddress,
                        buffer.count,
                        Int32(MSG_DONTWAIT),
                        address,
                        length
                    )
                }
            }
        }
        return count.map { ($0, sender) }
    }
}
