internal import HandlerChannel
internal import SystemCalls
internal import Systemd
internal import SystemPackage

/// A local socket that programs connect to.
final class LocalSocketListener {
    let socket: HandlerSocket
    /// Of the socket's file.
    let path: String
    private let descriptor: OwnedDescriptor
    /// Whether the file is ours to remove: systemd keeps its own.
    private let ownsFile: Bool
    /// Whether the event loop watches it.
    var isWatched = false

    private init(_ descriptor: consuming OwnedDescriptor, socket: HandlerSocket, path: String, ownsFile: Bool) {
        self.descriptor = descriptor
        self.socket = socket
        self.path = path
        self.ownsFile = ownsFile
    }

    deinit { if ownsFile { Socket.removeFile(at: path) } }

    var raw: FileDescriptor { descriptor.raw }

    /// A socket of our own, which members of its file's group may connect to.
    convenience init(_ socket: HandlerSocket, path: String) throws(SystemCallError) {
        let descriptor = try Socket.listen(
            atPath: path,
            kind: .sequentialPacket,
            permissions: [.ownerReadWrite, .groupReadWrite]
        )
        self.init(descriptor, socket: socket, path: path, ownsFile: true)
    }

    /// The sockets that systemd passed, each known by its name; empty without socket activation.
    ///
    /// - Throws: EINVAL for a socket of another name.
    static func passed() throws(SystemCallError) -> [LocalSocketListener] {
        var listeners: [LocalSocketListener] = []
        try ListeningSocket.takeAll(of: .unixSequentialPacket) { passed throws(SystemCallError) in
            let name = passed.name
            guard let socket = HandlerSocket.allCases.first(where: { $0.name == name }) else {
                throw SystemCallError("find a use for", "socket \(name) of systemd", errno: .invalidArgument)
            }
            let descriptor = passed.takeDescriptor()
            let path = try Socket.localAddress(of: descriptor.raw).path ?? name
            listeners.append(LocalSocketListener(descriptor, socket: socket, path: path, ownsFile: false))
        }
        return listeners
    }
}
