internal import HummingbirdCore
public import Logging
internal import NIOCore
internal import NIOExtras
internal import NIOPosix
internal import NIOSSL
internal import SourceLimits
internal import Synchronization
public import SystemCalls
internal import SystemPackage
internal import Systemd

/// The HTTP front door: takes exchanges of routers as the deployed brokers do, and asks the handler.
///
/// Everything happens on one event loop, in a thread of its own. Its methods are for another thread, and wait.
public final class HTTPFrontDoor: Sendable {
    private struct Listener {
        let channel: any Channel
        let quiescing: ServerQuiescingHelper
    }

    private let limits: HTTPLimits
    private let log: Logger
    private let group: MultiThreadedEventLoopGroup
    private let executor: LoopExecutor
    private let settings: CurrentSettings
    private let doorkeeper: Doorkeeper
    private let responder: ExchangeResponder
    private let identity: Mutex<TLSIdentity?>
    private let listeners = Mutex<[Listener]>([])

    /// - Parameters:
    ///   - handler: path of the socket of `kex-handler` for front doors.
    ///   - bus: path of the socket of `kex-mqtt`; `nil` if this gateway is alone.
    ///   - exchanges: who is asked instead.
    ///   - identity: what TLS connections need.
    public init(
        _ settings: HTTPSettings,
        handler: String,
        bus: String? = nil,
        exchanges: (any Exchanges)? = nil,
        identity: TLSIdentity? = nil,
        limits: HTTPLimits = HTTPLimits(),
        logger: Logger
    ) {
        self.limits = limits
        log = logger
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        executor = LoopExecutor(loop)
        self.settings = CurrentSettings(settings)
        doorkeeper = Doorkeeper(limits: limits, unlimitedSources: settings.unlimitedSources, log: logger)
        let client = HandlerClient(path: handler, limits: limits, loop: loop, log: logger)
        let shared = bus.map { path in
            let bus = HandlerClient(.bus, path: path, limits: limits, loop: loop, log: logger)
            return SharedExchanges(handler: client, bus: bus)
        }
        responder = ExchangeResponder(
            exchanges ?? shared ?? LocalExchanges(handler: client, settings: self.settings),
            settings: self.settings,
            limits: limits,
            log: logger
        )
        self.identity = Mutex(identity)
    }

    /// Feeds systemd's watchdog from the loop that serves.
    public func feedWatchdog() { group.next().execute { self.feed(Watchdog()) } }

    private func feed(_ watchdog: Watchdog) {
        var watchdog = watchdog
        let now = MonotonicTime.now
        watchdog.feed(now: now)
        guard let next = watchdog.nextFeed else { return }
        group.next().scheduleTask(in: TimeAmount(next - now)) { [watchdog] in self.feed(watchdog) }
    }

    /// Takes clients from one more listening TCP socket.
    ///
    /// - Parameter isTLS: whether they speak TLS. There must be an identity then.
    public func listen(on listener: consuming OwnedDescriptor, isTLS: Bool = false) throws {
        let descriptor = listener.release()
        let quiescing = ServerQuiescingHelper(group: group)
        let channel = try ServerBootstrap(group: group)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.addHandler(AcceptHandler(self.doorkeeper))
                    try pipeline.addHandler(quiescing.makeServerChannelHandler(channel: channel))
                }
            }
            // One at a time, so that the last place is not taken by four.
            .serverChannelOption(.maxMessagesPerRead, value: 1)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { self.welcome($0, isTLS: isTLS) }
            .withBoundSocket(descriptor.rawValue)
            .wait()
        // NIO has called listen(2) with 128 (measured), and 256 clients at once then wait for SYNs that are sent again.
        try Socket.setBacklog(of: descriptor)
        listeners.withLock { $0.append(Listener(channel: channel, quiescing: quiescing)) }
    }

    /// Goes on with other settings. Requests that are here already may be answered by the old ones.
    public func change(to new: HTTPSettings, identity: TLSIdentity?) {
        settings.change(to: new)
        doorkeeper.setUnlimited(new.unlimitedSources)
        self.identity.withLock { $0 = identity ?? $0 }
    }

    /// Accepts nobody any more, finishes what has been asked, for ``HTTPLimits/stopTime`` at most, and ends.
    public func stop() {
        let listeners = listeners.withLock { $0 }
        let loop = group.next()
        let ends = listeners.map { listener in
            let promise = loop.makePromise(of: Void.self)
            listener.quiescing.initiateShutdown(promise: promise)
            return promise.futureResult
        }
        let all = loop.makePromise(of: Void.self)
        EventLoopFuture.andAllComplete(ends, on: loop).cascade(to: all)
        let timer = loop.scheduleTask(in: TimeAmount(limits.stopTime)) { all.succeed() }
        // Who is not done by then is cut off by the end of the process.
        try? all.futureResult.wait()
        timer.cancel()
    }

    // MARK: - Connections

    private func welcome(_ channel: any Channel, isTLS: Bool) -> EventLoopFuture<Void> {
        // Nobody is there to be answered, and there is no source whose limits would count.
        guard let source = channel.source else { return channel.close() }
        let client = doorkeeper.enter(from: source)
        channel.closeFuture.whenComplete { _ in client.leave() }
        guard client.beginning != .tooMany else {
            return channel.eventLoop.makeCompletedFuture {
                let handler = TurnAwayHandler(.tooFast, after: self.limits.drainTime)
                try channel.pipeline.syncOperations.addHandler(handler)
            }
        }
        let connection = HTTPConnection(limits: limits) { [responder] request, writer, _ in
            let response = try await responder.respond(to: request, from: client.source, isInTime: client.mayAsk())
            try await writer.write(response: response.head, body: response.body)
        }
        return channel.eventLoop.makeCompletedFuture {
            guard isTLS, let identity = self.identity.withLock({ $0 }) else { return }
            try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: identity.context))
        }.flatMap {
            connection.setup(channel: channel, logger: self.log)
        }.map { value in
            Task(executorPreference: self.executor) { await connection.handle(value: value, logger: self.log) }
        }
    }
}
