public import EventLoop
public import SystemCalls
public import Time

/// One connection of whole packets to a local socket, on an event loop, made anew when it is lost.
///
/// Every call that throws leaves the connection as it is: whoever cannot use it any more closes it.
public struct PacketClient: ~Copyable {
    private var connector: PacketConnector
    private let limit: Int
    private let token: UInt64
    private var connection: PacketConnection?

    /// - Parameters:
    ///   - limit: the longest packet that is received, in bytes.
    ///   - token: what the loop reports for the connection.
    public init(_ connector: PacketConnector, limit: Int, token: UInt64) {
        self.connector = connector
        self.limit = limit
        self.token = token
    }

    public var path: String { connector.path }

    public var isOpen: Bool { connection != nil }

    /// When ``open(_:now:)`` may connect; `nil` while the connection is open.
    public var nextAttempt: MonotonicTime? { isOpen ? nil : connector.nextAttempt }

    /// Whether the other side takes no packets. The loop reports when it does.
    public var isCongested: Bool { connection?.isCongested ?? false }

    /// Connects, unless the connection is open.
    ///
    /// - Throws: why there is no connection.
    public mutating func open(_ loop: borrowing EventLoop, now: MonotonicTime) throws(PacketConnector.Failure) {
        guard connection == nil else { return }
        let new = PacketConnection(try connector.connect(now: now), limit: limit)
        do throws(SystemCallError) {
            try new.watch(on: loop, token: token)
        } catch {
            connector.noteFailure(now: now)
            throw .systemCall(error)
        }
        connection = new
    }

    /// Ends the connection, and drops what was enqueued.
    public mutating func close() { connection = nil }

    /// Adds a packet to what is to be sent over an open connection.
    public func enqueue(_ packet: [UInt8]) { connection?.enqueue(packet) }

    /// Sends what the other side takes now of what was enqueued.
    ///
    /// - Throws: EPIPE or ECONNRESET if the other side is gone, and other errors of the connection.
    public func flush(_ loop: borrowing EventLoop) throws(SystemCallError) {
        try connection?.flush(on: loop, token: token)
    }

    /// Sends a packet at once.
    ///
    /// - Returns: `false` if the other side takes none now, or there is no connection.
    /// - Throws: as ``flush(_:)``.
    public func send(_ packet: [UInt8], _ loop: borrowing EventLoop) throws(SystemCallError) -> Bool {
        guard let connection else { return false }
        let isSent = try connection.send(packet)
        if !isSent { try connection.setCongested(true, on: loop, token: token) }
        return isSent
    }

    /// The other side takes packets again.
    public func endCongestion(_ loop: borrowing EventLoop) throws(SystemCallError) {
        try connection?.setCongested(false, on: loop, token: token)
    }

    /// The next packet, an empty one if there is none yet, `nil` if the other side has ended or there is no connection.
    ///
    /// - Throws: EMSGSIZE for a packet that is longer than the limit, and errors of the connection.
    public func receive() throws(SystemCallError) -> ArraySlice<UInt8>? { try connection?.receive() ?? nil }
}
