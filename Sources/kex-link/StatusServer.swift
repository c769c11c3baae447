internal import EventLoop
internal import LinkChannel
internal import SystemCalls
internal import SystemPackage
internal import Time

/// Answers whoever asks for the state, over a Unix socket that the keeper opened. Nobody can keep the member waiting.
struct StatusServer {
    /// Most who ask at the same time. One more waits in the socket's queue.
    static let maximumConnections = 8
    /// How long one may take to ask and to read.
    static let patience = Duration.seconds(5)
    /// Longest request in bytes.
    private static let maximumRequest = 16
    /// The first token of a connection; others are the loop's.
    static let firstToken: UInt64 = 1 << 32

    private final class Connection {
        let descriptor: OwnedDescriptor
        let deadline: MonotonicTime
        var request: [UInt8] = []
        /// What is left to send; `nil` before the request is whole.
        var answer: ArraySlice<UInt8>?

        init(_ descriptor: consuming OwnedDescriptor, deadline: MonotonicTime) {
            self.descriptor = descriptor
            self.deadline = deadline
        }
    }

    private var listener: SharedDescriptor?
    private let listenerToken: UInt64
    private var isWatched = false
    private var connections: [UInt64: Connection] = [:]
    private var lastToken = Self.firstToken

    init(listenerToken: UInt64) { self.listenerToken = listenerToken }

    mutating func setListener(_ listener: SharedDescriptor, on loop: borrowing EventLoop) throws(SystemCallError) {
        self.listener = listener
        isWatched = false
        try watch(on: loop)
    }

    /// When somebody's time is over.
    var nextDeadline: MonotonicTime? { connections.values.map(\.deadline).min() }

    /// Takes who waits.
    mutating func accept(on loop: borrowing EventLoop, now: MonotonicTime) throws(SystemCallError) {
        while let listener, connections.count < Self.maximumConnections,
            let accepted = try Socket.accept(from: listener.raw)
        {
            let descriptor = accepted.takeDescriptor()
            lastToken += 1
            try loop.watch(descriptor.raw, for: .readable, token: lastToken)
            connections[lastToken] = Connection(descriptor, deadline: now + Self.patience)
        }
        try watch(on: loop)
    }

    /// Goes on with the conversation of that token.
    mutating func serve(
        _ token: UInt64,
        on loop: borrowing EventLoop,
        _ answer: (StatusForm) -> String
    ) throws(SystemCallError) {
        guard let connection = connections[token] else { return }
        do throws(SystemCallError) {
            if try isDone(connection, token, loop, answer) { connections[token] = nil }
        } catch {
            // Who has gone is answered.
            connections[token] = nil
        }
        try watch(on: loop)
    }

    /// Ends the conversations whose time is over.
    mutating func expire(on loop: borrowing EventLoop, now: MonotonicTime) throws(SystemCallError) {
        guard connections.contains(where: { $0.value.deadline <= now }) else { return }
        connections = connections.filter { $0.value.deadline > now }
        try watch(on: loop)
    }

    private func isDone(
        _ connection: Connection,
        _ token: UInt64,
        _ loop: borrowing EventLoop,
        _ answer: (StatusForm) -> String
    ) throws(SystemCallError) -> Bool {
        if connection.answer == nil {
            var buffer = [UInt8](repeating: 0, count: Self.maximumRequest + 1 - connection.request.count)
            switch try Socket.receive(from: connection.descriptor.raw, into: &buffer) {
            case .bytes(let count): connection.request += buffer[..<count]
            case .nothingYet: return false
            case .end: return true
            }
            guard let end = connection.request.firstIndex(of: UInt8(ascii: "\n")) else {
                return connection.request.count > Self.maximumRequest
            }
            guard let form = StatusForm(rawValue: String(decoding: connection.request[..<end], as: UTF8.self))
            else { return true }
            connection.answer = Array(answer(form).utf8)[...]
            try loop.change(connection.descriptor.raw, to: .writable, token: token)
        }
        while let rest = connection.answer, !rest.isEmpty {
            guard let count = try Socket.send(Array(rest.prefix(65536)), to: connection.descriptor.raw)
            else { return false }
            connection.answer = rest.dropFirst(count)
        }
        return true
    }

    /// Watches the listener while there is room for one more.
    private mutating func watch(on loop: borrowing EventLoop) throws(SystemCallError) {
        guard let listener else { return }
        let isWanted = connections.count < Self.maximumConnections
        guard isWanted != isWatched else { return }
        if isWanted {
            try loop.watch(listener.raw, for: .readable, token: listenerToken)
        } else {
            try loop.stopWatching(listener.raw)
        }
        isWatched = isWanted
    }
}
