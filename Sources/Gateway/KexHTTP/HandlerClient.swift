internal import GatewayEvents
internal import HandlerChannel
internal import KexProtocol
internal import Logging
internal import NIOCore
internal import NIOPosix
internal import NetworkAddresses
internal import PacketChannel
internal import Synchronization
internal import SystemCalls
internal import SystemPackage
internal import Systemd
internal import WireGuardTypes

/// The one connection to `kex-handler`, or to `kex-mqtt`, made when it is needed. Requests that come together go in one
/// packet. Their numbers lead answers to those who wait for them.
final class HandlerClient: Sendable {
    /// Who is at the other end.
    enum Server: Sendable {
        /// Carries registrations out, and knows the states of domains.
        case handler
        /// Passes registrations on to other gateways, and chooses gateways.
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

        /// What its absence means.
        fileprivate var consequence: String {
            switch self {
            case .handler: "registrations fail until it is back"
            case .bus: "other gateways do not hear of new routers"
            }
        }

        fileprivate var isHandler: Bool { self == .handler }
    }

    /// What is asked. A number or a domain names the answer.
    fileprivate enum Question: Hashable {
        case registration(UInt32)
        case status(of: DomainName)
        case choice(UInt32)
    }

    fileprivate enum Answer {
        /// `nil` if the router was let in.
        case registration(Refusal?)
        case status(DomainStatus)
        case choice(ChosenGateway?)
    }

    /// Gets `nil` if nobody answered.
    fileprivate typealias Continuation = CheckedContinuation<Answer?, Never>

    /// Whoever waits for one answer.
    fileprivate struct Waiting {
        let deadline: NIODeadline
        let first: Continuation
        /// Those that came later and wait for the same answer.
        var others: [Continuation] = []

        func resume(with answer: Answer?) {
            first.resume(returning: answer)
            for continuation in others { continuation.resume(returning: answer) }
        }
    }

    /// What is not sent yet, each kind in the order in which it came.
    fileprivate struct Unsent {
        var registrations: [RegistrationRequest] = []
        var statuses: [DomainName] = []
        var choices: [ChoiceRequest] = []
    }

    fileprivate struct State {
        var connection = Connection.none
        var unsent = Unsent()
        /// Whoever waits, whether what they ask is sent or not.
        var waiting: [Question: Waiting] = [:]
        var lastNumber: UInt32 = 0
        var statuses: [DomainName: (status: DomainStatus, expires: NIODeadline)] = [:]
        var isFlushing = false
        var isTiming = false
        var connector: PacketConnector
        /// What was logged last about why the handler cannot be asked.
        var lossNotice: LossNotice
    }

    fileprivate enum Connection {
        case none
        case opening
        /// A packet is sent when the kernel has the one before, because NIO may join several that wait (writev(2)).
        case open(any Channel, isSending: Bool)
    }

    private let server: Server
    private let limits: HTTPLimits
    private let loop: any EventLoop
    private let log: Logger
    private let state: Mutex<State>

    init(_ server: Server = .handler, path: String, limits: HTTPLimits, loop: any EventLoop, log: Logger) {
        self.server = server
        self.limits = limits
        self.loop = loop
        self.log = log
        let connector = PacketConnector(path: path, pause: .afterFailure(limits.handlerPause))
        state = Mutex(State(connector: connector, lossNotice: LossNotice(interval: limits.noticeTime)))
    }

    /// Has the handler carry a registration out. The answer is `unavailable` at once if the handler cannot be asked.
    func register(_ registration: Registration, from source: IPv6Address) async -> Refusal? {
        let answer = await ask { state in
            let number = state.newNumber()
            let request = RegistrationRequest(id: number, source: source, registration: registration)
            state.unsent.registrations.append(request)
            return .registration(number)
        }
        guard case .registration(let refusal) = answer else { return .unavailable }
        return refusal
    }

    /// The state of a domain, at most ``HTTPLimits/statusAge`` old; `nil` if the handler cannot be asked.
    func status(of domain: DomainName) async -> DomainStatus? {
        let now = NIODeadline.now()
        let known = state.withLock { $0.statuses[domain] }
        if let known, now < known.expires { return known.status }
        let answer = await ask { state in
            // Whoever came first asked for all.
            if state.waiting[.status(of: domain)] == nil { state.unsent.statuses.append(domain) }
            return .status(of: domain)
        }
        guard case .status(let status) = answer else { return nil }
        return status
    }

    /// The gateway that a router should use; `nil` if there is none in its domain.
    ///
    /// - Parameter key: the router's; `nil` if nobody in particular asks.
    func choose(for key: PublicKey?, in domain: DomainName) async throws(NoGateway) -> ChosenGateway? {
        let answer = await ask { state in
            let number = state.newNumber()
            state.unsent.choices.append(ChoiceRequest(id: number, domain: domain, key: key))
            return .choice(number)
        }
        guard case .choice(let gateway) = answer else { throw .unavailable }
        return gateway
    }

    /// Waits for an answer; `nil` if there is none.
    ///
    /// - Parameter enqueue: puts the question among what is to be sent, unless it is there.
    private func ask(_ enqueue: (inout State) -> Question) async -> Answer? {
        await withCheckedContinuation { continuation in
            let mustFlush = state.withLock { state in
                let question = enqueue(&state)
                guard state.waiting[question] == nil else {
                    state.waiting[question]?.others.append(continuation)
                    return false
                }
                let deadline = NIODeadline.now() + TimeAmount(limits.answerTime)
                state.waiting[question] = Waiting(deadline: deadline, first: continuation)
                return state.beginFlushing()
            }
            if mustFlush { flushSoon() }
        }
    }

    // MARK: - Sending

    /// Requests of one round of the loop are sent together.
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
                // If a packet cannot be sent, the channel is closed, and nobody waits any more.
                guard case .success = result else { return channel.close(promise: nil) }
                self.state.withLock { $0.noteSent(over: channel) }
                self.flush()
            }
        }
        watchTime()
    }

    private func open() {
        let descriptor: OwnedDescriptor
        do throws(PacketConnector.Failure) {
            descriptor = try state.withLock { state throws(PacketConnector.Failure) in
                try state.connector.connect(now: .now)
            }
        } catch {
            return lose("\(error)")
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
                case .failure(let error):
                    self.state.withLock { $0.connector.noteFailure(now: .now) }
                    self.lose("\(error)")
                }
            }
    }

    // MARK: - Receiving

    /// A packet of the handler.
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
        resume(answers.map { (.registration($0.id), .registration($0.refusal)) })
    }

    private func take(_ statuses: [DomainStatus]) {
        state.withLock { state in
            let expires = NIODeadline.now() + TimeAmount(limits.statusAge)
            for status in statuses { state.statuses[status.domain] = (status, expires) }
        }
        resume(statuses.map { (.status(of: $0.domain), .status($0)) })
    }

    private func take(_ choices: [ChoiceAnswer]) {
        resume(choices.map { (.choice($0.id), .choice($0.gateway)) })
    }

    private func resume(_ answers: [(question: Question, answer: Answer)]) {
        // Nobody waits for an answer that is late, or that was never asked for.
        let waiting = state.withLock { state in answers.map { state.waiting.removeValue(forKey: $0.question) } }
        for (entry, answer) in zip(waiting, answers) { entry?.resume(with: answer.answer) }
        noteAnswer()
    }

    /// The connection has ended. Either side may have ended it.
    fileprivate func end(of channel: any Channel) {
        let isOurs = state.withLock { $0.connection.channel === channel }
        if isOurs { lose("it closed the connection") }
    }

    /// Answers everybody who waits. The handler may have carried their requests out before it was lost. The answer
    /// costs the router one more try, which then changes nothing.
    private func lose(_ reason: String) {
        let waiting = state.withLock { state in
            state.connection = .none
            state.unsent = Unsent()
            defer { state.waiting.removeAll() }
            return Array(state.waiting.values)
        }
        // The end of an idle handler is not worth a line.
        if !waiting.isEmpty { noteLoss(reason) }
        for entry in waiting { entry.resume(with: nil) }
    }

    // MARK: - Time

    /// As long as somebody waits, answers those whose time is over.
    private func watchTime() {
        let next = state.withLock { state -> NIODeadline? in
            guard !state.isTiming, let first = state.waiting.values.map(\.deadline).min() else { return nil }
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
        let late = state.withLock { state in
            let late = state.waiting.filter { $0.value.deadline <= now }
            for question in late.keys { state.waiting[question] = nil }
            state.unsent.registrations.removeAll { late[.registration($0.id)] != nil }
            state.unsent.statuses.removeAll { late[.status(of: $0)] != nil }
            state.unsent.choices.removeAll { late[.choice($0.id)] != nil }
            return Array(late.values)
        }
        if !late.isEmpty { noteLoss("no answer within \(limits.answerTime)") }
        for entry in late { entry.resume(with: nil) }
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
    /// A number that nobody waits for.
    fileprivate mutating func newNumber() -> UInt32 {
        repeat {
            lastNumber &+= 1
        } while waiting[.registration(lastNumber)] != nil || waiting[.choice(lastNumber)] != nil
        return lastNumber
    }

    /// Whether the caller, who has just enqueued something, must have it sent.
    fileprivate mutating func beginFlushing() -> Bool {
        defer { isFlushing = true }
        return !isFlushing
    }

    fileprivate mutating func nextStep() -> HandlerClient.Step {
        isFlushing = false
        guard !unsent.isEmpty else { return .wait }
        switch connection {
        case .opening, .open(_, isSending: true): return .wait
        case .none:
            guard connector.nextAttempt <= .now else { return .lose("\(PacketConnector.Failure.pausing)") }
            connection = .opening
            return .open
        case .open(let channel, isSending: false):
            connection = .open(channel, isSending: true)
            return .send(unsent.nextPacket(), channel)
        }
    }

    fileprivate mutating func noteSent(over channel: any Channel) {
        if connection.channel === channel { connection = .open(channel, isSending: false) }
    }
}

extension HandlerClient.Unsent {
    fileprivate var isEmpty: Bool { registrations.isEmpty && statuses.isEmpty && choices.isEmpty }

    /// Takes out what goes into one packet. Something must be there.
    fileprivate mutating func nextPacket() -> [UInt8] {
        var packet: [UInt8] = []
        if !statuses.isEmpty {
            let part = statuses.prefix(ChannelLimit.records)
            RegistrationFrame.encode(statusOf: part, into: &packet)
            statuses.removeFirst(part.count)
        } else if !registrations.isEmpty {
            let part = registrations.prefix(ChannelLimit.records)
            RegistrationFrame.encode(part, into: &packet)
            registrations.removeFirst(part.count)
        } else if !choices.isEmpty {
            let part = choices.prefix(ChannelLimit.records)
            BusFrame.encode(part, into: &packet)
            choices.removeFirst(part.count)
        }
        return packet
    }
}

extension HandlerClient.Connection {
    fileprivate var channel: (any Channel)? {
        if case .open(let channel, _) = self { channel } else { nil }
    }
}

/// Each read is one packet, because the buffer has room for the longest.
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
