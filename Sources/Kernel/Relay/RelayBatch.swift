internal import CLinux
internal import Glibc
internal import NetworkAddresses
internal import SystemCalls
internal import SystemPackage

/// Where a packet came from or goes to: an IPv6 address, or an IPv4 one as a mapped one, with a port.
struct RelayAddress: Hashable, Sendable {
    let address: IPv6Address
    let port: UInt16
    /// The interface of a link-local address, 0 for others.
    let scope: UInt32

    var endpoint: Endpoint {
        address.mappedIPv4.map { .v4($0, port: port) } ?? .v6(address, port: port, scope: scope)
    }
}

/// Room for the packets of one round. What came in is sent on from the same bytes. All unsafe code of the relay is here.
@safe final class RelayBatch {
    /// Most packets of a round.
    static let count = 64
    /// A longer packet is not forwarded. In bytes, without headers. The internet's have at most 1,472.
    static let longestPacket = 2048
    /// Room for `struct in6_pktinfo` with its head.
    private static let controlRoom = 64
    private static let header = MemoryLayout<cmsghdr>.size
    /// CMSG_LEN and CMSG_SPACE of `struct in6_pktinfo`, which has 20 bytes.
    private static let controlLength = header + 20
    private static let controlSpace = header + 24

    private let payloads = UnsafeMutableRawPointer.allocate(byteCount: count * longestPacket, alignment: 64)
    private let controls = UnsafeMutableRawPointer.allocate(byteCount: 2 * count * controlRoom, alignment: 16)
    private let names = UnsafeMutablePointer<sockaddr_in6>.allocate(capacity: 2 * count)
    private let parts = UnsafeMutablePointer<iovec>.allocate(capacity: 2 * count)
    /// The first half is what came, the second what is to be sent.
    private let messages = UnsafeMutablePointer<kex_mmsghdr>.allocate(capacity: 2 * count)
    private(set) var queued = 0

    init() {
        unsafe names.initialize(repeating: sockaddr_in6(), count: 2 * Self.count)
        unsafe parts.initialize(repeating: iovec(), count: 2 * Self.count)
        unsafe messages.initialize(repeating: kex_mmsghdr(), count: 2 * Self.count)
        for index in 0..<2 * Self.count {
            unsafe messages[index].msg_hdr.msg_name = UnsafeMutableRawPointer(names + index)
            unsafe messages[index].msg_hdr.msg_iov = parts + index
            unsafe messages[index].msg_hdr.msg_iovlen = 1
            unsafe messages[index].msg_hdr.msg_control = controls + index * Self.controlRoom
        }
    }

    deinit {
        unsafe payloads.deallocate()
        unsafe controls.deallocate()
        unsafe names.deallocate()
        unsafe parts.deallocate()
        unsafe messages.deallocate()
    }

    // MARK: - Receiving

    /// Receives what is there, without waiting.
    ///
    /// - Returns: how many packets, at most ``count``; 0 if none is there, or an error of an earlier packet is told of.
    func receive(from descriptor: FileDescriptor) -> Int {
        for index in 0..<Self.count {
            unsafe parts[index] = iovec(iov_base: payloads + index * Self.longestPacket, iov_len: Self.longestPacket)
            unsafe messages[index].msg_hdr.msg_namelen = socklen_t(MemoryLayout<sockaddr_in6>.size)
            unsafe messages[index].msg_hdr.msg_controllen = Self.controlRoom
        }
        let result = unsafe recvmmsg(descriptor.rawValue, messages, UInt32(Self.count), Int32(MSG_DONTWAIT), nil)
        return max(Int(result), 0)
    }

    /// The length of packet `index`; `nil` if it was cut, or is not of IPv6.
    func length(_ index: Int) -> Int? {
        let message = unsafe messages[index]
        guard unsafe message.msg_hdr.msg_flags & Int32(MSG_TRUNC) == 0, unsafe names[index].sin6_family == AF_INET6
        else { return nil }
        return unsafe min(Int(message.msg_len), Self.longestPacket)
    }

    func source(_ index: Int) -> RelayAddress {
        let name = unsafe names[index]
        return RelayAddress(
            address: Self.address(name.sin6_addr),
            port: UInt16(bigEndian: name.sin6_port),
            scope: name.sin6_scope_id
        )
    }

    /// The address of this machine that packet `index` came to, `nil` if the kernel does not say.
    func local(_ index: Int) -> IPv6Address? {
        let used = unsafe Int(messages[index].msg_hdr.msg_controllen)
        let control = unsafe UnsafeRawPointer(controls + index * Self.controlRoom)
        guard used >= Self.controlLength, used <= Self.controlRoom else { return nil }
        let head = unsafe control.loadUnaligned(as: cmsghdr.self)
        guard head.cmsg_level == Int32(IPPROTO_IPV6), head.cmsg_type == IPV6_PKTINFO,
            head.cmsg_len >= Self.controlLength
        else { return nil }
        return unsafe Self.address(control.loadUnaligned(fromByteOffset: Self.header, as: in6_addr.self))
    }

    /// Lends the bytes of packet `index`.
    func withBytes<Result>(_ index: Int, _ body: (Span<UInt8>) -> Result) -> Result {
        let start = unsafe (payloads + index * Self.longestPacket).assumingMemoryBound(to: UInt8.self)
        let bytes = unsafe UnsafeBufferPointer(start: start, count: length(index) ?? 0)
        return unsafe body(bytes.span)
    }

    /// Puts other bytes in the place of packet `index`, whether there was one or not.
    func replace(_ index: Int, with bytes: [UInt8]) {
        precondition(bytes.count <= Self.longestPacket, "an answer is short")
        unsafe (payloads + index * Self.longestPacket).copyMemory(from: bytes, byteCount: bytes.count)
        unsafe messages[index].msg_len = UInt32(bytes.count)
        unsafe messages[index].msg_hdr.msg_flags = 0
        unsafe names[index].sin6_family = sa_family_t(AF_INET6)
    }

    // MARK: - Sending

    /// Takes packet `index` into what ``flush(over:)`` sends.
    ///
    /// - Parameter local: the address of this machine that it is to have, `nil` for the kernel's choice.
    func queue(_ index: Int, to destination: RelayAddress, from local: IPv6Address?) {
        let place = Self.count + queued
        queued += 1
        var name = sockaddr_in6()
        name.sin6_family = sa_family_t(AF_INET6)
        name.sin6_addr = Self.bytes(destination.address)
        name.sin6_port = destination.port.bigEndian
        name.sin6_scope_id = destination.scope
        unsafe names[place] = name
        unsafe parts[place] = iovec(iov_base: payloads + index * Self.longestPacket, iov_len: length(index) ?? 0)
        unsafe messages[place].msg_hdr.msg_namelen = socklen_t(MemoryLayout<sockaddr_in6>.size)
        unsafe messages[place].msg_hdr.msg_controllen = 0
        guard let local else { return }
        let control = unsafe controls + place * Self.controlRoom
        var head = cmsghdr()
        head.cmsg_len = Self.controlLength
        head.cmsg_level = Int32(IPPROTO_IPV6)
        head.cmsg_type = IPV6_PKTINFO
        unsafe control.storeBytes(of: head, as: cmsghdr.self)
        unsafe control.storeBytes(of: Self.bytes(local), toByteOffset: Self.header, as: in6_addr.self)
        // No interface: the route decides, or the scope of the destination.
        unsafe control.storeBytes(of: 0, toByteOffset: Self.header + 16, as: UInt64.self)
        unsafe messages[place].msg_hdr.msg_controllen = Self.controlSpace
    }

    /// Sends what is queued, without waiting.
    ///
    /// - Returns: how many packets the kernel did not take. They are lost, as in any router that is too busy.
    func flush(over descriptor: FileDescriptor) -> Int {
        var (next, lost) = (0, 0)
        while next < queued {
            let start = unsafe messages + Self.count + next
            let sent = unsafe Int(sendmmsg(descriptor.rawValue, start, UInt32(queued - next), Int32(MSG_DONTWAIT)))
            if sent > 0 {
                next += sent
            } else {
                // Without room for one there is none for the next; any other error is of this packet only.
                let isFull = [EAGAIN, EWOULDBLOCK, ENOBUFS].contains(errno)
                lost += isFull ? queued - next : 1
                next = isFull ? queued : next + 1
            }
        }
        queued = 0
        return lost
    }

    private static func address(_ bytes: in6_addr) -> IPv6Address {
        unsafe withUnsafeBytes(of: bytes) {
            unsafe IPv6Address(
                high: UInt64(bigEndian: $0.loadUnaligned(as: UInt64.self)),
                low: UInt64(bigEndian: $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
            )
        }
    }

    private static func bytes(_ address: IPv6Address) -> in6_addr {
        var bytes = in6_addr()
        unsafe withUnsafeMutableBytes(of: &bytes) {
            unsafe $0.storeBytes(of: address.high.bigEndian, as: UInt64.self)
            unsafe $0.storeBytes(of: address.low.bigEndian, toByteOffset: 8, as: UInt64.self)
        }
        return bytes
    }
}
