internal import CLinux
internal import Glibc
package import NetworkAddresses
package import SystemPackage

/// A packet, or what is left of one that did not arrive, and what the kernel says of it.
package struct PacketMessage: Sendable {
    /// Bytes in the buffer.
    package let count: Int
    /// Where it came from; of one that did not arrive, where it was to go.
    package let address: SocketAddress
    /// The interface that it came in by, if the socket asks for that: IP_PKTINFO, IPV6_RECVPKTINFO.
    package fileprivate(set) var interface: InterfaceIndex?
    /// Why it did not arrive, as a machine on the way says in ICMP, if the socket asks for that: IP_RECVERR,
    /// IPV6_RECVERR.
    package fileprivate(set) var errno: Errno?
}

extension Socket {
    /// Receives a packet with what the kernel says of it, without waiting. A packet that is longer than `buffer` is cut.
    ///
    /// - Parameter failed: receives from the queue of those that did not arrive.
    /// - Returns: `nil` if none is there.
    package static func receiveMessage(
        from descriptor: FileDescriptor,
        into buffer: inout [UInt8],
        failed: Bool = false
    ) throws(SystemCallError) -> PacketMessage? {
        let flags = Int32(MSG_DONTWAIT) | (failed ? Int32(MSG_ERRQUEUE) : 0)
        return try PacketControl.receive(from: descriptor, into: &buffer, flags: flags)
    }

    /// Sends a packet, without waiting.
    ///
    /// - Parameter source: which address of this machine it is to have; `nil` leaves the choice to the kernel.
    /// - Returns: `false` if the socket takes none now.
    package static func send(
        _ packet: [UInt8],
        to address: SocketAddress,
        from source: IPv4Address?,
        over descriptor: FileDescriptor
    ) throws(SystemCallError) -> Bool {
        var packet = packet
        // struct in_pktinfo: no interface, the source address, and one that the kernel does not read.
        var control =
            source.map {
                PacketControl.message(
                    level: Int32(IPPROTO_IP),
                    type: IP_PKTINFO,
                    [0, 0, 0, 0] + $0.bytes + [0, 0, 0, 0]
                )
            } ?? []
        let sent = try checkWithoutWaiting("send to", address.endpoint.map { "\($0)" } ?? "a socket") {
            unsafe address.withPointer { address, length in
                unsafe packet.withUnsafeMutableBytes { packet in
                    unsafe control.withUnsafeMutableBytes { control in
                        var part = unsafe iovec(iov_base: packet.baseAddress, iov_len: packet.count)
                        return unsafe withUnsafeMutablePointer(to: &part) { part in
                            var message = unsafe msghdr()
                            unsafe message.msg_name = UnsafeMutableRawPointer(mutating: address)
                            unsafe message.msg_namelen = length
                            unsafe message.msg_iov = part
                            unsafe message.msg_iovlen = 1
                            unsafe message.msg_control = control.baseAddress
                            unsafe message.msg_controllen = control.count
                            return unsafe sendmsg(descriptor.rawValue, &message, Int32(MSG_DONTWAIT))
                        }
                    }
                }
            }
        }
        return sent != nil
    }

    /// The address of this machine that the kernel would send to `endpoint` from.
    ///
    /// - Parameter descriptor: a UDP socket of that family that is used for nothing else. Its mark counts.
    /// - Throws: ENETUNREACH and others if there is no way.
    package static func sourceAddress(
        for endpoint: Endpoint,
        over descriptor: FileDescriptor
    ) throws(SystemCallError) -> Endpoint? {
        let address = SocketAddress(endpoint)
        _ = try check("find a way to", "\(endpoint)") {
            unsafe address.withPointer { unsafe Int(CLinux.connect(descriptor.rawValue, $0, $1)) }
        }
        // Undone, or the first address would be kept for all others. Source: connect(2), AF_UNSPEC.
        defer {
            var none = sockaddr()
            none.sa_family = sa_family_t(AF_UNSPEC)
            _ = unsafe CLinux.connect(descriptor.rawValue, &none, socklen_t(MemoryLayout<sockaddr>.size))
        }
        return try localAddress(of: descriptor).endpoint
    }
}

/// The messages beside a packet: the macros of cmsg(3), which Swift does not import.
private enum PacketControl {

    private static let header = MemoryLayout<cmsghdr>.size
    /// Room for what both families tell: the interface with an address, or an error with an address.
    private static let room = 256
    /// Origins of errors. Source: `linux/errqueue.h`.
    private static let originICMP: UInt8 = 2
    private static let originICMPv6: UInt8 = 3

    /// One message with its padding.
    static func message(level: Int32, type: Int32, _ data: [UInt8]) -> [UInt8] {
        var head = cmsghdr()
        head.cmsg_len = header + data.count
        head.cmsg_level = level
        head.cmsg_type = type
        let padding = [UInt8](repeating: 0, count: -data.count & (MemoryLayout<Int>.size - 1))
        return unsafe withUnsafeBytes(of: head) { unsafe Array($0) } + data + padding
    }

    static func receive(
        from descriptor: FileDescriptor,
        into buffer: inout [UInt8],
        flags: Int32
    ) throws(SystemCallError) -> PacketMessage? {
        var control = [UInt8](repeating: 0, count: room)
        var sender = SocketAddress()
        var used = 0
        let count = try checkWithoutWaiting("receive from", "descriptor \(descriptor.rawValue)") {
            unsafe sender.withMutablePointer { address, length in
                unsafe buffer.withUnsafeMutableBytes { buffer in
                    unsafe control.withUnsafeMutableBytes { control in
                        var part = unsafe iovec(iov_base: buffer.baseAddress, iov_len: buffer.count)
                        return unsafe withUnsafeMutablePointer(to: &part) { part in
                            var message = unsafe msghdr()
                            unsafe message.msg_name = UnsafeMutableRawPointer(address)
                            unsafe message.msg_namelen = length.pointee
                            unsafe message.msg_iov = part
                            unsafe message.msg_iovlen = 1
                            unsafe message.msg_control = control.baseAddress
                            unsafe message.msg_controllen = control.count
                            let count = unsafe recvmsg(descriptor.rawValue, &message, flags)
                            unsafe length.pointee = message.msg_namelen
                            used = unsafe message.msg_controllen
                            return count
                        }
                    }
                }
            }
        }
        guard let count else { return nil }
        var message = PacketMessage(count: min(count, buffer.count), address: sender)
        read(control.prefix(used), into: &message)
        return message
    }

    private static func read(_ control: ArraySlice<UInt8>, into message: inout PacketMessage) {
        var rest = control[...]
        while rest.count >= header {
            let head = unsafe rest.withUnsafeBytes { unsafe $0.loadUnaligned(as: cmsghdr.self) }
            let length = Int(head.cmsg_len)
            guard length >= header, length <= rest.count else { return }
            let data = Array(rest.dropFirst(header).prefix(length - header))
            switch (head.cmsg_level, head.cmsg_type) {
            case (Int32(IPPROTO_IP), IP_PKTINFO): message.interface = InterfaceIndex(hostOrder(data, at: 0))
            case (Int32(IPPROTO_IPV6), IPV6_PKTINFO): message.interface = InterfaceIndex(hostOrder(data, at: 16))
            case (Int32(IPPROTO_IP), IP_RECVERR), (Int32(IPPROTO_IPV6), IPV6_RECVERR):
                guard data.count >= 16, [originICMP, originICMPv6].contains(data[4]) else { break }
                message.errno = Errno(rawValue: Int32(truncatingIfNeeded: hostOrder(data, at: 0)))
            default: break
            }
            let step = (length + MemoryLayout<Int>.size - 1) & ~(MemoryLayout<Int>.size - 1)
            rest = rest.dropFirst(step)
        }
    }

    /// Four bytes in the order of this machine; 0 if they are not there.
    private static func hostOrder(_ data: [UInt8], at start: Int) -> UInt32 {
        guard data.count >= start + 4 else { return 0 }
        return unsafe data.withUnsafeBytes { unsafe $0.loadUnaligned(fromByteOffset: start, as: UInt32.self) }
    }
}
