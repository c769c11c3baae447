internal import HandlerChannel
internal import PacketChannel
internal import SystemCalls
internal import Systemd
internal import SystemPackage

/// One of the handler's local sockets.
struct LocalSocketListener {
    let socket: HandlerSocket
    let listener: PacketListener

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
            let listener = try PacketListener(adopting: passed.takeDescriptor(), named: name)
            listeners.append(LocalSocketListener(socket: socket, listener: listener))
        }
        return listeners
    }
}
