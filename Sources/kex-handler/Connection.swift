internal import HandlerChannel
internal import PacketChannel
internal import SystemCalls

/// One program that is connected to a local socket.
final class Connection {
    let socket: HandlerSocket
    let peer: PeerCredentials
    /// While packets wait in it, nothing new is read from the program. So there are never more than the answers to one
    /// read.
    let packets: PacketConnection
    /// Sweeps that it asked for and has no report of yet. While there are any, nothing new is read from it.
    var sweeps: ArraySlice<SweepRequest> = []
    /// Whether the first of them has been begun.
    var isSweeping = false

    init(_ packets: PacketConnection, socket: HandlerSocket, peer: PeerCredentials) {
        self.packets = packets
        self.socket = socket
        self.peer = peer
    }
}
