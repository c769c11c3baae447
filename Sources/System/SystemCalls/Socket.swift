internal import CLinux
internal import Glibc
public import NetworkAddresses
public import SystemPackage

/// The socket calls of this project, each with its errors named. All descriptors are close-on-exec from birth, and
/// non-blocking unless said otherwise.
public enum Socket {
    /// What kind of connection a Unix socket makes.
    public enum UnixKind: Sendable {
        /// A stream of bytes.
        case stream
        /// Whole packets, in order: one send is one receive.
        case sequentialPacket
        /// Packets for whoever has the path, as the journal's. Not to be listened on.
        case datagram

        var number: Int32 {
            switch self {
            case .stream: Int32(SOCK_STREAM.rawValue)
            case .sequentialPacket: Int32(SOCK_SEQPACKET.rawValue)
            case .datagram: Int32(SOCK_DGRAM.rawValue)
            }
        }
    }

    /// What a receive brought.
    public enum Received: Hashable, Sendable {
        /// This many bytes, at least one.
        case bytes(Int)
        /// The other side will send nothing more.
        case end
        /// Nothing is there now.
        case nothingYet
    }

    /// A connection that was waiting, and where it comes from.
    public struct Accepted: ~Copyable {
        public let descriptor: OwnedDescriptor
        public let address: SocketAddress

        /// Takes the descriptor out, to be owned elsewhere.
        public consuming func takeDescriptor() -> OwnedDescriptor { descriptor }
    }

    private static let flags = Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)

    private static func make(_ family: Int32, _ kind: Int32, for object: String) throws(SystemCallError)
        -> OwnedDescriptor
    {
        OwnedDescriptor(
            adopting: Int32(try check("open a socket for", object) { Int(socket(family, kind | flags, 0)) })
        )
    }

    // MARK: - Unix sockets

    private static func address(ofPath path: String) throws(SystemCallError) -> SocketAddress {
        guard let address = SocketAddress(path: path) else {
            throw SystemCallError("use as a socket path", path, errno: .fileNameTooLong)
        }
        return address
    }

    /// Connects to the Unix socket at `path`. On a Unix socket this never waits: it works or fails at once.
    ///
    /// - Throws: ENOENT and ECONNREFUSED if nobody listens there, EAGAIN if the listener's queue is full.
    public static func connect(toPath path: String, kind: UnixKind) throws(SystemCallError) -> OwnedDescriptor {
        try connect(to: try address(ofPath: path), kind: kind)
    }

    /// Connects to the Unix socket at `address`, as ``connect(toPath:kind:)`` does.
    public static func connect(to address: SocketAddress, kind: UnixKind) throws(SystemCallError) -> OwnedDescriptor {
        let name = address.path ?? "an abstract socket"
        let descriptor = try make(AF_UNIX, kind.number, for: name)
        _ = try check("connect to", name) {
            unsafe address.withPointer { unsafe Int(CLinux.connect(descriptor.raw.rawValue, $0, $1)) }
        }
        return descriptor
    }

    /// Listens on a new Unix socket at `path`, in place of one that nobody listens on any more.
    ///
    /// - Parameter permissions: of the socket's file; the umask does not count.
    /// - Throws: EADDRINUSE if a living process listens there.
    public static func listen(
        atPath path: String,
        kind: UnixKind,
        permissions: FilePermissions
    ) throws(SystemCallError) -> OwnedDescriptor {
        let address = try address(ofPath: path)
        let descriptor = try make(AF_UNIX, kind.number, for: path)
        try removeAbandonedSocket(at: path, kind: kind)
        _ = try check("bind", path) {
            unsafe address.withPointer { unsafe Int(bind(descriptor.raw.rawValue, $0, $1)) }
        }
        _ = try check("set the permissions of", path) { unsafe Int(chmod(path, permissions.rawValue)) }
        _ = try check("listen on", path) { Int(CLinux.listen(descriptor.raw.rawValue, SOMAXCONN)) }
        return descriptor
    }

    /// Takes away what a killed process left behind: a socket's file on which nobody listens. bind(2) would refuse it.
    private static func removeAbandonedSocket(at path: String, kind: UnixKind) throws(SystemCallError) {
        var status = stat()
        guard unsafe lstat(path, &status) == 0, status.st_mode & mode_t(CLinux.S_IFMT) == mode_t(CLinux.S_IFSOCK) else {
            return
        }
        do throws(SystemCallError) {
            _ = try connect(toPath: path, kind: kind)
        } catch {
            // Any other error means that somebody is there, or that it is not ours to judge: bind will say so.
            if error.errno == .connectionRefused { unsafe unlink(path) }
        }
    }

    /// Takes a socket's file away, if it is there.
    public static func removeFile(at path: String) { unsafe unlink(path) }

    /// The group that the file at `path` belongs to.
    public static func group(ofFileAt path: String) throws(SystemCallError) -> UInt32 {
        var status = stat()
        _ = try check("look at", path) { unsafe Int(stat(path, &status)) }
        return status.st_gid
    }

    // MARK: - TCP

    /// Listens on a new TCP socket. An IPv6 wildcard address takes IPv4 connections as well, as IPv4-mapped ones.
    ///
    /// - Parameter endpoint: port 0 lets the kernel choose; ``localEndpoint(of:)`` tells which.
    public static func listen(on endpoint: Endpoint) throws(SystemCallError) -> OwnedDescriptor {
        let address = SocketAddress(endpoint)
        let descriptor = try make(address.family, UnixKind.stream.number, for: "\(endpoint)")
        // A restart must not wait for the old connections' TIME_WAIT: the closing side is this one.
        try set(SOL_SOCKET, SO_REUSEADDR, to: Int32(1), of: descriptor.raw)
        if address.family == AF_INET6 { try set(Int32(IPPROTO_IPV6), IPV6_V6ONLY, to: Int32(0), of: descriptor.raw) }
        _ = try check("bind", "\(endpoint)") {
            unsafe address.withPointer { unsafe Int(bind(descriptor.raw.rawValue, $0, $1)) }
        }
        _ = try check("listen on", "\(endpoint)") { Int(CLinux.listen(descriptor.raw.rawValue, backlog)) }
        return descriptor
    }

    /// Connections that may wait for ``accept(from:)``; the kernel takes the lower of this and net.core.somaxconn.
    public static let backlog: Int32 = 4096

    /// Lets ``backlog`` connections wait at a listening socket, for which somebody else has called listen(2) with less.
    public static func setBacklog(of listener: FileDescriptor) throws(SystemCallError) {
        _ = try check("listen on", "descriptor \(listener.rawValue)") {
            Int(CLinux.listen(listener.rawValue, backlog))
        }
    }

    /// Starts to connect to `endpoint`. The connection is there, or has failed, when the descriptor is writable:
    /// ``pendingError(of:)`` tells which.
    public static func startConnecting(to endpoint: Endpoint) throws(SystemCallError) -> OwnedDescriptor {
        let address = SocketAddress(endpoint)
        let descriptor = try make(address.family, UnixKind.stream.number, for: "\(endpoint)")
        do throws(SystemCallError) {
            _ = try check("connect to", "\(endpoint)") {
                unsafe address.withPointer { unsafe Int(CLinux.connect(descriptor.raw.rawValue, $0, $1)) }
            }
        } catch  where error.errno == .nowInProgress {}
        return descriptor
    }

    // MARK: - Both

    /// Takes one waiting connection, or returns `nil` if none waits. The address is empty for a Unix socket.
    ///
    /// - Throws: EMFILE and ENFILE if there is no descriptor left; the connection goes on waiting.
    public static func accept(
        from listener: FileDescriptor
    ) throws(SystemCallError) -> Accepted? {
        while true {
            var address = SocketAddress()
            do throws(SystemCallError) {
                let number = try checkWithoutWaiting("accept a connection on", "descriptor \(listener.rawValue)") {
                    unsafe address.withMutablePointer { unsafe Int(accept4(listener.rawValue, $0, $1, flags)) }
                }
                guard let number else { return nil }
                return Accepted(descriptor: OwnedDescriptor(adopting: Int32(number)), address: address)
            } catch {
                // The client was gone before we came: not an error of the listener.
                guard error.errno == .connectionAbort else { throw error }
            }
        }
    }

    /// Receives what is there, up to `buffer.count` bytes, without waiting.
    ///
    /// - Throws: ECONNRESET and other errors of the connection.
    public static func receive(
        from descriptor: FileDescriptor,
        into buffer: inout MutableRawSpan
    ) throws(SystemCallError) -> Received {
        let count = try checkWithoutWaiting("receive from", "descriptor \(descriptor.rawValue)") {
            unsafe buffer.withUnsafeMutableBytes {
                unsafe recv(descriptor.rawValue, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT))
            }
        }
        guard let count else { return .nothingYet }
        return count == 0 ? .end : .bytes(count)
    }

    /// Receives what is there into `buffer`, which must not be empty, without waiting.
    public static func receive(
        from descriptor: FileDescriptor,
        into buffer: inout [UInt8]
    ) throws(SystemCallError) -> Received {
        var span = buffer.mutableSpan
        var bytes = unsafe span.mutableBytes
        return try receive(from: descriptor, into: &bytes)
    }

    /// Sends the bytes, or the first part of them, as ``send(_:to:)-(RawSpan,_)`` does.
    public static func send(_ bytes: [UInt8], to descriptor: FileDescriptor) throws(SystemCallError) -> Int? {
        try send(unsafe bytes.span.bytes, to: descriptor)
    }

    /// Sends the bytes, or the first part of them, without waiting, and without SIGPIPE.
    ///
    /// - Returns: how many were taken; `nil` if the socket takes none now. A packet is taken whole or not at all.
    public static func send(_ bytes: RawSpan, to descriptor: FileDescriptor) throws(SystemCallError) -> Int? {
        try checkWithoutWaiting("send to", "descriptor \(descriptor.rawValue)") {
            unsafe bytes.withUnsafeBytes {
                unsafe CLinux.send(
                    descriptor.rawValue,
                    $0.baseAddress,
                    $0.count,
                    Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL)
                )
            }
        }
    }

    /// A socket for packets to whoever has a path.
    public static func datagramSocket() throws(SystemCallError) -> OwnedDescriptor {
        try make(AF_UNIX, UnixKind.datagram.number, for: "packets")
    }

    /// Sends one packet to `address`, without waiting.
    ///
    /// - Parameter descriptor: a socket of the address's family that is not connected.
    /// - Returns: `nil` if the receiver's queue is full.
    public static func send(
        _ packet: [UInt8],
        to address: SocketAddress,
        over descriptor: FileDescriptor
    ) throws(SystemCallError) -> Int? {
        let flags = Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL)
        return try checkWithoutWaiting("send to", address.path ?? "a socket") {
            unsafe address.withPointer { address, length in
                unsafe packet.withUnsafeBytes {
                    unsafe sendto(descriptor.rawValue, $0.baseAddress, $0.count, flags, address, length)
                }
            }
        }
    }

    /// Whether this is a socket that connections can be accepted from, of one of these families and of this type.
    ///
    /// Source: SO_DOMAIN, SO_TYPE, SO_ACCEPTCONN of socket(7).
    package static func isListener(_ descriptor: FileDescriptor, families: [Int32], type: Int32) -> Bool {
        do throws(SystemCallError) {
            let family = try get(SOL_SOCKET, SO_DOMAIN, of: descriptor, as: Int32.self)
            let ownType = try get(SOL_SOCKET, SO_TYPE, of: descriptor, as: Int32.self)
            let accepts = try get(SOL_SOCKET, SO_ACCEPTCONN, of: descriptor, as: Int32.self) != 0
            return families.contains(family) && ownType == type && accepts
        } catch {
            return false  // no socket at all
        }
    }

    /// Whether this is a socket that has somebody at its other end. Source: getpeername(2).
    package static func isConnected(_ descriptor: FileDescriptor) -> Bool {
        var length = socklen_t(0)
        var nothing = sockaddr()
        return unsafe getpeername(descriptor.rawValue, &nothing, &length) == 0
    }

    /// Chooses how a TCP connection ends when it is closed, or when its process dies: with a reset, or in order. One
    /// that holds bytes which nobody has read ends with a reset in any case (RFC 2525, section 2.17; measured). What is
    /// chosen for a listener is so for each connection that reaches it from then on.
    ///
    /// Source: SO_LINGER of socket(7) with a time of zero.
    public static func setReset(_ resets: Bool, atCloseOf descriptor: FileDescriptor) throws(SystemCallError) {
        try set(SOL_SOCKET, SO_LINGER, to: linger(l_onoff: resets ? 1 : 0, l_linger: 0), of: descriptor)
    }

    /// Tells the other side that nothing more will be sent. Receiving goes on. A connection that is gone is no error.
    public static func finishSending(to descriptor: FileDescriptor) {
        _ = shutdown(descriptor.rawValue, Int32(SHUT_WR))
    }

    /// The error that ended an asynchronous connect, or `nil` if it worked. Reading it clears it.
    public static func pendingError(of descriptor: FileDescriptor) throws(SystemCallError) -> Errno? {
        let number = try get(SOL_SOCKET, SO_ERROR, of: descriptor, as: Int32.self)
        return number == 0 ? nil : Errno(rawValue: number)
    }

    /// The address that the socket is bound to.
    public static func localAddress(of descriptor: FileDescriptor) throws(SystemCallError) -> SocketAddress {
        var address = SocketAddress()
        _ = try check("get the address of", "descriptor \(descriptor.rawValue)") {
            unsafe address.withMutablePointer { unsafe Int(getsockname(descriptor.rawValue, $0, $1)) }
        }
        return address
    }

    // MARK: - Options

    package static func set<Value: BitwiseCopyable>(
        _ level: Int32,
        _ option: Int32,
        to value: Value,
        of descriptor: FileDescriptor
    ) throws(SystemCallError) {
        _ = try check("set an option of", "descriptor \(descriptor.rawValue): number \(option)") {
            unsafe withUnsafeBytes(of: value) {
                unsafe Int(setsockopt(descriptor.rawValue, level, option, $0.baseAddress, socklen_t($0.count)))
            }
        }
    }

    static func get<Value: BitwiseCopyable>(
        _ level: Int32,
        _ option: Int32,
        of descriptor: FileDescriptor,
        as type: Value.Type
    ) throws(SystemCallError) -> Value {
        try unsafe withUnsafeTemporaryAllocation(of: Value.self, capacity: 1) { buffer throws(SystemCallError) in
            var length = socklen_t(MemoryLayout<Value>.size)
            unsafe UnsafeMutableRawBufferPointer(buffer).initializeMemory(as: UInt8.self, repeating: 0)
            _ = try check("get an option of", "descriptor \(descriptor.rawValue): number \(option)") {
                unsafe Int(getsockopt(descriptor.rawValue, level, option, buffer.baseAddress, &length))
            }
            return unsafe buffer[0]
        }
    }
}
