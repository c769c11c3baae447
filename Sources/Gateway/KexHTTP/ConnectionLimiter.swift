internal import EventLoop
internal import GatewayEvents
internal import Logging
internal import NIOCore
internal import NetworkAddresses
internal import SourceLimits
internal import Synchronization
internal import SystemCalls
internal import Systemd
internal import Time

/// Limits the connections: all together, and those of each source.
///
/// Places are scarce, so a refused client gets none. When all are taken, the client that has been idle for longest
/// loses its place to a new one.
final class ConnectionLimiter: Sendable {
    private struct State {
        var sources: SourceLimits
        /// How often each source that is too fast gets an answer that says so.
        var refusals: SourceLimits
        /// The connected clients, by the numbers of their places.
        var clients: [Client?] = []
        /// Places in ``clients`` that are free.
        var free: [Int] = []
        /// Places of idle clients, the longest idle first, and when each may lose its place.
        var idle: DeadlineQueue
        /// What is to be called when there is a place again, for each listener that waits for one.
        var waiting: [ObjectIdentifier: @Sendable () -> Void] = [:]
        var notice: NoticeLimiter
        var budget = LineBudget()

        var open: Int { clients.count - free.count }

        func canGiveWay(at now: MonotonicTime) -> Bool { idle.earliest.map { $0 <= now } ?? false }

        mutating func takeWaiting() -> [@Sendable () -> Void] {
            defer { waiting.removeAll() }
            return Array(waiting.values)
        }
    }

    private let limits: HTTPLimits
    private let log: Logger
    private let state: Mutex<State>

    init(limits: HTTPLimits, unlimitedSources: [IPPrefix], log: Logger) {
        self.limits = limits
        self.log = log
        state = Mutex(
            State(
                sources: SourceLimits(of: limits.source, unlimited: unlimitedSources),
                refusals: SourceLimits(of: limits.refusals),
                idle: DeadlineQueue(after: limits.grace),
                notice: NoticeLimiter(interval: limits.noticeTime)
            )
        )
    }

    func setUnlimited(_ sources: [IPPrefix]) { state.withLock { $0.sources.unlimited = sources } }

    /// What becomes of a connection.
    enum Entry {
        /// It has a place until ``Client/leave()``.
        case welcome(Client)
        /// It is to be closed at once.
        case refused
        /// It is to be tried again when there is a place.
        case full
    }

    /// Gives a connection a place, if its source may have one.
    ///
    /// - Parameters:
    ///   - source: IPv4 as a mapped address.
    ///   - isTLS: whether an answer would take a handshake, which costs more than all else.
    ///   - cutOff: closes it without waiting for anything.
    func admit(from source: IPv6Address, isTLS: Bool, cutOff: @escaping @Sendable () -> Void)
        -> Entry
    {
        let (entry, lastOne): (Entry, Client?) = state.withLock { state in
            let isFull = state.open >= limits.connections
            if isFull && !state.canGiveWay(at: .now) { return (.full, nil) }
            let beginning = state.sources.begin(from: source, at: .sinceStart)
            switch beginning {
            case .welcome, .unlimited: break
            case .tooMany:
                note(source, "it has \(limits.source.atOnce) open", &state)
                return (.refused, nil)
            case .tooFast:
                guard !isTLS, state.refusals.take(from: source, at: .sinceStart) else {
                    state.sources.end(from: source)
                    note(source, "RATE_LIMITED", &state)
                    return (.refused, nil)
                }
            }
            var lastOne: Client?
            if isFull {
                lastOne = state.idle.removeFirst().flatMap { state.clients[$0] }
                noteFull(&state)
            }
            let place = state.free.popLast() ?? state.clients.endIndex
            if place == state.clients.endIndex { state.clients.append(nil) }
            let client = Client(source, beginning, place: place, cutOff: cutOff, limiter: self)
            state.clients[place] = client
            return (.welcome(client), lastOne)
        }
        lastOne?.cutOff()
        return entry
    }

    private func note(_ source: IPv6Address, _ reason: @autoclosure () -> String, _ state: inout State) {
        state.budget.log(
            .refused,
            .info,
            "refused a connection from \(source.sourceDescription): \(reason())",
            to: log
        )
    }

    fileprivate func takeToken(of source: IPv6Address) -> Bool {
        state.withLock { $0.sources.take(from: source, at: .sinceStart) }
    }

    fileprivate func setIdle(_ isIdle: Bool, _ client: Client) {
        let place = client.place
        let waiting = state.withLock { state in
            // The client may have left, and another one may have its place now.
            guard state.clients[place] === client, state.idle.contains(place) != isIdle else {
                return [@Sendable () -> Void]()
            }
            guard isIdle else {
                state.idle.remove(place)
                return []
            }
            state.idle.insert(place, now: .now)
            return state.takeWaiting()
        }
        for resume in waiting { resume() }
    }

    fileprivate func leave(_ client: Client) {
        let waiting = state.withLock { state in
            if client.beginning != .unlimited { state.sources.end(from: client.source) }
            if state.idle.contains(client.place) { state.idle.remove(client.place) }
            state.clients[client.place] = nil
            state.free.append(client.place)
            return state.takeWaiting()
        }
        for resume in waiting { resume() }
    }

    /// Whether there is a place.
    fileprivate enum Vacancy {
        case now
        /// Not before this time, or not before somebody leaves or is answered.
        case later(MonotonicTime?)
    }

    /// Whether a client that comes now would get a place. If not, `resume` is called when one may be free, but not when
    /// only time has passed.
    fileprivate func vacancy(for listener: ObjectIdentifier, orElse resume: @escaping @Sendable () -> Void) -> Vacancy {
        state.withLock { state in
            guard state.open >= limits.connections, !state.canGiveWay(at: .now) else { return .now }
            noteFull(&state)
            state.waiting[listener] = resume
            return .later(state.idle.earliest)
        }
    }

    private func noteFull(_ state: inout State) {
        guard state.notice.permits(now: .now) else { return }
        let line = "\(limits.connections) connections are open: a new one closes the one that has been idle for longest"
        log.log(.full, .warning, line)
    }
}

/// One connection, as the limiter knows it.
final class Client: Sendable {
    /// IPv4 as a mapped address.
    let source: IPv6Address
    let beginning: SourceLimits.Beginning
    fileprivate let place: Int
    /// Closes the connection without waiting for anything.
    let cutOff: @Sendable () -> Void
    private let limiter: ConnectionLimiter
    private let hasAsked = Atomic(false)

    fileprivate init(
        _ source: IPv6Address,
        _ beginning: SourceLimits.Beginning,
        place: Int,
        cutOff: @escaping @Sendable () -> Void,
        limiter: ConnectionLimiter
    ) {
        self.source = source
        self.beginning = beginning
        self.place = place
        self.cutOff = cutOff
        self.limiter = limiter
    }

    /// Whether its source may make one more request now. The first one was paid for with the connection.
    func mayAsk() -> Bool {
        guard hasAsked.exchange(true, ordering: .relaxed) else { return beginning != .tooFast }
        return limiter.takeToken(of: source)
    }

    /// It has its answer and is idle: from now on it may lose its place.
    func beginWaiting() { limiter.setIdle(true, self) }

    /// It has asked something.
    func endWaiting() { limiter.setIdle(false, self) }

    /// The connection is over. To be called once.
    func leave() { limiter.leave(self) }
}

extension Duration {
    /// Time since the start of the machine.
    fileprivate static var sinceStart: Duration { .nanoseconds(Int64(MonotonicTime.now.nanoseconds)) }
}

/// Asks the limiter about each connection, before NIO has done more than accept(2) for it, and leaves connections in
/// the kernel's queue as long as there is no place for them.
final class AcceptHandler: ChannelDuplexHandler {
    typealias InboundIn = any Channel
    typealias InboundOut = any Channel
    typealias OutboundIn = Never

    private let limiter: ConnectionLimiter
    private let isTLS: Bool
    private let welcome: (any Channel, Client) throws -> Void
    /// Connections that were accepted in the round that took the last place: at most one less than a round accepts.
    private var held: [any Channel] = []
    /// Whether it will try again by itself.
    private var isTiming = false

    /// - Parameter welcome: prepares the channel of a client that has a place.
    init(_ limiter: ConnectionLimiter, isTLS: Bool, welcome: @escaping (any Channel, Client) throws -> Void) {
        self.limiter = limiter
        self.isTLS = isTLS
        self.welcome = welcome
    }

    func read(context: ChannelHandlerContext) {
        while let channel = held.first, admit(channel, context) { held.removeFirst() }
        let loopBound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        let loop = context.eventLoop
        let vacancy = limiter.vacancy(for: ObjectIdentifier(self)) {
            loop.execute { loopBound.value.1.pipeline.read() }
        }
        switch vacancy {
        case .now: context.read()
        case .later(nil): break
        case .later(let time?):
            guard !isTiming else { return }
            isTiming = true
            loop.scheduleTask(in: TimeAmount(time - .now)) {
                let (handler, context) = loopBound.value
                handler.isTiming = false
                context.pipeline.read()
            }
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let channel = unwrapInboundIn(data)
        if !held.isEmpty || !admit(channel, context) { held.append(channel) }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        for channel in held { channel.close(promise: nil) }
        held.removeAll()
    }

    /// Lets a connection in, or closes it.
    ///
    /// - Returns: false if it has to wait.
    private func admit(_ channel: any Channel, _ context: ChannelHandlerContext) -> Bool {
        // A client without an address is gone already. Nobody is to be answered, and there is no source to be limited.
        guard let source = channel.source else {
            channel.close(promise: nil)
            return true
        }
        let exit = ExitHandler()
        let loop = context.eventLoop
        let loopBound = NIOLoopBound(exit, eventLoop: loop)
        let entry = limiter.admit(from: source, isTLS: isTLS) { loop.execute { loopBound.value.close() } }
        switch entry {
        case .full: return false
        case .refused: channel.close(promise: nil)
        case .welcome(let client):
            channel.closeFuture.whenComplete { _ in client.leave() }
            do {
                try channel.pipeline.syncOperations.addHandler(exit)
                try welcome(channel, client)
                context.fireChannelRead(wrapInboundOut(channel))
            } catch {
                channel.close(promise: nil)
            }
        }
        return true
    }
}

/// First in the pipeline of a connection, so that it closes at once. A close that begins behind TLS waits for the
/// client to close as well.
private final class ExitHandler: ChannelInboundHandler {
    typealias InboundIn = NIOAny

    private var context: ChannelHandlerContext?

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func close() { context?.close(promise: nil) }
}

extension Channel {
    /// Where the connection comes from: IPv4 as a mapped address, a link-local one with its link. `nil` if that is not
    /// known, as with a client that reset its connection before it was accepted (getpeername(2) says ENOTCONN then).
    fileprivate var source: IPv6Address? {
        let address = unsafe remoteAddress?.withSockAddr { address, size in
            unsafe SystemCalls.SocketAddress(bytes: UnsafeRawBufferPointer(start: address, count: size))
        }
        return address?.endpoint?.source
    }
}
