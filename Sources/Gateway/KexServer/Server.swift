internal import EventLoop
internal import GatewayEvents
internal import HandlerChannel
internal import KexProtocol
public import Logging
internal import NetworkAddresses
internal import SourceLimits
public import SystemCalls
public import SystemPackage
internal import Systemd
internal import Time

/// The two-line front door: takes exchanges from TCP, asks the handler, and closes without a byte for success or with
/// one line for a refusal.
///
/// Silence means success in this protocol. So whatever goes wrong here is answered with `ERR: UNAVAILABLE`, and no
/// connection is closed before the client can have read its answer.
public struct Server: ~Copyable {
    private let limits: ServerLimits
    private var domains: KnownDomains
    private let logger: Logger
    /// Needed for every exchange, so it is not looked up each time.
    private let isDebugging: Bool
    /// The reply for each refusal, at the index of its number.
    private let replies: [[UInt8]]

    private var loop: EventLoop
    private var listeners = ListenerSet()
    private var connections = ConnectionTable()
    private var sources: SourceLimits
    private var handler: HandlerLink
    private var buffer = ExchangeBuffer(size: 4096)
    /// The time of the events that are being handled.
    private var now = MonotonicTime.now

    // Which queue a slot is in follows from its phase: reading, asking, draining.
    private var lineDeadlines: DeadlineQueue
    private var answerDeadlines: DeadlineQueue
    private var drainDeadlines: DeadlineQueue

    /// Connections to accept before other events have their turn. To accept until none is left costs one more call for
    /// each connection when they come one by one, so this grows only while the listener is ready round after round.
    private var acceptsPerRound: Int
    /// Rounds of the loop, and the last one that had a listener's event.
    private var round: UInt64 = 0
    private var lastAcceptRound: UInt64 = 0

    /// When to accept again, after the system had no descriptor or memory left.
    private var nextAccept: MonotonicTime?
    /// When the server ends, done or not; `nil` as long as it is not to stop.
    private var stopDeadline: MonotonicTime?

    /// What was logged last about why the handler cannot be asked.
    private var lossNotice: LossNotice
    private var limitNotice: NoticeLimiter
    private var exhaustionNotice: NoticeLimiter
    /// For lines that strangers cause.
    private var budget = LineBudget()
    private var watchdog = Watchdog()

    public init(_ settings: ServerSettings, logger: Logger) throws(SystemCallError) {
        // No property is read in here: if a condition's closure captures the unfinished value, Swift 6.3.1 destroys
        // properties that were never set (measured: it closed descriptor 0).
        let limits = settings.limits
        precondition((1...ConnectionID.slots).contains(limits.connections), "connections are 1 to 4096")
        self.limits = limits
        acceptsPerRound = limits.acceptsPerRound  // systemd listens first, so some may wait
        domains = KnownDomains(settings.domains)
        self.logger = logger
        isDebugging = logger.logLevel <= .debug
        replies = (0...Refusal.allCases.map { Int($0.rawValue) }.max()!).map { number in
            Refusal(rawValue: UInt8(number)).map { Array($0.reply.utf8) } ?? []
        }
        sources = SourceLimits(of: limits.source, unlimited: settings.unlimitedSources)
        loop = try EventLoop()
        handler = HandlerLink(path: settings.handlerPath, pause: limits.handlerPause)
        lineDeadlines = DeadlineQueue(after: limits.lineTime)
        answerDeadlines = DeadlineQueue(after: limits.answerTime)
        drainDeadlines = DeadlineQueue(after: limits.drainTime)
        lossNotice = LossNotice(interval: limits.noticeTime)
        limitNotice = NoticeLimiter(interval: limits.noticeTime)
        exhaustionNotice = NoticeLimiter(interval: limits.noticeTime)
    }

    /// Takes clients from one more listening TCP socket, which must be non-blocking.
    public mutating func add(listener: consuming OwnedDescriptor) throws(SystemCallError) {
        try listeners.add(listener, loop)
    }

    /// Serves until the order to stop. Then it accepts no more connections, asks clients whose lines are not complete
    /// to come again, and finishes what the handler has been asked, for ``ServerLimits/stopTime`` at most. Feeds
    /// systemd's watchdog.
    ///
    /// - Parameters:
    ///   - orders: readable when there is an order.
    ///   - next: takes an order from there; `nil` if there is none yet. It is not called after the order to stop.
    /// - Throws: only if the event loop itself fails. Nothing that a client or the handler does can end a server.
    public mutating func run(
        orders: FileDescriptor,
        next: () throws(SystemCallError) -> ServerOrder?
    ) throws(SystemCallError) {
        try loop.watch(orders, for: .readable, token: Token.orders.rawValue)
        while true {
            let count = try loop.wait(until: nextDeadline)
            now = .now
            round += 1
            watchdog.feed(now: now)
            for index in 0..<count {
                guard case .orders = Token(rawValue: loop[index].token) else {
                    try handle(loop[index])
                    continue
                }
                switch try next() {
                case .serve(let names, let unlimitedSources):
                    domains = KnownDomains(names)
                    sources.unlimited = unlimitedSources
                case .stop:
                    try loop.stopWatching(orders)
                    beginStopping()
                case nil: break
                }
            }
            expire()
            askHandler()
            if let stopDeadline {
                if stopDeadline <= now { abandonQuestions() }
                if connections.count == 0 || stopDeadline <= now { return }
            } else {
                try resumeAccepting()
            }
        }
    }

    private var nextDeadline: MonotonicTime? {
        var next: MonotonicTime?
        func consider(_ time: MonotonicTime?) {
            if let time, next.map({ time < $0 }) ?? true { next = time }
        }
        consider(lineDeadlines.earliest)
        consider(answerDeadlines.earliest)
        consider(drainDeadlines.earliest)
        consider(nextAccept)
        consider(stopDeadline)
        consider(watchdog.nextFeed)
        return next
    }

    private mutating func handle(_ event: EventLoop.Event) throws(SystemCallError) {
        switch Token(rawValue: event.token) {
        case .connection(let id):
            // An earlier event of this round closed the connection, and its slot may have another client now.
            guard let slot = connections.slot(of: id) else { return }
            switch connections[slot].phase {
            case .reading: read(slot)
            case .draining: drain(slot)
            case .asking, .vacant: preconditionFailure("connection in phase \(connections[slot].phase) is watched")
            }
        case .listener(let index):
            if stopDeadline == nil { try accept(index) }
        case .handler:
            if event.readiness.contains(.readable) { receiveAnswers() }
            if event.readiness.contains(.writable) { resumeAsking() }
        case .orders: break
        }
    }

    private mutating func expire() {
        while let slot = lineDeadlines.removeExpired(now: now) {
            proceed(slot, connections[slot].parser.deadline(domains: domains))
        }
        if let earliest = answerDeadlines.earliest, earliest <= now {
            noteLoss(.silent(limits.answerTime))
            while let slot = answerDeadlines.removeExpired(now: now) { refuse(slot, .unavailable) }
            handler.keepWaiting { connections.slot(ofRequest: $0.id) != nil }
        }
        while let slot = drainDeadlines.removeExpired(now: now) { close(slot) }
    }

    private mutating func beginStopping() {
        stopDeadline = now + limits.stopTime
        listeners.close()
        nextAccept = nil
        while let slot = lineDeadlines.removeFirst() { refuse(slot, .unavailable) }
    }

    /// Stops waiting for the handler.
    private mutating func abandonQuestions() {
        while let slot = answerDeadlines.removeFirst() { refuse(slot, .unavailable) }
    }
}

// MARK: - Accepting

extension Server {
    private mutating func accept(_ index: Int) throws(SystemCallError) {
        if lastAcceptRound + 1 == round { acceptsPerRound = min(acceptsPerRound * 8, limits.acceptsPerRound) }
        lastAcceptRound = round
        for _ in 0..<acceptsPerRound {
            guard connections.count < limits.connections else {
                try listeners.pause(loop)
                if limitNotice.permits(now: now) {
                    logger.log(
                        .full,
                        .warning,
                        "\(limits.connections) connections are open: none is accepted until one closes"
                    )
                }
                return
            }
            do throws(SystemCallError) {
                guard let accepted = try Socket.accept(from: listeners[index]) else {
                    acceptsPerRound = 1
                    listeners.noteEmpty(index)
                    return
                }
                let source = accepted.address.endpoint?.source ?? IPv6Address(high: 0, low: 0)
                let descriptor = accepted.takeDescriptor()
                if !listeners.areAllReset(index) { try Socket.setReset(true, atCloseOf: descriptor.raw) }
                welcome(descriptor, from: source)
            } catch {
                // No descriptor or no memory is left. The connection stays in the kernel's queue, and its listener
                // readable, so without a pause the loop would try again and again.
                try listeners.pause(loop)
                nextAccept = now + limits.acceptPause
                if exhaustionNotice.permits(now: now) {
                    logger.log(.exhausted, .error, "\(error): trying again every \(limits.acceptPause)")
                }
                return
            }
        }
    }

    /// Begins an exchange, unless its source has made too many, or has too many open. Then the answer comes before
    /// anything is read.
    private mutating func welcome(_ descriptor: consuming OwnedDescriptor, from source: IPv6Address) {
        let beginning = sources.begin(from: source, at: .nanoseconds(Int64(now.nanoseconds)))
        let slot = connections.open(descriptor, from: source)
        connections[slot].isCounted = beginning == .welcome || beginning == .tooFast
        switch beginning {
        case .welcome, .unlimited:
            readFirst(slot)
        case .tooFast:
            noteRefusal(slot, .rateLimited)
            refuse(slot, .rateLimited)
        case .tooMany:
            noteRefusal(slot, .rateLimited)
            turnAway(slot)
        }
    }

    private mutating func resumeAccepting() throws(SystemCallError) {
        if let nextAccept {
            guard nextAccept <= now else { return }
            self.nextAccept = nil
        }
        guard listeners.isPaused, connections.count < limits.connections else { return }
        try listeners.resume(loop)
    }
}

// MARK: - One exchange

extension Server {
    /// In a burst, and from routers nearby, both lines are here already. Reading at once saves a round of the event
    /// loop.
    private mutating func readFirst(_ slot: Int) {
        let descriptor = connections[slot].descriptor
        var progress = ExchangeParser.Progress.waiting
        do throws(SystemCallError) {
            switch try buffer.receive(from: descriptor) {
            case .bytes(let count): progress = buffer.feed(count, to: &connections[slot].parser, domains: domains)
            case .end: progress = connections[slot].parser.end(domains: domains)
            case .nothingYet: break
            }
        } catch {
            return drop(slot)  // nobody is there to be answered
        }
        proceed(slot, progress)
    }

    private mutating func read(_ slot: Int) {
        let line = connections[slot].parser.line
        let progress: ExchangeParser.Progress
        do throws(SystemCallError) {
            switch try buffer.receive(from: connections[slot].descriptor) {
            case .bytes(let count):
                progress = buffer.feed(count, to: &connections[slot].parser, domains: domains)
            case .end: progress = connections[slot].parser.end(domains: domains)
            case .nothingYet: progress = .waiting
            }
        } catch {
            return drop(slot)  // nobody is there to be answered
        }
        // Each line has its own deadline. That of the last line ends with the exchange.
        if lineDeadlines.contains(slot) {
            if case .waiting = progress, line == connections[slot].parser.line { return }
            lineDeadlines.remove(slot)
        }
        proceed(slot, progress)
    }

    /// Acts on the parser's result for a connection that has no deadline now.
    private mutating func proceed(_ slot: Int, _ progress: ExchangeParser.Progress) {
        switch progress {
        case .waiting:
            lineDeadlines.insert(slot, now: now)
            watch(slot)
        case .complete(let registration): ask(slot, registration)
        case .refused(let refusal):
            noteRefusal(slot, refusal)
            refuse(slot, refusal)
        }
    }

    /// The handler logs its own refusals.
    private mutating func noteRefusal(_ slot: Int, _ refusal: Refusal) {
        let connection = connections[slot]
        let domain = connection.parser.domain?.text
        let source = connection.source.sourceDescription
        budget.log(
            .refused,
            .info,
            domain: domain,
            key: connection.parser.key.map { "\($0)" },
            "\(domain.map { "\($0): " } ?? "")refused an exchange from \(source): \(refusal.code)",
            to: logger,
            at: now
        )
    }

    private mutating func ask(_ slot: Int, _ registration: Registration) {
        // Nothing that the client does meanwhile matters, and a hang-up would be reported again and again.
        unwatch(slot)
        connections[slot].phase = .asking
        answerDeadlines.insert(slot, now: now)
        let id = connections.id(of: slot).rawValue
        handler.enqueue(RegistrationRequest(id: id, source: connections[slot].source, registration: registration))
    }

    /// Answers a connection that has no deadline now.
    private mutating func refuse(_ slot: Int, _ refusal: Refusal) {
        debug(slot, refusal)
        let descriptor = connections[slot].descriptor
        do throws(SystemCallError) {
            // The socket's buffer is empty, so it takes a line whole.
            let reply = replies[Int(refusal.rawValue)]
            _ = try Socket.send(reply, to: descriptor)
            try Socket.setReset(false, atCloseOf: descriptor)
        } catch {
            return close(slot)  // the client is gone
        }
        beginDraining(slot)
    }

    /// Answers without waiting for the client, which has no place here. If it goes on sending, its connection is reset.
    private mutating func turnAway(_ slot: Int) {
        debug(slot, .rateLimited)
        let descriptor = connections[slot].descriptor
        // A close over unread bytes is a reset, which overtakes the answer. In most cases the lines are here already.
        _ = try? buffer.receive(from: descriptor)
        _ = try? Socket.send(replies[Int(Refusal.rateLimited.rawValue)], to: descriptor)
        try? Socket.setReset(false, atCloseOf: descriptor)
        close(slot)
    }

    /// Answers a connection that has no deadline now.
    private mutating func succeed(_ slot: Int) {
        debug(slot, nil)
        let descriptor = connections[slot].descriptor
        do throws(SystemCallError) {
            try Socket.setReset(false, atCloseOf: descriptor)
            // A close over unread bytes sends a reset, which a client may take for a failure.
            if case .bytes = try buffer.receive(from: descriptor) { return beginDraining(slot) }
        } catch {}  // the client is gone
        close(slot)
    }

    /// Ends our side of the connection, and waits for the client to end its own. A connection that is closed while the
    /// client is still sending is reset, and a reset overtakes the answer.
    private mutating func beginDraining(_ slot: Int) {
        Socket.finishSending(to: connections[slot].descriptor)
        connections[slot].phase = .draining
        drainDeadlines.insert(slot, now: now)
        drain(slot)
    }

    private mutating func drain(_ slot: Int) {
        while connections[slot].drained < limits.drainBytes,
            let received = try? buffer.receive(from: connections[slot].descriptor)
        {
            switch received {
            case .bytes(let count): connections[slot].drained += count
            case .nothingYet: return watch(slot)
            case .end: return drop(slot)
            }
        }
        drop(slot)
    }

    /// Closes a connection in any phase.
    private mutating func drop(_ slot: Int) {
        if lineDeadlines.contains(slot) { lineDeadlines.remove(slot) }
        if drainDeadlines.contains(slot) { drainDeadlines.remove(slot) }
        close(slot)
    }

    private mutating func close(_ slot: Int) {
        if connections[slot].isCounted { sources.end(from: connections[slot].source) }
        connections.close(slot)
    }

    private mutating func watch(_ slot: Int) {
        guard !connections[slot].isWatched else { return }
        let token = Token.connection(connections.id(of: slot)).rawValue
        do throws(SystemCallError) {
            try loop.watch(connections[slot].descriptor, for: .readable, token: token)
            connections[slot].isWatched = true
        } catch {
            // The client is answered at its deadline all the same.
            if exhaustionNotice.permits(now: now) { logger.log(.exhausted, .error, "\(error)") }
        }
    }

    private mutating func unwatch(_ slot: Int) {
        guard connections[slot].isWatched else { return }
        do throws(SystemCallError) {
            try loop.stopWatching(connections[slot].descriptor)
        } catch {
            preconditionFailure("a watched descriptor can be left alone: \(error)")
        }
        connections[slot].isWatched = false
    }

    private func debug(_ slot: Int, _ refusal: Refusal?) {
        guard isDebugging else { return }
        let source = connections[slot].source.sourceDescription
        logger.log(.exchange, .debug, "exchange from \(source): \(refusal?.code ?? "accepted")")
    }
}

// MARK: - The handler

extension Server {
    /// Sends all requests of this round together.
    private mutating func askHandler() {
        do throws(HandlerFailure) {
            try handler.flush(loop, now: now)
        } catch {
            loseHandler(error)
        }
    }

    private mutating func resumeAsking() {
        do throws(HandlerFailure) {
            try handler.becameWritable(loop)
        } catch {
            loseHandler(error)
        }
    }

    private mutating func receiveAnswers() {
        do throws(HandlerFailure) {
            for answer in try handler.receive() {
                noteAnswer()
                // Nobody waits for an answer that is late, or that was never asked for.
                guard let slot = connections.slot(ofRequest: answer.id) else { continue }
                answerDeadlines.remove(slot)
                if let refusal = answer.refusal { refuse(slot, refusal) } else { succeed(slot) }
            }
        } catch {
            loseHandler(error)
        }
    }

    /// Answers everybody who waits for the handler. It may have carried their requests out before it was lost. The
    /// answer costs the client one more try, which then changes nothing, while silence would cost it its network.
    private mutating func loseHandler(_ failure: HandlerFailure) {
        // The end of an idle handler is not worth a line.
        if !answerDeadlines.isEmpty { noteLoss(failure) }
        abandonQuestions()
    }

    private mutating func noteLoss(_ failure: HandlerFailure) {
        // The reason was logged when the attempt before the pause failed.
        if failure.isPause { return }
        guard lossNotice.permits(loss: "\(failure)", now: now) else { return }
        let advice = "is kex-handler running, with the same HandlerSocket=, and is this user in its group?"
        logger.log(
            .handlerLost,
            .error,
            "the handler cannot be asked: \(failure); answering \(Refusal.unavailable.code); \(advice)"
        )
    }

    private mutating func noteAnswer() {
        guard lossNotice.permitsReturn(now: now) else { return }
        logger.log(.handlerBack, .notice, "the handler answers again")
    }
}
