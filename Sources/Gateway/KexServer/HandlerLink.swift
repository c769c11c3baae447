internal import EventLoop
internal import HandlerChannel
internal import PacketChannel
internal import SystemCalls
internal import Time

/// Why the handler cannot be asked.
enum HandlerFailure: Error, CustomStringConvertible {
    case connect(PacketConnector.Failure)
    case connection(SystemCallError)
    case malformedAnswer(MalformedFrame)
    case closed
    case silent(Duration)

    /// Whether no attempt to connect was made, because one failed a moment ago.
    var isPause: Bool { if case .connect(.pausing) = self { true } else { false } }

    var description: String {
        switch self {
        case .connect(let failure): "\(failure)"
        case .connection(let error): "\(error)"
        case .malformedAnswer(let error): "malformed answer: \(error)"
        case .closed: "it closed the connection"
        case .silent(let duration): "no answer within \(duration)"
        }
    }
}

/// The one connection to the handler, made when it is needed, and the requests that wait to be sent.
struct HandlerLink: ~Copyable {
    private var client: PacketClient
    /// Requests in the order in which they came. There are never more than connections.
    private var waiting: [RegistrationRequest] = []
    private var packet: [UInt8] = []

    init(path: String, pause: Duration) {
        client = PacketClient(
            PacketConnector(path: path, pause: .afterFailure(pause)),
            limit: ChannelLimit.frameSize,
            token: Token.handler.rawValue
        )
    }

    /// Puts a request behind the others; ``flush(_:now:)`` sends it.
    mutating func enqueue(_ request: RegistrationRequest) { waiting.append(request) }

    /// Drops requests that nobody waits for any more.
    mutating func keepWaiting(where isWanted: (RegistrationRequest) -> Bool) {
        waiting.removeAll { !isWanted($0) }
    }

    /// Sends the requests that wait, as many as the socket takes, up to ``ChannelLimit/records`` in a packet.
    ///
    /// - Throws: if no connection can be made, or it broke. It is closed then, and no request waits any more.
    mutating func flush(_ loop: borrowing EventLoop, now: MonotonicTime) throws(HandlerFailure) {
        guard !waiting.isEmpty, !client.isCongested else { return }
        do throws(PacketConnector.Failure) {
            try client.open(loop, now: now)
        } catch {
            disconnect()
            throw .connect(error)
        }
        do throws(SystemCallError) {
            try send(loop)
        } catch {
            disconnect()
            throw .connection(error)
        }
    }

    private mutating func send(_ loop: borrowing EventLoop) throws(SystemCallError) {
        var sent = 0
        defer { waiting.removeFirst(sent) }
        while sent < waiting.count {
            let part = waiting[sent..<min(sent + ChannelLimit.records, waiting.count)]
            RegistrationFrame.encode(part, into: &packet)
            guard try client.send(packet, loop) else { return }
            sent = part.endIndex
        }
    }

    /// The socket takes packets again.
    ///
    /// - Throws: as ``receive()``.
    mutating func becameWritable(_ loop: borrowing EventLoop) throws(HandlerFailure) {
        do throws(SystemCallError) {
            try client.endCongestion(loop)
        } catch {
            disconnect()
            throw .connection(error)
        }
    }

    /// One packet of answers; empty if none has come.
    ///
    /// - Throws: if the connection cannot be used any more. It is closed then, and no request waits any more.
    mutating func receive() throws(HandlerFailure) -> [RegistrationAnswer] {
        guard client.isOpen else { return [] }
        do throws(HandlerFailure) {
            return try receiveAnswers()
        } catch {
            disconnect()
            throw error
        }
    }

    private func receiveAnswers() throws(HandlerFailure) -> [RegistrationAnswer] {
        let packet: ArraySlice<UInt8>?
        do throws(SystemCallError) {
            packet = try client.receive()
        } catch {
            throw .connection(error)
        }
        guard let packet else { throw .closed }
        guard !packet.isEmpty else { return [] }
        do throws(MalformedFrame) {
            return try RegistrationFrame.answers(in: packet.span)
        } catch {
            throw .malformedAnswer(error)
        }
    }

    private mutating func disconnect() {
        client.close()
        waiting.removeAll(keepingCapacity: true)
    }
}
