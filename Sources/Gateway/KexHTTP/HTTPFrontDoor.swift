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
internal import Time

/// The HTTP front door: takes exchanges of routers as the deployed brokers do, and asks the handler.
///
/// Everything happens on one event loop, in a thread of its own. Connections with TLS have another loop: a handshake
/// costs as much as many exchanges, and so only clients with TLS wait for it. The methods are called from another
/// thread, and block it.
public final class HTTPFrontDoor: Sendable {
    private struct Listener {
        let channel: any Channel
        let quiescing: ServerQuiescingHelper
    }

    private let limits: HTTPLimits
    private let log: Logger
    private let loop: any EventLoop
    /// Of all connections with TLS.
    private let secureLoop: any EventLoop
    private let settings: CurrentSettings
    private let limiter: ConnectionLimiter
    private let newcomers: Newcomers
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
        let group = MultiThreadedEventLoopGroup(numberOfThreads: identity == nil ? 1 : 2)
        let loop = group.next()
        self.loop = loop
        secureLoop = group.next()
        self.settings = CurrentSettings(settings)
        limiter = ConnectionLimiter(limits: limits, unlimitedSources: settings.unlimitedSources, log: logger)
        let client = HandlerClient(path: handler, limits: limits, loop: loop, log: logger)
        let local = LocalExchanges(handler: client, settings: self.settings)
        let newcomers = Newcomers(unlimitedSources: settings.unlimitedSources)
        self.newcomers = newcomers
        let shared = bus.map { path in
            let bus = HandlerClient(.bus, path: path, limits: limits, loop: loop, log: logger)
            return SharedExchanges(local: local, bus: bus, newcomers: newcomers)
        }
        responder = ExchangeResponder(
            exchanges ?? shared ?? local,
            settings: self.settings,
            limits: limits,
            log: logger
        )
        self.identity = Mutex(identity)
    }

    /// Feeds systemd's watchdog as long as both loops run.
    public func feedWatchdog() { secureLoop.execute { self.loop.execute { self.feed(Watchdog()) } } }

    private func feed(_ watchdog: Watchdog) {
        var watchdog = watchdog
        let now = MonotonicTime.now
        watchdog.feed(now: now)
        guard let next = watchdog.nextFeed else { return }
        secureLoop.scheduleTask(in: TimeAmount(next - now)) { [watchdog] in
            self.loop.execute { self.feed(watchdog) }
        }
    }

    /// Takes clients from one more listening TCP socket.
    ///
    /// - Parameter isTLS: whether they speak TLS. There must be an identity then.
    public func listen(on listener: consuming OwnedDescriptor, isTLS: Bool = false) throws {
        let descriptor = listener.release()
        let loop = isTLS ? secureLoop : loop
        let executor = LoopExecutor(loop)
        let quiescing = ServerQuiescingHelper(group: loop)
        let channel = try ServerBootstrap(group: loop)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    let handler = AcceptHandler(self.limiter, isTLS: isTLS) { channel, client in
                        try self.welcome(channel, client, executor, isTLS: isTLS)
                    }
                    try pipeline.addHandler(handler)
                    try pipeline.addHandler(quiescing.makeServerChannelHandler(channel: channel))
                }
            }
            .serverChannelOption(.maxMessagesPerRead, value: UInt(limits.acceptsPerRound))
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            // NIO's own grow to 64 KiB for a client that sends much at a time. A router's request has some 700 bytes.
            .childChannelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 2048))
            .childChannelOption(.maxMessagesPerRead, value: 1)
            .withBoundSocket(descriptor.rawValue)
            .wait()
        // NIO has called listen(2) with 128 (measured), and 256 clients at once then wait for SYNs that are sent again.
        try Socket.setBacklog(of: descriptor)
        listeners.withLock { $0.append(Listener(channel: channel, quiescing: quiescing)) }
    }

    /// Goes on with other settings. Requests that have come already may be answered by the old ones.
    public func change(to new: HTTPSettings, identity: TLSIdentity?) {
        settings.change(to: new)
        limiter.setUnlimited(new.unlimitedSources)
        newcomers.setUnlimited(new.unlimitedSources)
        self.identity.withLock { $0 = identity ?? $0 }
    }

    /// Accepts no more connections, finishes the requests that have come, for ``HTTPLimits/stopTime`` at most, and
    /// ends.
    public func stop() {
        let listeners = listeners.withLock { $0 }
        let ends = listeners.map { listener in
            let promise = loop.makePromise(of: Void.self)
            listener.quiescing.initiateShutdown(promise: promise)
            return promise.futureResult
        }
        let all = loop.makePromise(of: Void.self)
        EventLoopFuture.andAllComplete(ends, on: loop).cascade(to: all)
        let timer = loop.scheduleTask(in: TimeAmount(limits.stopTime)) { all.succeed() }
        // The end of the process cuts off whoever is not done by then.
        try? all.futureResult.wait()
        timer.cancel()
    }

    // MARK: - Connections

    /// - Throws: if the channel is closed already.
    private func welcome(_ channel: any Channel, _ client: Client, _ executor: LoopExecutor, isTLS: Bool) throws {
        if isTLS, let identity = identity.withLock({ $0 }) {
            try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: identity.context))
        }
        let connection = HTTPConnection(limits: limits, client: client) { [responder] request, writer, _ in
            let response = try await responder.respond(to: request, from: client.source, isInTime: client.mayAsk())
            try await writer.write(response: response.head, body: response.body)
        }
        let value = try connection.setUp(channel)
        Task(executorPreference: executor) { await connection.handle(value: value, logger: self.log) }
    }
}
