internal import BusConfiguration
internal import ConfigurationFiles
internal import EventLoop
internal import GatewayEvents
internal import HandlerChannel
internal import KexConfiguration
internal import KexMQTT
internal import Logging
internal import Mosquitto
internal import PacketChannel
internal import ServiceProgram
internal import SystemCalls
internal import SystemPackage
internal import Systemd
internal import Time

/// The whole of `kex-mqtt`: one thread, which waits for nobody. What it wants is decided by ``BusMember``.
struct Service: ~Copyable {
    private var loop: EventLoop
    private let signals: SignalReceiver
    private var frontDoors: FrontDoors
    private var handler: PacketClient
    private var link: BrokerLink
    private var backoff = Backoff(first: BrokerLimit.firstRetry, longest: BrokerLimit.longestRetry)
    /// When to connect to the broker; `nil` while there is a connection, or an attempt.
    private var nextConnect: MonotonicTime? = MonotonicTime.start
    private var onlineSince: MonotonicTime?
    private var member: BusMember
    /// A publication for which the link had no room.
    private var unsent: Publication?
    private var membership: Membership
    private let source: ConfigurationSource<MemberConfiguration, Membership>
    private let log: Logger
    private var budget = LineBudget()
    private var watchdog = Watchdog()
    /// What was logged last about a lost broker and a lost handler.
    private var brokerNotice = LossNotice(interval: Self.noticeTime)
    private var handlerNotice = LossNotice(interval: Self.noticeTime)
    /// When a connection to the broker has lasted for long enough to be logged; `nil` if it was logged, or there is
    /// none.
    private var greetingDue: MonotonicTime?
    private var isGreeted = false
    /// Connections in a row that ended soon. They do when two clients have the same name.
    private var shortConnections = 0
    private var now = MonotonicTime.now

    private enum Token {
        static let signals: UInt64 = 0
        static let broker: UInt64 = 1
        static let handler: UInt64 = 2
        /// Connections of front doors are above it.
        static let listener: UInt64 = 3
    }

    /// Least time between two log lines on the same subject.
    private static let noticeTime = Duration.seconds(10)
    /// This many short connections in a row are no accident.
    private static let suspiciousConnections = 3
    private static let accountAdvice = "docs/MIGRATION.md says what an account needs, under The broker's account"
    /// How long the broker has to take our last publications.
    private static let farewellTime = Duration.seconds(1)

    init(_ membership: Membership, source: ConfigurationSource<MemberConfiguration, Membership>, log: Logger) throws {
        // Sockets of systemd are taken before anything else opens a descriptor: wrong numbers show only then.
        let frontDoors = try FrontDoors(path: membership.socket, token: Token.listener)
        // Signals are blocked before the first thread starts.
        let signals = try SignalReceiver(for: [.terminate, .interrupt, .hangup])
        let loop = try EventLoop()
        self.frontDoors = frontDoors
        self.signals = signals
        self.loop = loop
        handler = PacketClient(
            PacketConnector(path: membership.fleetSocket, pause: .afterAttempt(BusLimit.handlerPause)),
            limit: ChannelLimit.frameSize,
            token: Token.handler
        )
        link = BrokerLink(membership.broker, token: Token.broker)
        member = BusMember(membership.member)
        self.membership = membership
        self.source = source
        self.log = log
    }

    private var moment: Moment {
        Moment(milliseconds: wallClockMilliseconds(), sinceStart: now.sinceStart)
    }

    private var status: String {
        let place = "\(membership.member.name) on \(membership.broker.host)"
        return link.isConnected ? place : "\(place), not connected to the broker"
    }

    /// Serves until SIGTERM or SIGINT.
    mutating func run() throws(SystemCallError) {
        try loop.watch(signals.descriptor, for: .readable, token: Token.signals)
        log.log(.ready, .notice, "ready: \(membership.member.name), \(membership.member.domains.count) domains")
        ServiceState.ready(status: status)
        var isEnding = false
        while !isEnding {
            try frontDoors.watch(loop, now: now)
            let count = try loop.wait(until: deadline)
            now = .now
            watchdog.feed(now: now)
            for index in 0..<count {
                let event = loop[index]
                switch event.token {
                case Token.signals:
                    guard let signal = try signals.next() else { continue }
                    if signal == .hangup {
                        try reload()
                    } else {
                        log.log(.ending, .notice, "ending on signal \(signal)")
                        ServiceState.stopping()
                        isEnding = true
                    }
                case Token.broker: link.handle(event.readiness)
                case Token.handler: receiveFromHandler()
                case Token.listener: frontDoors.accept(loop, now: now, &budget, log)
                default: serve(event.token)
                }
            }
            try attendBroker()
            try work()
        }
        try leave()
    }

    private var deadline: MonotonicTime? {
        // A machine without a gateway never connects to a handler.
        let attempt = membership.member.hasGateway ? handler.nextAttempt : nil
        var times = [link.deadline, nextConnect, watchdog.nextFeed, attempt, frontDoors.nextAccept]
        let due = member.deadline(at: moment)
        times += [greetingDue, due.map { MonotonicTime(sinceStart: $0) }]
        return times.compactMap(\.self).min()
    }

    /// What follows from all that happened in this round.
    private mutating func work() throws(SystemCallError) {
        member.noteFrontDoor(isThere: !frontDoors.isEmpty)
        greetBroker()
        member.advance(to: moment)
        if member.isStuck {
            try link.disconnect(loop)
            loseBroker(.lost("it did not answer a publication"))
        }
        connectHandler()
        if handler.isOpen { askHandler() }
        try publish()
        answerFrontDoors()
        for notice in member.takeNotices() { report(notice) }
    }

    // MARK: - The broker

    private mutating func attendBroker() throws(SystemCallError) {
        if let time = nextConnect, time <= now, !link.isBusy {
            nextConnect = nil
            link.connect(now: now)
        }
        for event in try link.attend(loop, now: now) {
            switch event {
            case .connected:
                onlineSince = now
                member.connect(at: moment)
                ServiceState.status(status)
                greetingDue = shortConnections > 0 ? now + Self.noticeTime : now
            case .disconnected(let reason): loseBroker(reason)
            case .message(let message):
                let (topic, payload) = (message.topic, message.payload)
                member.receive(topic: topic, payload: payload, isRetained: message.isRetained, at: moment)
            case .acknowledged(let id, let reason): member.acknowledged(id, reason: reason, at: moment)
            case .subscribed(let id, let reason):
                member.subscribed(id, at: moment)
                if reason >= 128 {
                    let line = "the broker refused the subscription: \(BrokerReason.text(reason))"
                    budget.log(.busIncomplete, .error, "\(line); \(Self.accountAdvice)", to: log)
                }
            }
        }
    }

    /// Logs that the broker is there, once the connection seems to last.
    private mutating func greetBroker() {
        guard let greetingDue, greetingDue <= now, link.isConnected else { return }
        self.greetingDue = nil
        guard brokerNotice.permitsReturn(now: now) || !isGreeted else { return }
        isGreeted = true
        log.log(.brokerBack, .notice, "connected to the broker \(membership.broker.host)")
    }

    /// What the operator can check.
    private func advice(on reason: Disconnection) -> String? {
        switch reason {
        // MQTT 5: bad user name or password, not authorized; and the same of MQTT 3.1.1.
        case .refused(134), .refused(135), .refused(4), .refused(5):
            "are User= and PasswordFile= those of an account there?"
        case .refused(132), .refused(1):
            "this broker does not speak MQTT 5, which kex-mqtt needs (mosquitto does since 1.6)"
        case .lost where onlineSince == nil:
            "it did not answer: is this its port, does it want TLS (CAFile=), and does it speak MQTT 5?"
        default: nil
        }
    }

    private mutating func loseBroker(_ reason: Disconnection) {
        if let onlineSince {
            backoff.worked(for: now - onlineSince)
            shortConnections = now - onlineSince < Self.noticeTime ? shortConnections + 1 : 0
        }
        var text = advice(on: reason).map { "\(reason); \($0)" } ?? "\(reason)"
        // The broker's last message says that another client has our name (reason 142), but it is mostly lost with the
        // connection (measured with mosquitto 2.0.11).
        if onlineSince != nil, reason == .ended(142) || shortConnections >= Self.suspiciousConnections {
            let client = membership.broker.clientID
            let question = "does another gateway have this Name=, or a client the ID \(client)?"
            text = "another client takes the place of this gateway: \(question)"
        }
        onlineSince = nil
        greetingDue = nil
        nextConnect = now + backoff.next()
        unsent = nil
        member.disconnect(at: moment)
        ServiceState.status(status)
        guard brokerNotice.permits(loss: text, now: now) else { return }
        log.log(.brokerLost, .error, "\(text); until it is back, other gateways do not hear of new routers")
    }

    /// Subscribes and publishes as much as the link takes.
    private mutating func publish() throws(SystemCallError) {
        guard link.isConnected else { return }
        do throws(BrokerError) {
            while let subscription = member.nextSubscription(at: moment) {
                let id = try link.subscribe(
                    to: subscription.filter,
                    quality: subscription.isAcknowledged ? .atLeastOnce : .atMostOnce,
                    withOwn: subscription.withOwn,
                    withKept: subscription.withKept
                )
                member.note(subscription, sentAs: id)
            }
            while let next = unsent ?? member.nextPublication(at: moment) {
                unsent = next
                let id = try link.publish(
                    next.topic,
                    next.payload,
                    quality: .atLeastOnce,
                    isRetained: next.isRetained,
                    expiry: next.expiry
                )
                unsent = nil
                member.note(next, sentAs: id, at: moment)
            }
        } catch .busy {
            // The next acknowledgement makes room.
        } catch .notConnected {
            // The link reports it in the next round.
        } catch {
            if let unsent { member.fail(unsent, at: moment) }
            unsent = nil
            budget.log(.busIncomplete, .error, "\(error)", to: log)
        }
    }

    private mutating func report(_ notice: BusNotice) {
        switch notice {
        case .ignored(let malformed, let untimely, let untrusted, let dropped):
            let counts = "\(malformed) malformed, \(untrusted) untrusted, \(dropped) over the limit"
            log.log(.busIgnored, .warning, "ignored messages on the bus: \(counts), \(untimely) from another time")
        case .clock(let gateway, let difference):
            reportClock(of: gateway, ahead: difference)
        case .contradicted(let topic):
            let line = "another client published \(topic), which is about this gateway; it was corrected"
            let advice = "does another gateway have this name, or may an account write too much?"
            log.log(.busContradicted, .warning, "\(line); \(advice)")
        case .clockStepped(let step):
            let line = "the clock was set \(step > .zero ? "forward" : "back") by \(inWords(step))"
            log.log(.clockStepped, .warning, "\(line): all notes are published and requested again")
        case .incomplete(let domain, let gateway, let seen, let count):
            let numbers = "\(seen) of \(count) notes of \(gateway)"
            let line = "the broker sent only \(numbers): its max_queued_messages is too low"
            log.log(.busIncomplete, .warning, domain: domain, line)
        case .refused(let topic, let reason):
            let line = "the broker refused \(topic): \(BrokerReason.text(reason))"
            budget.log(.busIncomplete, .error, reason == 135 ? "\(line); \(Self.accountAdvice)" : line, to: log)
        case .accepted(let topic):
            budget.log(.busIncomplete, .notice, "the broker accepts \(topic) again", to: log)
        case .unread(let filter):
            let line = "the broker accepts what this gateway publishes, and does not send it \(filter)"
            budget.log(.busIncomplete, .error, "\(line): may the account read it? \(Self.accountAdvice)", to: log)
        case .readAgain(let filter):
            budget.log(.busIncomplete, .notice, "the broker sends \(filter) again", to: log)
        }
    }

    private mutating func reportClock(of gateway: String, ahead difference: Duration) {
        let line =
            if difference == .zero {
                "\(gateway)'s clock is right again"
            } else if difference > .zero {
                "\(gateway)'s clock is \(inWords(difference)) ahead of this gateway's: its messages are ignored"
            } else {
                "\(gateway)'s clock is \(inWords(difference)) behind this gateway's, or somebody replays its notes"
            }
        budget.log(.clockDiffers, difference == .zero ? .notice : .warning, line, to: log)
    }

    /// The size of a difference, in seconds, minutes, hours or days.
    private func inWords(_ difference: Duration) -> String {
        let seconds = abs(difference.components.seconds)
        return switch seconds {
        case ..<120: "\(seconds) s"
        case ..<7170: "\((seconds + 30) / 60) min"
        case ..<(2 * 86_400): "\((seconds + 1800) / 3600) h"
        default: "\(seconds / 86_400) days"
        }
    }

    // MARK: - The handler

    private mutating func connectHandler() {
        guard membership.member.hasGateway, !handler.isOpen else { return }
        do throws(PacketConnector.Failure) {
            try handler.open(loop, now: now)
            member.regainHandler()
        } catch .pausing {
            // The loop wakes when the pause is over.
        } catch {
            loseHandler("\(error)")
        }
    }

    private mutating func askHandler() {
        var packet: [UInt8] = []
        for request in member.takeHandlerRequests(at: moment) {
            request.encode(into: &packet)
            handler.enqueue(packet)
        }
        do throws(SystemCallError) {
            try handler.flush(loop)
        } catch {
            loseHandler("\(error)")
        }
    }

    private mutating func receiveFromHandler() {
        do {
            for _ in 0..<Self.packetsPerRound {
                guard handler.isOpen else { return }
                guard let packet = try handler.receive() else { return loseHandler("it closed the connection") }
                guard !packet.isEmpty else { break }
                member.take(try FleetFrame.answer(in: packet.span), at: moment)
            }
            if handler.isOpen, handlerNotice.permitsReturn(now: now) {
                log.log(.handlerBack, .notice, "the handler answers again")
            }
        } catch {
            loseHandler("\(error)")
        }
    }

    /// Packets that are taken from the handler before others have their turn.
    private static let packetsPerRound = 64

    private mutating func loseHandler(_ reason: String) {
        handler.close()
        member.loseHandler(at: moment)
        guard handlerNotice.permits(loss: reason, now: now) else { return }
        let advice = "is kex-handler running, with the same FleetSocket=, and is this user in its group?"
        log.log(.handlerLost, .error, "\(handler.path): \(reason); \(advice)")
    }

    // MARK: - Front doors

    private mutating func serve(_ frontDoor: UInt64) {
        do throws(FrontDoors.Closed) {
            for request in try frontDoors.requests(from: frontDoor) {
                switch request {
                case .registrations(let requests):
                    for request in requests { member.register(request, frontDoor: frontDoor, at: moment) }
                case .choices(let requests):
                    var packet: [UInt8] = []
                    let answers = requests.map { member.choose($0, at: moment) }
                    BusFrame.encode(answers, into: &packet)
                    frontDoors.enqueue(packet, to: frontDoor)
                }
            }
        } catch {
            member.close(frontDoor: frontDoor)
            if let reason = error.reason {
                budget.log(.disconnected, .warning, "disconnected a front door: \(reason)", to: log)
            }
        }
    }

    private mutating func answerFrontDoors() {
        var packet: [UInt8] = []
        for (frontDoor, answers) in Dictionary(grouping: member.takeAnswers(), by: \.frontDoor) {
            for start in stride(from: 0, to: answers.count, by: ChannelLimit.records) {
                RegistrationFrame.encode(answers[start...].prefix(ChannelLimit.records).map(\.answer), into: &packet)
                frontDoors.enqueue(packet, to: frontDoor)
            }
        }
        for frontDoor in frontDoors.flush(loop) { member.close(frontDoor: frontDoor) }
    }

    // MARK: - Signals

    /// Reads the configuration again. If more than the shares has changed, this gateway joins the bus anew, which takes
    /// a second. The broker keeps what was published.
    private mutating func reload() throws(SystemCallError) {
        ServiceState.reloading()
        defer { ServiceState.ready(status: status) }
        let old = membership
        do throws(ConfigurationError) {
            let (_, new) = try source.read()
            if new.socket != membership.socket || new.fleetSocket != membership.fleetSocket {
                let keys = "Socket=, HandlerSocket= and FleetSocket="
                log.log(.restartNeeded, .warning, "\(keys) take effect at the next start")
            }
            defer { membership = new }
            if new.differsInSharesAtMost(from: membership) {
                member.change(weights: new.member.weights)
                if !link.isBusy { nextConnect = now }
                return noteReloaded()
            }
        } catch {
            error.log(to: log)
            return log.log(.reloadFailed, .error, "the configuration stays as it was")
        }
        // Under another name, or at another broker, nobody would take back what was published here.
        if old.member.name != membership.member.name || old.broker != membership.broker { try leave() }
        try link.disconnect(loop)
        member.disconnect(at: moment)
        answerFrontDoors()
        // The handler's next answers would be to the member that is gone.
        handler.close()
        unsent = nil
        onlineSince = nil
        let isSame = old.member.name == membership.member.name
        let served = old.member.domains.filter(\.hasGateway).map(\.name)
        member = BusMember(membership.member, formerDomains: isSame ? Set(served) : [])
        link = BrokerLink(membership.broker, token: Token.broker)
        nextConnect = now
        noteReloaded()
    }

    private func noteReloaded() {
        log.log(.reloaded, .notice, "configuration read again, \(membership.member.domains.count) domains")
    }

    /// Publishes that this gateway leaves, so that no router is sent here any more.
    private mutating func leave() throws(SystemCallError) {
        member.leave()
        answerFrontDoors()
        let end = now + Self.farewellTime
        while link.isConnected, !(member.isSettled && unsent == nil), now < end {
            try publish()
            let count = try loop.wait(until: min(end, link.deadline ?? end))
            now = .now
            for index in 0..<count where loop[index].token == Token.broker { link.handle(loop[index].readiness) }
            for event in try link.attend(loop, now: now) {
                if case .acknowledged(let id, let reason) = event {
                    member.acknowledged(id, reason: reason, at: moment)
                }
            }
        }
        try link.disconnect(loop)
    }
}
