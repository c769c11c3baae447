internal import Logging
internal import NIOCore
internal import NetworkAddresses
internal import SourceLimits
internal import Synchronization
internal import SystemCalls
internal import Systemd

/// Knows how many are in, and how many of each source, and lets in who may.
final class Doorkeeper: Sendable {
    private struct State {
        var sources: SourceLimits
        var open = 0
        /// Listeners that wait for a place.
        var waiting: [@Sendable () -> Void] = []
        var notice: NoticeLimiter
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
                notice: NoticeLimiter(interval: limits.noticeTime)
            )
        )
    }

    func setUnlimited(_ sources: [IPPrefix]) { state.withLock { $0.sources.unlimited = sources } }

    /// Counts a connection of this source, until ``Client/leave()``.
    func enter(from source: IPv6Address) -> Client {
        let beginning = state.withLock { $0.sources.begin(from: source, at: .sinceStart) }
        return Client(source: source, beginning: beginning, doorkeeper: self)
    }

    fileprivate func takeToken(of source: IPv6Address) -> Bool {
        state.withLock { $0.sources.take(from: source, at: .sinceStart) }
    }

    fileprivate func end(from source: IPv6Address) { state.withLock { $0.sources.end(from: source) } }

    // MARK: - Places

    fileprivate func takePlace() { state.withLock { $0.open += 1 } }

    fileprivate func givePlaceBack() {
        let waiting = state.withLock { state in
            state.open -= 1
            defer { state.waiting.removeAll() }
            return state.waiting
        }
        for resume in waiting { resume() }
    }

    /// Whether there is a place now; if not, `resume` is called when there may be one.
    fileprivate func hasPlace(orElse resume: @escaping @Sendable () -> Void) -> Bool {
        let (hasPlace, isNews) = state.withLock { state in
            guard state.open >= limits.connections else { return (true, false) }
            state.waiting.append(resume)
            return (false, state.notice.permits(now: .now))
        }
        if isNews {
            log.log(.full, .warning, "\(limits.connections) connections are open: no more until one closes")
        }
        return hasPlace
    }
}

/// One connection, as the doorkeeper knows it.
final class Client: Sendable {
    /// IPv4 as a mapped address.
    let source: IPv6Address
    let beginning: SourceLimits.Beginning
    private let doorkeeper: Doorkeeper
    private let hasAsked = Atomic(false)

    fileprivate init(source: IPv6Address, beginning: SourceLimits.Beginning, doorkeeper: Doorkeeper) {
        self.source = source
        self.beginning = beginning
        self.doorkeeper = doorkeeper
    }

    /// Whether its source may make one more request now. The first one was paid for with the connection.
    func mayAsk() -> Bool {
        guard hasAsked.exchange(true, ordering: .relaxed) else { return beginning != .tooFast }
        return doorkeeper.takeToken(of: source)
    }

    /// The connection is over. To be called once.
    func leave() {
        if beginning == .welcome || beginning == .tooFast { doorkeeper.end(from: source) }
    }
}

extension Duration {
    /// Time since the start of the machine.
    fileprivate static var sinceStart: Duration { .nanoseconds(Int64(MonotonicTime.now.nanoseconds)) }
}

/// Leaves connections in the kernel's queue as long as all places are taken.
final class AcceptHandler: ChannelDuplexHandler {
    typealias InboundIn = any Channel
    typealias OutboundIn = Never

    private let doorkeeper: Doorkeeper

    init(_ doorkeeper: Doorkeeper) { self.doorkeeper = doorkeeper }

    func read(context: ChannelHandlerContext) {
        let loopBound = NIOLoopBound(context, eventLoop: context.eventLoop)
        let loop = context.eventLoop
        guard doorkeeper.hasPlace(orElse: { loop.execute { loopBound.value.pipeline.read() } }) else { return }
        context.read()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        doorkeeper.takePlace()
        unwrapInboundIn(data).closeFuture.whenComplete { [doorkeeper] _ in doorkeeper.givePlaceBack() }
        context.fireChannelRead(data)
    }
}

extension Channel {
    /// Where the connection comes from, IPv4 as a mapped address; `nil` if that is not known, as with a client that has
    /// reset its connection before it was accepted (getpeername(2) says ENOTCONN then).
    var source: IPv6Address? {
        guard let text = remoteAddress?.ipAddress else { return nil }
        return IPv4Address(text).map(IPv6Address.init(mapping:)) ?? IPv6Address(text)
    }
}
