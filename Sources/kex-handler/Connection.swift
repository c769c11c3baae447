internal import HandlerChannel
internal import PacketChannel
internal import SystemCalls

/// One program that is connected to a local socket.
final class Connection {
    let socket: HandlerSocket
    let peer: PeerCredentials
    /// While packets wait in it, the program is asked for nothing new: so they are never more than the answers to what was
    /// taken at once.
    let packets: PacketConnection
    /// Domains that it wants swept, and has no report of yet. While there are any, it is asked for nothing new.
    var sweeps: ArraySlice<SweepRequest> = []
    /// Whether the first of them has been begun.
    var isSweeping = false

    init(_ packets: PacketConnection, socket: HandlerSocket, peer: PeerCredentials) {
        self.packets = packets
        self.socket = socket
        self.peer = peer
    }
}
