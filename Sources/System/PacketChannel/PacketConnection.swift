public import EventLoop
public import SystemCalls
internal import SystemPackage
public import Time

/// One end of a connection of whole packets (SOCK_SEQPACKET) that never waits: what the other side does not take yet is
/// kept.
///
/// An event loop watches it after ``watch(on:token:)``. While the other side takes no packets, the connection is
/// congested, and the loop is to report when that ends.
public final class PacketConnection {
    /// What the loop watches for while the other side takes no packets.
    public enum Congestion: Sendable {
        /// Only the end of the congestion. The other side is asked for nothing new, so what is kept for it stays
        /// little.
        case pausesReceiving
        /// The end of the congestion, and packets as always.
        case keepsReceiving

        fileprivate var readiness: EventLoop.Readiness {
            switch self {
            case .pausesReceiving: .writable
            case .keepsReceiving: [.readable, .writable]
            }
        }
    }

    private let descriptor: OwnedDescriptor
    private let limit: Int
    private let congestion: Congestion
    /// One byte longer than a packet may be: a longer one fills it.
    private var buffer: [UInt8]
    private var outgoing: [[UInt8]] = []
    private var sent = 0
    /// Whether the loop watches for the end of a congestion.
    public private(set) var isCongested = false

    /// - Parameters:
    ///   - descriptor: a connected socket.
    ///   - limit: the longest packet that is received, in bytes.
    public init(_ descriptor: consuming OwnedDescriptor, limit: Int, congestion: Congestion = .keepsReceiving) {
        self.descriptor = descriptor
        self.limit = limit
        self.congestion = congestion
        buffer = [UInt8](repeating: 0, count: limit + 1)
    }

    /// Connects to the local socket at `path`. This never waits: it works or fails at once.
    ///
    /// - Parameter limit: the longest packet that is received, in bytes.
    /// - Throws: ENOENT and ECONNREFUSED if nobody listens there, EAGAIN if the listener's queue is full.
    public convenience init(connectingTo path: String, limit: Int) throws(SystemCallError) {
        self.init(try Socket.connect(toPath: path, kind: .sequentialPacket), limit: limit)
    }

    // MARK: - Sending

    /// Whether the other side has taken all that was enqueued.
    public var isEmpty: Bool { sent == outgoing.count }

    /// Adds a packet to what is to be sent. Whoever enqueues sees to it that packets do not become many.
    public func enqueue(_ packet: [UInt8]) { outgoing.append(packet) }

    /// Sends what the other side takes now of what was enqueued.
    ///
    /// - Throws: EPIPE or ECONNRESET if the other side is gone, and other errors of the connection.
    public func flush() throws(SystemCallError) {
        while sent < outgoing.count {
            guard try Socket.send(outgoing[sent], to: descriptor.raw) != nil else { return }
            sent += 1
        }
        outgoing.removeAll(keepingCapacity: true)
        sent = 0
    }

    /// Sends a packet at once, past what was enqueued.
    ///
    /// - Returns: `false` if the other side takes none now.
    /// - Throws: as ``flush()``.
    public func send(_ packet: [UInt8]) throws(SystemCallError) -> Bool {
        try Socket.send(packet, to: descriptor.raw) != nil
    }

    // MARK: - Receiving

    /// The next packet, an empty one if there is none yet, `nil` if the other side has ended.
    ///
    /// - Throws: EMSGSIZE for a packet that is longer than the limit, and errors of the connection.
    public func receive() throws(SystemCallError) -> ArraySlice<UInt8>? {
        switch try Socket.receive(from: descriptor.raw, into: &buffer) {
        case .bytes(let count):
            guard count <= limit else {
                throw SystemCallError("receive", "a packet of more than \(limit) bytes", errno: .messageTooLong)
            }
            return buffer[..<count]
        case .nothingYet: return []
        case .end: return nil
        }
    }

    /// Waits until the other side has sent something or takes something, or until the connection ends.
    ///
    /// - Returns: `false` if `deadline` came first.
    public func wait(for readiness: Socket.Readiness, until deadline: MonotonicTime) throws(SystemCallError) -> Bool {
        try Socket.wait(for: readiness, of: descriptor.raw, until: deadline)
    }

    // MARK: - On an event loop

    /// Has `loop` report packets under `token`.
    public func watch(on loop: borrowing EventLoop, token: UInt64) throws(SystemCallError) {
        try loop.watch(descriptor.raw, for: .readable, token: token)
    }

    /// Sends what the other side takes now of what was enqueued, and has `loop` report when it takes more.
    ///
    /// - Throws: as ``flush()``.
    public func flush(on loop: borrowing EventLoop, token: UInt64) throws(SystemCallError) {
        try flush()
        try setCongested(!isEmpty, on: loop, token: token)
    }

    /// Notes whether the other side takes no packets, and changes accordingly what `loop` watches for.
    public func setCongested(_ new: Bool, on loop: borrowing EventLoop, token: UInt64) throws(SystemCallError) {
        guard new != isCongested else { return }
        try loop.change(descriptor.raw, to: new ? congestion.readiness : .readable, token: token)
        isCongested = new
    }
}

extension SystemCallError {
    /// Whether the other side of a connection is gone: EPIPE or ECONNRESET.
    public var isPeerGone: Bool { errno == .brokenPipe || errno == .connectionReset }
}
