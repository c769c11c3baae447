internal import Glibc
public import SystemCalls
internal import SystemPackage

/// A listening socket that systemd opened and handed to this process.
public struct ListeningSocket: ~Copyable {
    /// `FileDescriptorName=` of the socket unit; the unit's own name if it has none.
    public let name: String
    public let descriptor: OwnedDescriptor

    /// Takes the descriptor out, to be owned elsewhere.
    public consuming func takeDescriptor() -> OwnedDescriptor { descriptor }

    /// What a socket must be to be taken.
    public enum Kind: Sendable {
        /// A stream socket of IPv4 or IPv6.
        case tcp
        /// A Unix socket of whole packets.
        case unixSequentialPacket

        fileprivate func fits(_ descriptor: FileDescriptor) -> Bool {
            switch self {
            case .tcp:
                Socket.isListener(descriptor, families: [AF_INET, AF_INET6], type: Int32(SOCK_STREAM.rawValue))
            case .unixSequentialPacket:
                Socket.isListener(descriptor, families: [AF_UNIX], type: Int32(SOCK_SEQPACKET.rawValue))
            }
        }
    }

    /// The first descriptor that systemd passes. Source: SD_LISTEN_FDS_START of sd_listen_fds(3).
    private static let firstDescriptor: Int32 = 3

    /// Takes every socket that systemd passed, in the order of the unit files. Close-on-exec and non-blocking are set.
    /// Call it once, before anything else opens a descriptor.
    ///
    /// Source: sd_listen_fds(3), which tells the protocol: `LISTEN_PID`, `LISTEN_FDS`, `LISTEN_FDNAMES`.
    ///
    /// - Parameter take: gets each socket.
    /// - Throws: EISCONN for a passed descriptor that is a connection, EINVAL for any other that is not a listening
    ///   socket of `kind`.
    public static func takeAll(
        of kind: Kind,
        _ take: (consuming ListeningSocket) throws(SystemCallError) -> Void
    ) throws(SystemCallError) {
        defer { ManagerEnvironment.remove("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES") }
        guard ManagerEnvironment.names(thisProcessIn: "LISTEN_PID") == true else { return }
        let count = Int32(clamping: ManagerEnvironment.number("LISTEN_FDS") ?? 0)
        let names = (ManagerEnvironment.text("LISTEN_FDNAMES") ?? "").split(
            separator: ":",
            omittingEmptySubsequences: false
        )
        for index in 0..<max(count, 0) {
            let name = names.indices.contains(Int(index)) ? String(names[Int(index)]) : "unknown"
            let number = firstDescriptor + index
            // systemd leaves close-on-exec to the service, and sets non-blocking only with NonBlocking= in the unit.
            guard fcntl(number, F_SETFD, FD_CLOEXEC) == 0 else {
                throw SystemCallError("use", "descriptor \(number) (\(name)) of systemd", errno: Errno(rawValue: errno))
            }
            let descriptor = OwnedDescriptor(adopting: FileDescriptor(rawValue: number))
            guard kind.fits(descriptor.raw) else {
                // What Accept=yes hands over is a connection.
                let errno: Errno = Socket.isConnected(descriptor.raw) ? .socketIsConnected : .invalidArgument
                throw SystemCallError("listen on", "descriptor \(number) (\(name)) of systemd", errno: errno)
            }
            let flags = fcntl(number, F_GETFL)
            guard flags >= 0, fcntl(number, F_SETFL, flags | O_NONBLOCK) == 0 else {
                throw SystemCallError("set non-blocking", "descriptor \(number)", errno: Errno(rawValue: errno))
            }
            try take(ListeningSocket(name: name, descriptor: descriptor))
        }
    }
}
