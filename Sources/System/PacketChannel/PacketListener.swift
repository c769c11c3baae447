public import EventLoop
public import SystemCalls
internal import SystemPackage

/// A local socket that programs connect to with whole packets (SOCK_SEQPACKET).
public final class PacketListener {
    /// Of the socket's file.
    public let path: String
    private let descriptor: OwnedDescriptor
    /// Whether the file is ours to remove.
    private let ownsFile: Bool
    /// Whether the event loop watches it.
    private var isWatched = false

    /// Connections that are accepted before others have their turn: whoever connects again and again is one of many.
    public static let acceptedPerRound = 64
    /// Pause after ``accept(_:limit:)`` failed, because the connection that waits would wake the loop again at once.
    public static let acceptPause = Duration.milliseconds(100)

    /// Why a connection was closed at once.
    public enum Refusal: Hashable, Sendable, CustomStringConvertible {
        /// The user may not use the socket.
        case stranger(PeerCredentials, path: String)
        /// There is no place left for the user.
        case noPlace(PeerCredentials, path: String)

        public var description: String {
            switch self {
            case .stranger(let peer, let path): "process \(peer.process) of user \(peer.user) may not use \(path)"
            case .noPlace(let peer, let path):
                "no place left at \(path) for process \(peer.process) of user \(peer.user)"
            }
        }
    }

    /// What became of a connection that waited.
    public enum Accepted {
        case connection(PacketConnection, PeerCredentials)
        case refused(Refusal)
    }

    /// A new socket, in place of one that nobody listens on any more. Members of its file's group may connect. The file
    /// is removed with the listener.
    ///
    /// - Throws: EADDRINUSE if a living process listens there.
    public init(path: String) throws(SystemCallError) {
        let permissions: FilePermissions = [.ownerReadWrite, .groupReadWrite]
        descriptor = try Socket.listen(atPath: path, kind: .sequentialPacket, permissions: permissions)
        self.path = path
        ownsFile = true
    }

    /// A socket that listens already, whose file is somebody else's.
    ///
    /// - Parameter name: stands for the path of a socket that has none.
    public init(adopting descriptor: consuming OwnedDescriptor, named name: String) throws(SystemCallError) {
        path = try Socket.localAddress(of: descriptor.raw).path ?? name
        self.descriptor = descriptor
        ownsFile = false
    }

    deinit { if ownsFile { Socket.removeFile(at: path) } }

    /// Has `loop` report waiting connections under `token`, or no longer.
    public func setWatched(_ new: Bool, on loop: borrowing EventLoop, token: UInt64) throws(SystemCallError) {
        guard new != isWatched else { return }
        if new {
            try loop.watch(descriptor.raw, for: .readable, token: token)
        } else {
            try loop.stopWatching(descriptor.raw)
        }
        isWatched = new
    }

    /// Takes one waiting connection, if its user may use the socket and has a place left. One too many is closed at
    /// once: left waiting, it would shut out whoever comes behind it.
    ///
    /// - Parameters:
    ///   - places: gives the connection a place, which ``ConnectionPlaces/leave(_:)`` gives back.
    ///   - limit: the longest packet that is received over it, in bytes.
    /// - Returns: `nil` if no connection waits.
    /// - Throws: EMFILE and ENFILE if there is no descriptor left; the connection goes on waiting.
    public func accept(_ places: inout ConnectionPlaces, limit: Int) throws(SystemCallError) -> Accepted? {
        guard let accepted = try Socket.accept(from: descriptor.raw) else { return nil }
        let connected = accepted.takeDescriptor()
        let peer = try PeerCredentials(of: connected.raw)
        guard try peer.mayUse(socketAt: path) else { return .refused(.stranger(peer, path: path)) }
        guard places.take(for: peer.user) else { return .refused(.noPlace(peer, path: path)) }
        return .connection(PacketConnection(connected, limit: limit, congestion: .pausesReceiving), peer)
    }
}
