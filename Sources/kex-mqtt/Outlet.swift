internal import EventLoop
internal import HandlerChannel
internal import SystemCalls
internal import SystemPackage

/// The connection to the handler, made anew when it is lost.
final class Outlet {
    let path: String
    private let token: UInt64
    private var connection: PacketConnection?
    private var isCongested = false
    /// When the handler may be called again.
    private var nextCall = MonotonicTime(nanoseconds: 0)

    init(path: String, token: UInt64) {
        self.path = path
        self.token = token
    }

    var isOpen: Bool { connection != nil }

    /// When ``open(_:now:)`` should be called; `nil` while it is open.
    var deadline: MonotonicTime? { isOpen ? nil : nextCall }

    /// Calls the handler if it is time to.
    ///
    /// - Returns: whether it is open now and was not before.
    /// - Throws: why it cannot be called.
    func open(_ loop: borrowing EventLoop, now: MonotonicTime, pause: Duration) throws(SystemCallError) -> Bool {
        guard connection == nil, nextCall <= now else { return false }
        nextCall = now + pause
        let new = PacketConnection(try Socket.connect(toPath: path, kind: .sequentialPacket))
        try loop.watch(new.raw, for: .readable, token: token)
        connection = new
        isCongested = false
        return true
    }

    func close() { connection = nil }

    func send(_ packet: [UInt8]) { connection?.enqueue(packet) }

    /// Sends what the handler takes, and sees to it that the loop tells when it takes more.
    func flush(_ loop: borrowing EventLoop) throws(SystemCallError) {
        guard let connection else { return }
        try connection.flush()
        let isWaiting = !connection.isEmpty
        guard isWaiting != isCongested else { return }
        isCongested = isWaiting
        try loop.change(connection.raw, to: isWaiting ? [.readable, .writable] : .readable, token: token)
    }

    /// The next packet, an empty one if there is none yet, `nil` if the handler has ended.
    func receive() throws(SystemCallError) -> ArraySlice<UInt8>? { try connection?.receive() ?? nil }
}
