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
    let responder: Responder

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        channel.eventLoop.makeCompletedFuture {
            var decoder = NIOHTTPDecoderLimitConfiguration()
            decoder.maxHeaderFieldSize = limits.header
            decoder.maxHeaderListSize = limits.header
            decoder.maxHeaderFieldCount = limits.headerFields
            let pipeline = channel.pipeline.syncOperations
            // One request at a time. What is no HTTP is answered by Hummingbird, and fields are right by their types.
            try pipeline.configureHTTPServerPipeline(
                withPipeliningAssistance: true,
                withErrorHandling: false,
                withOutboundHeaderValidation: false,
                withEncoderConfiguration: .init(),
                withDecoderLimitConfiguration: decoder
            )
            try pipeline.addHandler(ConnectionKeeper(limits))
            try pipeline.addHandler(HTTP1ToHTTPServerCodec(secure: false))
            return try NIOAsyncChannel(
                wrappingChannelSynchronously: channel,
                configuration: .init(isOutboundHalfClosureEnabled: true)
            )
        }
    }

    func handle(value: Value, logger: Logger) async { await handleHTTP(asyncChannel: value, logger: logger) }
}

/// Keeps a connection as long as it may last, and ends it so that its last answer arrives.
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
    private var phase = Phase.reading
    private var isAmidRequest = false
    /// Whether the answer that is awaited is the last one.
    private var isLast = false
    private var isInputClosed = false
    private var deadline = NIODeadline.now()
    private var timer: (task: Scheduled<Void>, time: NIODeadline)?

    init(_ limits: HTTPLimits) { self.limits = limits }

    func handlerAdded(context: ChannelHandlerContext) { begin(.reading, context) }

    func handlerRemoved(context: ChannelHandlerContext) { timer?.task.cancel() }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if phase == .draining { return }
        switch unwrapInboundIn(data) {
        case .head(let head):
            isAmidRequest = true
            isLast = isLast || !head.isKeepAlive
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
            if phase != .answering { return context.close(promise: nil) }
        }
        context.fireUserInboundEventTriggered(event)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(var head):
            // An answer before the end of its request: the rest is not worth reading.
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

    /// Tells the client that this was all, and waits for it to finish: a connection that is closed while the client is
    /// still sending is reset, and a reset overtakes the answer.
    private func drain(_ context: ChannelHandlerContext) {
        guard !isInputClosed else { return context.close(promise: nil) }
        begin(.draining, context)
        context.close(mode: .output, promise: nil)
    }

    // MARK: - Time

    private func begin(_ phase: Phase, _ context: ChannelHandlerContext) {
        self.phase = phase
        let time =
            switch phase {
            case .reading: limits.requestTime
            // Two questions to the handler at most; their ends come first. This is for a client that does not take its answer.
            case .answering: limits.answerTime * 2 + limits.drainTime
            case .draining: limits.drainTime
            }
        deadline = .now() + TimeAmount(time)
        setTimer(context)
    }

    /// One timer serves all deadlines of a connection: if it is early, it is set again. Cancelling one is slow.
    private func setTimer(_ context: ChannelHandlerContext) {
        if let timer {
            guard deadline < timer.time else { return }
            timer.task.cancel()
        }
        let loopBound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        let task = context.eventLoop.scheduleTask(deadline: deadline) {
            let (keeper, context) = loopBound.value
            keeper.timer = nil
            if keeper.deadline <= .now() { context.close(promise: nil) } else { keeper.setTimer(context) }
        }
        timer = (task, deadline)
    }
}

/// Answers without looking at what is asked: for a client whose source has too many connections.
final class TurnAwayHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let answer: String
    private let time: Duration
    private var timer: Scheduled<Void>?

    init(_ answer: Answer, after time: Duration) {
        let fields = answer.fields.map { "\($0.name): \($0.value)\r\n" }.joined()
        let body = String(decoding: answer.body, as: UTF8.self)
        self.answer =
            "HTTP/1.1 \(answer.status)\r\n\(fields)Content-Length: \(answer.body.count)\r\nConnection: close\r\n\r\n\(body)"
        self.time = time
    }

    func channelActive(context: ChannelHandlerContext) {
        let loopBound = NIOLoopBound(context, eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleTask(in: TimeAmount(time)) { loopBound.value.close(promise: nil) }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: answer)), promise: nil)
        context.close(mode: .output, promise: nil)
    }

    /// What is unread when a connection is closed turns the answer into a reset; a router's request is here by now.
    func channelReadComplete(context: ChannelHandlerContext) { context.close(promise: nil) }

    func channelInactive(context: ChannelHandlerContext) { timer?.cancel() }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed = event { context.close(promise: nil) }
    }
}
