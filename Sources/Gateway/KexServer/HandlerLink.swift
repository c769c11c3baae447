internal import EventLoop
internal import HandlerChannel
internal import SystemCalls
internal import SystemPackage

/// Why the handler cannot be asked.
enum HandlerFailure: Error, CustomStringConvertible {
    case call(SystemCallError)
    case malformedAnswer(MalformedFrame)
    case closed
    case silent(Duration)
    /// The last call failed a moment ago.
    case calledRecently

    var description: String {
        switch self {
        case .call(let error): "\(error)"
        case .malformedAnswer(let error): "malformed answer: \(error)"
        case .closed: "it closed the connection"
        case .silent(let duration): "no answer within \(duration)"
        case .calledRecently: "the last call failed a moment ago"
        }
    }
}

/// The one connection to the handler, made when it is needed, and the requests that wait to be sent.
struct HandlerLink: ~Copyable {
    private let path: String
    private let pause: Duration
    private var descriptor: OwnedDescriptor?
    /// When the handler may be called again after a call that failed.
    private var nextCall: MonotonicTime?
    /// Whether the socket took no more packets; it tells when it does.
    private var isCongested = false
    /// Requests in the order in which they came. There are never more than connections.
    private var waiting: [RegistrationRequest] = []
    private var packet: [UInt8] = []
    private var buffer = ExchangeBuffer(size: ChannelLimit.frameSize)

    init(path: String, pause: Duration) {
        self.path = path
        self.pause = pause
    }

    /// Puts a request behind the others; ``flush(_:now:)`` sends it.
    mutating func enqueue(_ request: RegistrationRequest) { waiting.append(request) }

    /// Drops requests that nobody waits for any more.
    mutating func keepWaiting(where isWanted: (RegistrationRequest) -> Bool) {
        waiting.removeAll { !isWanted($0) }
    }

    /// Sends what waits, as much as the socket takes, up to ``ChannelLimit/records`` requests a packet.
    ///
    /// - Throws: if there is no connection and none can be made, or it broke. It is closed then, and nothing waits any
    ///   more.
    mutating func flush(_ loop: borrowing EventLoop, now: MonotonicTime) throws(HandlerFailure) {
        guard !waiting.isEmpty, !isCongested else { return }
        do throws(HandlerFailure) {
            try send(over: try connected(loop, now: now), loop)
        } catch {
            disconnect()
            throw error
        }
    }

    private mutating func send(over socket: FileDescriptor, _ loop: borrowing EventLoop) throws(HandlerFailure) {
        var sent = 0
        defer { waiting.removeFirst(sent) }
        while sent < waiting.count {
            let part = waiting[sent..<min(sent + ChannelLimit.records, waiting.count)]
            RegistrationFrame.encode(part, into: &packet)
            do throws(SystemCallError) {
                guard try Socket.send(unsafe packet.span.bytes, to: socket) != nil else {
                    isCongested = true
                    try loop.change(socket, to: [.readable, .writable], token: Token.handler.rawValue)
                    return
                }
            } catch {
                throw .call(error)
            }
            sent = part.endIndex
        }
    }

    /// The socket, connected if it was not.
    private mutating func connected(
        _ loop: borrowing EventLoop,
        now: MonotonicTime
    ) throws(HandlerFailure) -> FileDescriptor {
        if let raw = descriptor?.raw { return raw }
        if let nextCall, now < nextCall { throw .calledRecently }
        do throws(SystemCallError) {
            let new = try Socket.connect(toPath: path, kind: .sequentialPacket)
            let raw = new.raw
            try loop.watch(raw, for: .readable, token: Token.handler.rawValue)
            descriptor = consume new
            nextCall = nil
            return raw
        } catch {
            nextCall = now + pause
            throw .call(error)
        }
    }

    /// The socket takes packets again.
    ///
    /// - Throws: as ``receive()``.
    mutating func becameWritable(_ loop: borrowing EventLoop) throws(HandlerFailure) {
        guard isCongested, let raw = descriptor?.raw else { return }
        isCongested = false
        do throws(SystemCallError) {
            try loop.change(raw, to: .readable, token: Token.handler.rawValue)
        } catch {
            disconnect()
            throw .call(error)
        }
    }

    /// One packet of answers; empty if none has come.
    ///
    /// - Throws: if the connection is not to be used any more; it is closed then, and nothing waits any more.
    mutating func receive() throws(HandlerFailure) -> [RegistrationAnswer] {
        guard let raw = descriptor?.raw else { return [] }
        do throws(HandlerFailure) {
            return try receive(over: raw)
        } catch {
            disconnect()
            throw error
        }
    }

    private mutating func receive(over socket: FileDescriptor) throws(HandlerFailure) -> [RegistrationAnswer] {
        let received: Socket.Received
        do throws(SystemCallError) {
            received = try buffer.receive(from: socket)
        } catch {
            throw .call(error)
        }
        switch received {
        case .nothingYet: return []
        case .end: throw .closed
        case .bytes(let count):
            do throws(MalformedFrame) {
                return try buffer.answers(count)
            } catch {
                throw .malformedAnswer(error)
            }
        }
    }

    private mutating func disconnect() {
        descriptor = nil
        isCongested = false
        waiting.removeAll(keepingCapacity: true)
    }
}
