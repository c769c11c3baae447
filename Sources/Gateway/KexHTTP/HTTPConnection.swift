internal import HTTPTypes
internal import HummingbirdCore
internal import Logging
internal import NIOCore
internal import NIOHTTP1
internal import NIOHTTPTypes
internal import NIOHTTPTypesHTTP1

/// One client's connection, as Hummingbird serves it: a request, its answer, and the next one.
struct HTTPConnection: HTTPChannelHandler {
    typealias Value = NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart>

    let limits: HTTPLimits
    let client: Client
    let responder: Responder

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        channel.eventLoop.makeCompletedFuture { try setUp(channel) }
    }

    /// On the channel's loop.
    func setUp(_ channel: any Channel) throws -> Value {
        var decoder = NIOHTTPDecoderLimitConfiguration()
        decoder.maxHeaderFieldSize = limits.header
        decoder.maxHeaderListSize = limits.header
        decoder.maxHeaderFieldCount = limits.headerFields
        let pipeline = channel.pipeline.syncOperations
        // One request at a time. Hummingbird answers what is no HTTP, and the types of fields make them well formed.
        try pipeline.configureHTTPServerPipeline(
            withPipeliningAssistance: true,
            withErrorHandling: false,
            withOutboundHeaderValidation: false,
            withEncoderConfiguration: .init(),
            withDecoderLimitConfiguration: decoder
        )
        try pipeline.addHandler(ConnectionKeeper(limits, client))
        try pipeline.addHandler(HTTP1ToHTTPServerCodec(secure: false))
        return try NIOAsyncChannel(
            wrappingChannelSynchronously: channel,
            configuration: .init(isOutboundHalfClosureEnabled: true)
        )
    }

    func handle(value: Value, logger: Logger) async { await handleHTTP(asyncChannel: value, logger: logger) }
}

/// Ends a connection in time, and so that its last answer arrives.
final class ConnectionKeeper: ChannelDuplexHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    private enum Phase {
        /// A request is awaited, or a part of it is there.
        case reading
        /// The request is complete, and its answer is awaited.
        case answering
        /// The client has its last answer and may still be sending.
        case draining
    }

    private let limits: HTTPLimits
    private let client: Client
    private var phase = Phase.reading
    private var isAmidRequest = false
    /// Whether the answer that is awaited is the last one.
    private var isLast = false
    private var isInputClosed = false
    private var deadline = NIODeadline.now()
    private var timer: (task: Scheduled<Void>, time: NIODeadline)?

    init(_ limits: HTTPLimits, _ client: Client) {
        self.limits = limits
        self.client = client
    }

    func handlerAdded(context: ChannelHandlerContext) {
        begin(.reading, context)
        client.beginWaiting()
    }

    func handlerRemoved(context: ChannelHandlerContext) { timer?.task.cancel() }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if phase == .draining { return }
        switch unwrapInboundIn(data) {
        case .head(let head):
            isAmidRequest = true
            isLast = isLast || !head.isKeepAlive
            // RFC 9110, section 10.1.1. Curl waits a second for it before it sends a body.
            if head.version == .http1_1, head.headers["Expect"].contains(where: { $0.lowercased() == "100-continue" }) {
                let answer = HTTPResponseHead(version: .http1_1, status: .continue)
                context.writeAndFlush(wrapOutboundOut(.head(answer)), promise: nil)
            }
        case .body: break
        case .end:
            isAmidRequest = false
            begin(.answering, context)
        }
        context.fireChannelRead(data)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed = event {
            isInputClosed = true
            isLast = true
            if phase != .answering { return client.cutOff() }
        }
        context.fireUserInboundEventTriggered(event)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(var head):
            // The answer came before the end of the request. The rest is not worth reading.
            isLast = isLast || isAmidRequest || !head.isKeepAlive
            if isLast { head.headers.replaceOrAdd(name: "Connection", value: "close") }
            context.write(wrapOutboundOut(.head(head)), promise: promise)
        case .body: context.write(data, promise: promise)
        case .end:
            guard isLast else {
                begin(.reading, context)
                return context.write(data, promise: promise)
            }
            let promise = promise ?? context.eventLoop.makePromise()
            let loopBound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
            promise.futureResult.whenSuccess {
                let (keeper, context) = loopBound.value
                keeper.drain(context)
            }
            context.write(data, promise: promise)
        }
    }

    func flush(context: ChannelHandlerContext) {
        context.flush()
        // The kernel has the answer, so nothing is lost if the client loses its place.
        if phase == .reading { client.beginWaiting() }
    }

    /// Ends our side of the connection, and waits for the client to end its own. A connection that is closed while the
    /// client is still sending is reset, and a reset overtakes the answer.
    private func drain(_ context: ChannelHandlerContext) {
        guard !isInputClosed else { return client.cutOff() }
        begin(.draining, context)
        context.close(mode: .output, promise: nil)
    }

    // MARK: - Time

    private func begin(_ phase: Phase, _ context: ChannelHandlerContext) {
        self.phase = phase
        switch phase {
        // The last answer must be sent first.
        case .reading: break
        case .answering: client.endWaiting()
        case .draining: client.beginWaiting()
        }
        let time =
            switch phase {
            case .reading: limits.requestTime
            // A request asks the handler twice at most, and those questions end earlier. This ends a client that does
            // not take its answer.
            case .answering: limits.answerTime * 2 + limits.drainTime
            case .draining: limits.drainTime
            }
        deadline = .now() + TimeAmount(time)
        setTimer(context)
    }

    /// One timer serves all deadlines of a connection. If it fires early, it is set again, because cancelling is slow.
    private func setTimer(_ context: ChannelHandlerContext) {
        if let timer {
            guard deadline < timer.time else { return }
            timer.task.cancel()
        }
        let loopBound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        let task = context.eventLoop.scheduleTask(deadline: deadline) {
            let (keeper, context) = loopBound.value
            keeper.timer = nil
            if keeper.deadline <= .now() { keeper.client.cutOff() } else { keeper.setTimer(context) }
        }
        timer = (task, deadline)
    }
}
