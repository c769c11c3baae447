internal import CSystemd
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
    }

    /// Takes every socket that systemd passed, in the order of the unit files. Close-on-exec and non-blocking are set.
    /// Call it once, before anything else opens a descriptor.
    ///
    /// Source: sd_listen_fds_with_names(3), sd_is_socket(3).
    ///
    /// - Parameter take: gets each socket.
    /// - Throws: EINVAL for a passed descriptor that is not a listening socket of `kind`.
    public static func takeAll(
        of kind: Kind,
        _ take: (consuming ListeningSocket) throws(SystemCallError) -> Void
    ) throws(SystemCallError) {
        var rawNames: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = nil
        let count = unsafe sd_listen_fds_with_names(1, &rawNames)
        guard count >= 0 else {
            throw SystemCallError("take the sockets of", "systemd", errno: Errno(rawValue: -count))
        }
        defer { unsafe free(rawNames) }
        for index in 0..<count {
            var name = ""
            if let names = unsafe rawNames, let text = unsafe names[Int(index)] {
                name = unsafe String(cString: text)
                unsafe free(text)
            }
            let descriptor = OwnedDescriptor(adopting: FileDescriptor(rawValue: KEX_LISTEN_FDS_START + index))
            let number = descriptor.raw.rawValue
            let fits =
                switch kind {
                case .tcp:
                    sd_is_socket(number, AF_INET, Int32(SOCK_STREAM.rawValue), 1) > 0
                        || sd_is_socket(number, AF_INET6, Int32(SOCK_STREAM.rawValue), 1) > 0
                case .unixSequentialPacket:
                    sd_is_socket(number, AF_UNIX, Int32(SOCK_SEQPACKET.rawValue), 1) > 0
                }
            guard fits else {
                throw SystemCallError("listen on", "descriptor \(number) (\(name)) of systemd", errno: .invalidArgument)
            }
            // systemd sets it only with NonBlocking= in the unit.
            let flags = fcntl(number, F_GETFL)
            guard flags >= 0, fcntl(number, F_SETFL, flags | O_NONBLOCK) == 0 else {
                throw SystemCallError("set non-blocking", "descriptor \(number)", errno: Errno(rawValue: errno))
            }
            try take(ListeningSocket(name: name, descriptor: descriptor))
        }
    }
}
