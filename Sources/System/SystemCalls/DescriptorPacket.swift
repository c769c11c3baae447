internal import CLinux
internal import Glibc
public import SystemPackage

/// Packets between two processes of one program, of which one may bring a descriptor along.
extension Socket {
    /// Two ends that are connected with each other. Whoever asks owns both.
    ///
    /// Source: socketpair(2).
    public static func pair(_ kind: UnixKind) throws(SystemCallError) -> (FileDescriptor, FileDescriptor) {
        var ends: [Int32] = [-1, -1]
        let flags = Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        _ = try check("make", "a pair of sockets") {
            unsafe Int(socketpair(AF_UNIX, kind.number | flags, 0, &ends))
        }
        return (FileDescriptor(rawValue: ends[0]), FileDescriptor(rawValue: ends[1]))
    }

    /// Sends a packet and with it a descriptor, without waiting, and without SIGPIPE. The receiver gets one of its own;
    /// the one that was sent stays its owner's.
    ///
    /// Source: SCM_RIGHTS of unix(7), cmsg(3).
    ///
    /// - Parameter packet: at least one byte.
    /// - Returns: `false` if the other side takes no packet now.
    /// - Throws: EPIPE or ECONNRESET if the other side is gone, ETOOMANYREFS if it has too many on the way.
    public static func send(
        _ packet: [UInt8],
        with carried: FileDescriptor,
        to descriptor: FileDescriptor
    ) throws(SystemCallError) -> Bool {
        precondition(!packet.isEmpty, "an empty packet is the end of a connection")
        var control = [UInt8](repeating: 0, count: ControlMessage.space)
        unsafe control.withUnsafeMutableBytes { bytes in
            var header = cmsghdr()
            header.cmsg_len = ControlMessage.lengthWithOne
            header.cmsg_level = SOL_SOCKET
            header.cmsg_type = ControlMessage.rights
            unsafe bytes.storeBytes(of: header, as: cmsghdr.self)
            unsafe bytes.storeBytes(of: carried.rawValue, toByteOffset: ControlMessage.header, as: Int32.self)
        }
        var content = packet
        let sent = try checkWithoutWaiting("send to", "descriptor \(descriptor.rawValue)") {
            unsafe content.withUnsafeMutableBytes { content in
                unsafe control.withUnsafeMutableBytes { control in
                    var part = unsafe iovec(iov_base: content.baseAddress, iov_len: content.count)
                    return unsafe withUnsafeMutablePointer(to: &part) { part in
                        var message = unsafe msghdr()
                        unsafe message.msg_iov = unsafe part
                        unsafe message.msg_iovlen = 1
                        unsafe message.msg_control = control.baseAddress
                        unsafe message.msg_controllen = control.count
                        return unsafe sendmsg(
                            descriptor.rawValue,
                            &message,
                            Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL)
                        )
                    }
                }
            }
        }
        return sent != nil
    }

    /// A packet, and what came with it.
    public struct Delivery: ~Copyable {
        public let received: Received
        private var carried: OwnedDescriptor?

        init(_ received: Received, _ carried: consuming OwnedDescriptor?) {
            self.received = received
            self.carried = carried
        }

        /// The descriptor, to be owned elsewhere; `nil` if none came along. It is close-on-exec, and non-blocking if it
        /// was so before.
        public consuming func takeDescriptor() -> OwnedDescriptor? { carried }
    }

    /// Receives a packet, and a descriptor if one comes along, without waiting. A packet that is longer than `buffer`
    /// is cut: have a byte more than a packet may be.
    ///
    /// - Throws: EBADMSG for a packet with more than one descriptor, all of which are closed; ECONNRESET and other
    ///   errors of the connection.
    public static func receiveDelivery(
        from descriptor: FileDescriptor,
        into buffer: inout [UInt8]
    ) throws(SystemCallError) -> Delivery {
        var control = [UInt8](repeating: 0, count: ControlMessage.space)
        var used = 0
        let count = try checkWithoutWaiting("receive from", "descriptor \(descriptor.rawValue)") {
            unsafe buffer.withUnsafeMutableBytes { buffer in
                unsafe control.withUnsafeMutableBytes { control in
                    var part = unsafe iovec(iov_base: buffer.baseAddress, iov_len: buffer.count)
                    return unsafe withUnsafeMutablePointer(to: &part) { part in
                        var message = unsafe msghdr()
                        unsafe message.msg_iov = unsafe part
                        unsafe message.msg_iovlen = 1
                        unsafe message.msg_control = control.baseAddress
                        unsafe message.msg_controllen = control.count
                        let flags = Int32(MSG_DONTWAIT) | Int32(MSG_CMSG_CLOEXEC)
                        let count = unsafe recvmsg(descriptor.rawValue, &message, flags)
                        used = unsafe message.msg_controllen
                        return count
                    }
                }
            }
        }
        guard let count else { return Delivery(.nothingYet, nil) }
        let carried = ControlMessage.descriptors(in: control.prefix(used))
        guard carried.count <= 1 else {
            for number in carried { Glibc.close(number) }
            throw SystemCallError("receive", "a packet with \(carried.count) descriptors", errno: .badMessage)
        }
        return Delivery(count == 0 ? .end : .bytes(count), carried.first.map { OwnedDescriptor(adopting: $0) })
    }
}

/// The macros of cmsg(3), which Swift does not import.
private enum ControlMessage {
    static let rights = Int32(SCM_RIGHTS)
    /// CMSG_LEN(0).
    static let header = MemoryLayout<cmsghdr>.size
    /// CMSG_LEN of one descriptor.
    static let lengthWithOne = header + MemoryLayout<Int32>.size
    /// CMSG_SPACE of one descriptor. There is room for two.
    static let space = header + MemoryLayout<Int>.size

    /// The descriptors of the only message that there is room for.
    static func descriptors(in control: ArraySlice<UInt8>) -> [Int32] {
        unsafe control.withUnsafeBytes { bytes in
            guard bytes.count >= header else { return [] }
            let first = unsafe bytes.loadUnaligned(as: cmsghdr.self)
            guard first.cmsg_level == SOL_SOCKET, first.cmsg_type == rights else { return [] }
            let end = min(Int(first.cmsg_len), bytes.count)
            return stride(from: header, to: end - 3, by: 4).map {
                unsafe bytes.loadUnaligned(fromByteOffset: $0, as: Int32.self)
            }
        }
    }
}
