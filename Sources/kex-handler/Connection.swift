internal import HandlerChannel
internal import SystemCalls
internal import SystemPackage

/// One program that has come in through a door.
final class Connection {
    let door: Door
    let peer: PeerCredentials
    private let descriptor: OwnedDescriptor
    /// Packets that the other side has not taken yet. While there are any, it is asked for nothing new, so they are
    /// never more than the answers to what was taken at once.
    private var outgoing: [[UInt8]] = []
    private var sent = 0
    /// Domains that it wants swept, and has no report of yet. While there are any, it is asked for nothing new.
    var sweeps: ArraySlice<SweepRequest> = []
    private var buffer = [UInt8](repeating: 0, count: ChannelLimit.frameSize)

    init(_ descriptor: consuming OwnedDescriptor, door: Door, peer: PeerCredentials) {
        self.descriptor = descriptor
        self.door = door
        self.peer = peer
    }

    var raw: FileDescriptor { descriptor.raw }

    var isWaitingToSend: Bool { sent < outgoing.count }

    /// Adds a packet to what is to be sent.
    func enqueue(_ packet: [UInt8]) { outgoing.append(packet) }

    /// Sends what the other side takes now.
    func flush() throws(SystemCallError) {
        while sent < outgoing.count {
            guard try Socket.send(outgoing[sent], to: raw) != nil else { return }
            sent += 1
        }
        outgoing.removeAll(keepingCapacity: true)
        sent = 0
    }

    /// The next packet, an empty one if there is none yet, `nil` if the other side has ended.
    func receive() throws(SystemCallError) -> ArraySlice<UInt8>? {
        switch try Socket.receive(from: raw, into: &buffer) {
        case .bytes(let count): return buffer[..<count]
        case .nothingYet: return []
        case .end: return nil
        }
    }
}
