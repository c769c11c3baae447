internal import HandlerChannel
internal import KexProtocol
internal import Logging
internal import NIOCore
internal import NIOPosix
internal import NetworkAddresses
internal import Synchronization
internal import SystemCalls
internal import SystemPackage
internal import Systemd
internal import WireGuardTypes

/// The one connection to `kex-handler`, or to `kex-mqtt`, made when it is needed. Requests that come together go in one
/// packet; answers find who waits for them by their numbers.
final class HandlerClient: Sendable {
    /// Who is at the other end.
    enum Server: Sendable {
        /// Carries registrations out, and knows how domains are doing.
        case handler
        /// Lets other gateways know of registrations, and chooses gateways.
        case bus

        fileprivate var name: String {
            switch self {
            case .handler: "the handler"
            case .bus: "the bus"
            }
        }

        fileprivate var advice: String {
            switch self {
            case .handler: "is kex-handler running, with the same HandlerSocket=, and is this user in its group?"
            case .bus: "is kex-mqtt running, with the same Socket= of [Bus], and is this user in its group?"
            }
        }

        /// What becomes of requests without it.
        fileprivate var consequence: String {
            switch self {
            case .handler: "no router is let in here"
            case .bus: "routers are let in here alone"
            }
        }

        fileprivate var isHandler: Bool { self == .handler }
    }

    fileprivate struct Waiting {
        let deadline: NIODeadline
        let continuation: CheckedContinuation<Refusal?, Never>
    }

    fileprivate struct Choosing {
        let deadline: NIODeadline
        let continuation: CheckedContinuation<Result<ChosenGateway?, NoGateway>, Never>
    }

    fileprivate struct State {
        var connection = Connection.none
        /// Requests that are not sent yet, in the order in which they came.
        var requests: [RegistrationRequest] = []
        /// Whoever waits for an answer to a request, sent or not, by its number.
        var waiting: [UInt32: Waiting] = [:]
        var lastNumber: UInt32 = 0
        /// Domains that are to be asked about.
        var questions: [DomainName] = []
        /// Whoever waits for an answer about a domain.
        var asking: [DomainName: [CheckedContinuation<DomainStatus?, Never>]] = [:]
        var askingSince: [DomainName: NIODeadline] = [:]
        var statuses: [DomainName: (status: DomainStatus, expires: NIODeadline)] = [:]
        /// Routers for which a gateway is to be chosen.
        var choices: [ChoiceRequest] = []
        /// Whoever waits for the choice, by its number.
        var choosing: [UInt32: Choosing] = [:]
        var isFlushing = false
        var isTiming = false
        /// When the handler may be called again after a call that failed.
        var nextCall = NIODeadline.uptimeNanoseconds(0)
        /// The log's last word on why the handler cannot be asked.
        var lossNotice: LossNotice
    }

    fileprivate enum Connection {
        case none
        case opening
        /// A packet is sent when the one before is with the kernel: of several that wait, NIO may make one (writev(2)).
        case open(any Channel, isSending: Bool)
    }

    private let server: Server
    private let path: String
    private let limits: HTTPLimits
    private let loop: any EventLoop
    private let log: Logger
    private let state: Mutex<State>

    init(_ server: Server = .handler, path: String, limits: HTTPLimits, loop: any EventLoop, log: Logger) {
        self.server = server
        self.path = path
        self.limits = limits
        self.loop = loop
        self.log = log
        state = Mutex(State(lossNotice: LossNotice(interval: limits.noticeTime)))
    }

    /// Has the handler carry a registration out. If it cannot be asked, the answer is `unavailable` at once.
    func register(_ registration: Registration, from source: IPv6Address) async -> Refusal? {
        await withCheckedContinuation { continuation in
            let mustFlush = state.withLock { state in
                let number = state.newNumber()
                let deadline = NIODeadline.now() + TimeAmount(limits.answerTime)
                state.waiting[number] = Waiting(deadline: deadline, continuation: continuation)
                state.requests.append(RegistrationRequest(id: number, source: source, registration: registration))
                return state.beginFlushing()
            }
            if mustFlush { flushSoon() }
        }
    }

    /// How a domain is doing, as of ``HTTPLimits/statusAge`` ago at most; `nil` if the handler cannot be asked.
    func status(of domain: DomainName) async -> DomainStatus? {
        let now = NIODeadline.now()
        let known = state.withLock { $0.statuses[domain] }
        if let known, now < known.expires { return known.status }
        return await withCheckedContinuation { (continuation: CheckedContinuation<DomainStatus?, Never>) in
            let mustFlush = state.withLock { state in
                state.asking[domain, default: []].append(continuation)
                // Whoever came first has asked for all.
                guard state.askingSince[domain] == nil else { return false }
                state.askingSince[domain] = now
                state.questions.append(domain)
                return state.beginFlushing()
            }
            if mustFlush { flushSoon() }
        }
    }

    /// The gateway that a router should use; `nil` if there is none in its domain.
    ///
    /// - Parameter key: the router's; `nil` if nobody in particular asks.
    func choose(for key: PublicKey?, in domain: DomainName) async throws(NoGateway) -> ChosenGateway? {
        let result = await withCheckedContinuation { continuation in
            let mustFlush = state.withLock { state in
                let number = state.newNumber()
                let deadline = NIODeadline.now() + TimeAmount(limits.answerTime)
                state.choosing[number] = Choosing(deadline: deadline, continuation: continuation)
                state.choices.append(ChoiceRequest(id: number, domain: domain, key: key))
                return state.beginFlushing()
            }
            if mustFlush { flushSoon() }
        }
        return try result.get()
    }

    // MARK: - Sending

    /// What comes in the same round of the loop goes together.
    private func flushSoon() { loop.execute { self.flush() } }

    fileprivate enum Step {
        case wait
        case open
        case lose(String)
        case send([UInt8], any Channel)
    }

    private func flush() {
        let step = state.withLock { $0.nextStep() }
        switch step {
        case .wait: break
        case .open: open()
        case .lose(let reason): lose(reason)
        case .send(let packet, let channel):
            channel.writeAndFlush(channel.allocator.buffer(bytes: packet)).whenComplete { result in
                // A packet that failed closes the channel, which is the end of everything that waits.
                guard case .success = result else { return channel.close(promise: nil) }
                self.state.withLock { $0.noteSent(over: channel) }
                self.flush()
            }
        }
        watchTime()
    }

    private func open() {
        let descriptor: OwnedDescriptor
        do throws(SystemCallError) {
            descriptor = try Socket.connect(toPath: path, kind: .sequentialPacket)
        } catch {
            return lose("\(error)", isCallFailed: true)
        }
        ClientBootstrap(group: loop)
            .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: ChannelLimit.frameSize))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(PacketReceiver(client: self))
                }
            }
            .withConnectedSocket(descriptor.release().rawValue)
            .whenComplete { result in
                switch result {
                case .success(let channel):
                    self.state.withLock { $0.connection = .open(channel, isSending: false) }
                    self.flush()
                case .failure(let error): self.lose("\(error)", isCallFailed: true)
                }
            }
    }

    // MARK: - Receiving

    /// One packet of the handler's.
    fileprivate func receive(_ packet: [UInt8], _ channel: any Channel) {
        do throws(MalformedFrame) {
            switch try RegistrationFrame.answer(in: packet.span) {
            case .registrations(let answers): take(answers)
            case .statuses(let statuses): take(statuses)
            case .choices(let choices): take(choices)
            }
        } catch {
            lose("malformed answer: \(error)")
            channel.close(promise: nil)
        }
    }

    private func take(_ answers: [RegistrationAnswer]) {
        // Nobody waits any more for an answer whose time was over, or that the handler made up.
        let continuations = state.withLock { state in
            answers.map { state.waiting.removeValue(forKey: $0.id)?.continuation }
        }
        for (answer, continuation) in zip(answers, continuations) { continuation?.resume(returning: answer.refusal) }
        noteAnswer()
    }

    private func take(_ statuses: [DomainStatus]) {
        for status in statuses {
            let continuations = state.withLock { state in
                let expires = NIODeadline.now() + TimeAmount(limits.statusAge)
                state.statuses[status.domain] = (status, expires)
                state.askingSince[status.domain] = nil
                return state.asking.removeValue(forKey: status.domain) ?? []
            }
            for continuation in continuations { continuation.resume(returning: status) }
        }
        noteAnswer()
    }

    private func take(_ choices: [ChoiceAnswer]) {
        let continuations = state.withLock { state in
            choices.map { state.choosing.removeValue(forKey: $0.id)?.continuation }
        }
        for (choice, continuation) in zip(choices, continuations) {
            continuation?.resume(returning: .success(choice.gateway))
        }
        noteAnswer()
    }

    /// The connection has ended, by whoever's will.
    fileprivate func end(of channel: any Channel) {
        let isOurs = state.withLock { $0.connection.channel === channel }
        if isOurs { lose("it closed the connection") }
    }

    /// Answers everybody who waits. The handler may have done what it was asked before it was lost; saying no costs the
    /// router one more try, which changes nothing then.
    private func lose(_ reason: String, isCallFailed: Bool = false) {
        let (waiting, asking, choosing) = state.withLock { state in
            state.connection = .none
            if isCallFailed { state.nextCall = .now() + TimeAmount(limits.handlerPause) }
            state.requests.removeAll(keepingCapacity: true)
            state.questions.removeAll()
            state.askingSince.removeAll()
            state.choices.removeAll()
            defer {
                state.waiting.removeAll()
                state.asking.removeAll()
                state.choosing.removeAll()
            }
            return (Array(state.waiting.values), state.asking.values.flatMap(\.self), Array(state.choosing.values))
        }
        // A handler that was idle when it ended is nothing to talk about.
        if !waiting.isEmpty || !asking.isEmpty || !choosing.isEmpty { noteLoss(reason) }
        for entry in waiting { entry.continuation.resume(returning: .unavailable) }
        for continuation in asking { continuation.resume(returning: nil) }
        for entry in choosing { entry.continuation.resume(returning: .failure(.unavailable)) }
    }

    // MARK: - Time

    /// Looks for those whose time is over as long as somebody waits.
    private func watchTime() {
        let next = state.withLock { state -> NIODeadline? in
            guard !state.isTiming, let first = state.firstDeadline(limits.answerTime) else { return nil }
            state.isTiming = true
            return first
        }
        guard let next else { return }
        loop.scheduleTask(deadline: next) {
            self.state.withLock { $0.isTiming = false }
            self.expire()
            self.watchTime()
        }
    }

    private func expire() {
        let now = NIODeadline.now()
        let (waiting, asking, choosing) = state.withLock { state in
            let late = state.waiting.filter { $0.value.deadline <= now }
            for number in late.keys { state.waiting[number] = nil }
            state.requests.removeAll { late[$0.id] != nil }
            let lateDomains = state.askingSince.filter { $0.value + TimeAmount(limits.answerTime) <= now }.keys
            var asking: [CheckedContinuation<DomainStatus?, Never>] = []
            for domain in lateDomains {
                state.askingSince[domain] = nil
                asking += state.asking.removeValue(forKey: domain) ?? []
            }
            state.questions.removeAll { lateDomains.contains($0) }
            let lateChoices = state.choosing.filter { $0.value.deadline <= now }
            for number in lateChoices.keys { state.choosing[number] = nil }
            state.choices.removeAll { lateChoices[$0.id] != nil }
            return (late.values.map(\.continuation), asking, lateChoices.values.map(\.continuation))
        }
        if !waiting.isEmpty || !asking.isEmpty || !choosing.isEmpty {
            noteLoss("no answer within \(limits.answerTime)")
        }
        for continuation in waiting { continuation.resume(returning: .unavailable) }
        for continuation in asking { continuation.resume(returning: nil) }
        for continuation in choosing { continuation.resume(returning: .failure(.unavailable)) }
    }

    // MARK: - The log

    private func noteLoss(_ reason: String) {
        guard state.withLock({ $0.lossNotice.permits(loss: reason, now: .now) }) else { return }
        let event: GatewayEvent = server.isHandler ? .handlerLost : .busLost
        log.log(event, .error, "\(server.name) cannot be asked: \(reason); \(server.consequence); \(server.advice)")
    }

    private func noteAnswer() {
        let isNews = state.withLock { $0.lossNotice.permitsReturn(now: .now) }
        if isNews { log.log(server.isHandler ? .handlerBack : .busBack, .notice, "\(server.name) answers again") }
    }
}

extension HandlerClient.State {
    /// One that nobody waits for.
    fileprivate mutating func newNumber() -> UInt32 {
        repeat { lastNumber &+= 1 } while waiting[lastNumber] != nil || choosing[lastNumber] != nil
        return lastNumber
    }

    /// Whether whoever has just put something into a queue has to see to its being sent.
    fileprivate mutating func beginFlushing() -> Bool {
        defer { isFlushing = true }
        return !isFlushing
    }

    fileprivate mutating func nextStep() -> HandlerClient.Step {
        isFlushing = false
        guard !requests.isEmpty || !questions.isEmpty || !choices.isEmpty else { return .wait }
        switch connection {
        case .opening, .open(_, isSending: true): return .wait
        case .none:
            guard nextCall <= .now() else { return .lose("the last call failed a moment ago") }
            connection = .opening
            return .open
        case .open(let channel, isSending: false):
            connection = .open(channel, isSending: true)
            return .send(nextPacket(), channel)
        }
    }

    fileprivate mutating func noteSent(over channel: any Channel) {
        if connection.channel === channel { connection = .open(channel, isSending: false) }
    }

    /// Takes out what goes into one packet. Something must be there.
    fileprivate mutating func nextPacket() -> [UInt8] {
        var packet: [UInt8] = []
        if !questions.isEmpty {
            let part = questions.prefix(ChannelLimit.records)
            RegistrationFrame.encode(statusOf: part, into: &packet)
            questions.removeFirst(part.count)
        } else if !requests.isEmpty {
            let part = requests.prefix(ChannelLimit.records)
            RegistrationFrame.encode(part, into: &packet)
            requests.removeFirst(part.count)
        } else if !choices.isEmpty {
            let part = choices.prefix(ChannelLimit.records)
            BusFrame.encode(part, into: &packet)
            choices.removeFirst(part.count)
        }
        return packet
    }

    fileprivate func firstDeadline(_ answerTime: Duration) -> NIODeadline? {
        let questions = askingSince.values.map { $0 + TimeAmount(answerTime) }
        return (waiting.values.map(\.deadline) + choosing.values.map(\.deadline) + questions).min()
    }
}

extension HandlerClient.Connection {
    fileprivate var channel: (any Channel)? {
        if case .open(let channel, _) = self { channel } else { nil }
    }
}

/// Each read is one packet, since the buffer takes the longest.
private final class PacketReceiver: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let client: HandlerClient

    init(client: HandlerClient) { self.client = client }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        client.receive(Array(buffer: unwrapInboundIn(data)), context.channel)
    }

    func channelInactive(context: ChannelHandlerContext) { client.end(of: context.channel) }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
