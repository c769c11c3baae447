internal import CMNL
internal import Glibc
public import SystemPackage

/// A netlink socket for what rtnetlink(7) tells by itself. It is apart from those for requests, so that news and
/// answers do not mix. It never waits.
@safe public final class NetlinkSubscription {
    /// A multicast group of rtnetlink.
    public enum Group: Sendable {
        /// Interfaces appear, change and go: RTNLGRP_LINK.
        case links
        /// The same of IPv6 addresses: RTNLGRP_IPV6_IFADDR.
        case addresses
        /// The same of IPv4 addresses: RTNLGRP_IPV4_IFADDR.
        case addressesOfIPv4
        /// Neighbours, fdb entries among them: RTNLGRP_NEIGH.
        case neighbours
        /// Routes of both families: RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE.
        case routes
        /// Rules that choose a routing table: RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE.
        case rules

        fileprivate var numbers: [rtnetlink_groups] {
            switch self {
            case .links: [RTNLGRP_LINK]
            case .addresses: [RTNLGRP_IPV6_IFADDR]
            case .addressesOfIPv4: [RTNLGRP_IPV4_IFADDR]
            case .neighbours: [RTNLGRP_NEIGH]
            case .routes: [RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE]
            case .rules: [RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE]
            }
        }
    }

    /// Size of the kernel's buffer in bytes that is asked for, unless the subscriber knows better. It holds some
    /// hundred messages about links; without CAP_NET_ADMIN the system's own limit (`net.core.rmem_max`) counts.
    public static let receiveBuffer = 1 << 20
    /// Most datagrams that one ``receive(_:)`` takes; the others come with the next.
    public static let datagramsPerCall = 64

    /// How a ``NetlinkSubscription/receive(_:)`` went.
    public struct Reception: Hashable, Sendable {
        /// Whether nothing was lost. After a loss (ENOBUFS) everything must be looked at.
        public var isWhole = true
        /// Whether everything was taken that had come.
        public var isDrained = false
    }

    private let socket: OpaquePointer
    private var buffer = [UInt8](repeating: 0, count: DatagramBuffer.size)

    /// - Parameters:
    ///   - filter: what is to be told. It is in place before the first message can come.
    ///   - receiveBuffer: in bytes.
    public init(
        _ groups: Group...,
        filter: MessageFilter = MessageFilter(),
        receiveBuffer: Int = receiveBuffer
    ) throws(NetlinkError) {
        func failure(_ operation: String) -> NetlinkError {
            .socketFailed(operation: operation, object: "news of \(groups)", errno: Errno(rawValue: errno))
        }
        let flags = Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        guard let socket = unsafe mnl_socket_open2(NETLINK_ROUTE, flags) else { throw failure("open a socket for") }
        unsafe self.socket = unsafe socket
        var size = Int32(receiveBuffer)
        let length = socklen_t(MemoryLayout<Int32>.size)
        let number = unsafe mnl_socket_get_fd(socket)
        if unsafe setsockopt(number, SOL_SOCKET, SO_RCVBUFFORCE, &size, length) != 0 {
            _ = unsafe setsockopt(number, SOL_SOCKET, SO_RCVBUF, &size, length)
        }
        guard unsafe mnl_socket_bind(socket, 0, pid_t(MNL_SOCKET_AUTOPID)) == 0, Self.attach(filter, to: number) else {
            throw failure("subscribe to")
        }
        for group in groups.flatMap(\.numbers) {
            var wanted = group.rawValue
            guard unsafe mnl_socket_setsockopt(socket, NETLINK_ADD_MEMBERSHIP, &wanted, length) == 0 else {
                throw failure("subscribe to")
            }
        }
    }

    deinit { unsafe mnl_socket_close(socket) }

    public var descriptor: FileDescriptor { FileDescriptor(rawValue: unsafe mnl_socket_get_fd(socket)) }

    /// Goes on with another filter. What has come stays.
    public func change(filter: MessageFilter) throws(NetlinkError) {
        guard Self.attach(filter, to: unsafe mnl_socket_get_fd(socket)) else {
            throw .socketFailed(operation: "filter", object: "news", errno: Errno(rawValue: errno))
        }
    }

    /// - Returns: whether the kernel took it; if not, `errno` says why.
    private static func attach(_ filter: MessageFilter, to number: Int32) -> Bool {
        var program = filter.program.map { instruction in
            sock_filter(
                code: instruction.code,
                jt: instruction.ifTrue,
                jf: instruction.ifFalse,
                k: instruction.operand
            )
        }
        return unsafe program.withUnsafeMutableBufferPointer { instructions in
            var description = unsafe sock_fprog(len: UInt16(instructions.count), filter: instructions.baseAddress)
            let size = socklen_t(unsafe MemoryLayout<sock_fprog>.size)
            return unsafe setsockopt(number, SOL_SOCKET, SO_ATTACH_FILTER, &description, size) == 0
        }
    }

    /// Takes what has come.
    ///
    /// - Parameter body: gets each message. It must not keep the message.
    public func receive(
        _ body: (NetlinkReply) throws(MalformedReply) -> Void
    ) throws(NetlinkError) -> Reception {
        var reception = Reception()
        for _ in 0..<Self.datagramsPerCall {
            let count = unsafe buffer.withUnsafeMutableBytes {
                unsafe mnl_socket_recvfrom(socket, $0.baseAddress, $0.count)
            }
            guard count >= 0 else {
                switch Errno(rawValue: errno) {
                case .interrupted: continue
                case .resourceTemporarilyUnavailable:
                    reception.isDrained = true
                    return reception
                // Too many, or one that is longer than any message about a link.
                case .noBufferSpace, .noSpace: reception.isWhole = false
                case let errno: throw .socketFailed(operation: "receive", object: "news", errno: errno)
                }
                continue
            }
            do throws(MalformedReply) {
                var datagram = buffer.prefix(count)
                while let message = try NetlinkReply(takenFrom: &datagram) { try body(message) }
            } catch {
                throw .malformedReply(operation: "receive", object: "news", detail: error.detail)
            }
        }
        return reception
    }
}
