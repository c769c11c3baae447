public import SystemCalls
public import SystemPackage

/// One end of a connection of whole packets that never waits: what the other side does not take yet is kept.
public final class PacketConnection {
    private let descriptor: OwnedDescriptor
    private var outgoing: [[UInt8]] = []
    private var sent = 0
    private var buffer = [UInt8](repeating: 0, count: ChannelLimit.frameSize)

    public init(_ descriptor: consuming OwnedDescriptor) { self.descriptor = descriptor }

    public var raw: FileDescriptor { descriptor.raw }

    /// Packets that the other side has not taken. Whoever enqueues sees to it that they do not become many.
    public var waitingPackets: Int { outgoing.count - sent }

    /// Whether the other side has taken everything.
    public var isEmpty: Bool { waitingPackets == 0 }

    /// Adds a packet to what is to be sent.
    public func enqueue(_ packet: [UInt8]) { outgoing.append(packet) }

    /// Sends what the other side takes now.
    public func flush() throws(SystemCallError) {
        while sent < outgoing.count {
            guard try Socket.send(outgoing[sent], to: raw) != nil else { return }
            sent += 1
        }
        outgoing.removeAll(keepingCapacity: true)
        sent = 0
    }

    /// The next packet, an empty one if there is none yet, `nil` if the other side has ended.
    public func receive() throws(SystemCallError) -> ArraySlice<UInt8>? {
        switch try Socket.receive(from: raw, into: &buffer) {
        case .bytes(let count): return buffer[..<count]
        case .nothingYet: return []
        case .end: return nil
        }
    }
}
