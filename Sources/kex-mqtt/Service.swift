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
    /// When the broker may be called; `nil` while there is a connection, or one in the making.
    private var nextCall: MonotonicTime? = MonotonicTime(nanoseconds: 0)
    private var onlineSince: MonotonicTime?
    private var member: BusMember
    /// What the link had no room for.
    private var unsent: Publication?
    private var membership: Membership
    private let source: ConfigurationSource<MemberConfiguration, Membership>
    private let log: Logger
    private var budget = LineBudget()
    private var watchdog = Watchdog()
    /// The log's last words on why there is no broker, and no handler.
    private var brokerNotice = LossNotice(interval: Self.noticeTime)
    private var handlerNotice = LossNotice(interval: Self.noticeTime)
    /// When a connection to the broker has lasted for long enough to be told; `nil` if it was told, or there is none.
    private var greetingDue: MonotonicTime?
    private var isGreeted = false
    /// Connections in a row that were over soon, as they are with two clients of one name.
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
    /// So many short connections in a row are no accident.
    private static let suspiciousConnections = 3
    private static let accountAdvice = "docs/MIGRATION.md says what an account needs, under The broker's account"
    /// How long the broker has for our last words.
    private static let farewellTime = Duration.seconds(1)

    init(_ membership: Membership, source: ConfigurationSource<MemberConfiguration, Membership>, log: Logger) throws {
        // Before anything else has a descriptor: whether the numbers of systemd are right shows only then.
        let frontDoors = try FrontDoors(path: membership.socket, token: Token.listener)
        // Before the first thread.
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
        Moment(sinceStart: .nanoseconds(Int64(now.nanoseconds)), wallClock: wallClockMilliseconds())
    }

    private var status: String {
        let place = "\(membership.member.name) on \(membership.broker.host)"
        return link.isConnected ? place : "\(place), without a connection to the broker"
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
        var times = [link.deadline, nextCall, watchdog.nextFeed, handler.nextAttempt, frontDoors.nextAccept]
        let due = member.deadline(at: moment)
        times += [greetingDue, due.map { MonotonicTime(nanoseconds: 0) + $0 }]
        return times.compactMap(\.self).min()
    }

    /// What follows from all that happened in this round.
    private mutating func work() throws(SystemCallError) {
        member.noteFrontDoor(isThere: !frontDoors.isEmpty)
        greetBroker()
        member.advance(to: moment)
        if member.isStuck {
            try link.disconnect(loop)
            loseBroker(.lost("it has not answered a publication"))
        }
        connectHandler()
        if handler.isOpen { askHandler() }
        try publish()
        answerFrontDoors()
        for notice in member.takeNotices() { report(notice) }
    }

    // MARK: - The broker

    private mutating func attendBroker() throws(SystemCallError) {
        if let time = nextCall, time <= now, !link.isBusy {
            nextCall = nil
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
                    let line = "the broker does not let this account subscribe: \(BrokerReason.text(reason))"
                    budget.log(.busIncomplete, .error, "\(line); \(Self.accountAdvice)", to: log)
                }
            }
        }
    }

    /// Says that the broker is there, when that seems to last.
    private mutating func greetBroker() {
        guard let greetingDue, greetingDue <= now, link.isConnected else { return }
        self.greetingDue = nil
        guard brokerNotice.permitsReturn(now: now) || !isGreeted else { return }
        isGreeted = true
        log.log(.brokerBack, .notice, "connected to the broker \(membership.broker.host)")
    }

    /// What may be done about it.
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
        var words = advice(on: reason).map { "\(reason); \($0)" } ?? "\(reason)"
        // Mostly the broker's last word, that another client has our name (reason 142), is lost with the connection
        // (measured with mosquitto 2.0.11).
        if onlineSince != nil, reason == .ended(142) || shortConnections >= Self.suspiciousConnections {
            let client = membership.broker.clientID
            let question = "does another gateway have this Name=, or a client the ID \(client)?"
            words = "the broker gives our place to others: \(question)"
        }
        onlineSince = nil
        greetingDue = nil
        nextCall = now + backoff.next()
        unsent = nil
        member.disconnect(at: moment)
        ServiceState.status(status)
        guard brokerNotice.permits(loss: words, now: now) else { return }
        log.log(.brokerLost, .error, "\(words); until it is back, routers are let in here alone")
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
            // It goes on with the next acknowledgement.
        } catch .notConnected {
            // The link tells in the next round.
        } catch {
            if let unsent { member.fail(unsent, at: moment) }
            unsent = nil
            budget.log(.busIncomplete, .error, "\(error)", to: log)
        }
    }

    private mutating func report(_ notice: BusNotice) {
        switch notice {
        case .ignored(let malformed, let untimely, let untrusted, let dropped):
            let counts = "\(malformed) that mean nothing, \(untrusted) not to be believed, \(dropped) too many"
            log.log(.busIgnored, .warning, "ignored messages on the bus: \(counts), \(untimely) of another time")
        case .clock(let gateway, let difference):
            reportClock(of: gateway, ahead: difference)
        case .contradicted(let topic):
            let line = "somebody else speaks of this gateway on the bus, under \(topic), and is corrected"
            let advice = "is there another gateway of this name, or an account that may write too much?"
            log.log(.busContradicted, .warning, "\(line); \(advice)")
        case .clockStepped(let step):
            let line = "the clock was put \(step > .zero ? "forward" : "back") by \(inWords(step))"
            log.log(.clockStepped, .warning, "\(line): everything is published and asked for anew")
        case .incomplete(let domain, let gateway, let seen, let count):
            let numbers = "\(seen) of the \(count) notes that \(gateway) keeps there"
            let line = "the broker sends only \(numbers): its max_queued_messages is too low"
            log.log(.busIncomplete, .warning, domain: domain, line)
        case .refused(let topic, let reason):
            let line = "the broker does not take \(topic): \(BrokerReason.text(reason))"
            budget.log(.busIncomplete, .error, reason == 135 ? "\(line); \(Self.accountAdvice)" : line, to: log)
        case .accepted(let topic):
            budget.log(.busIncomplete, .notice, "the broker takes \(topic) again", to: log)
        }
    }

    private mutating func reportClock(of gateway: String, ahead difference: Duration) {
        let line =
            if difference == .zero {
                "\(gateway)'s clock is right again"
            } else if difference > .zero {
                "\(gateway)'s clock is \(inWords(difference)) ahead of this gateway's: what it says does not count"
            } else {
                "\(gateway)'s clock is \(inWords(difference)) behind this gateway's, or somebody says its notes again"
            }
        budget.log(.clockDiffers, difference == .zero ? .notice : .warning, line, to: log)
    }

    /// The size of a difference, as exactly as anybody needs it.
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

    /// Reads the configuration again. If more of it is new than the shares, everything that this gateway is to the others
    /// begins anew, which costs a second; the broker keeps what it was told.
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
                if !link.isBusy { nextCall = now }
                return noteReloaded()
            }
        } catch {
            error.log(to: log)
            return log.log(.reloadFailed, .error, "keeping the configuration as it was")
        }
        // Under another name, or at another broker, nobody would take back what was said here.
        if old.member.name != membership.member.name || old.broker != membership.broker { try leave() }
        try link.disconnect(loop)
        member.disconnect(at: moment)
        answerFrontDoors()
        // What the handler still answers was asked by a member that is no more.
        handler.close()
        unsent = nil
        onlineSince = nil
        let isSame = old.member.name == membership.member.name
        let served = old.member.domains.filter(\.hasGateway).map(\.name)
        member = BusMember(membership.member, formerDomains: isSame ? Set(served) : [])
        link = BrokerLink(membership.broker, token: Token.broker)
        nextCall = now
        noteReloaded()
    }

    private func noteReloaded() {
        log.log(.reloaded, .notice, "configuration read again, \(membership.member.domains.count) domains")
    }

    /// Says goodbye, so that no router is sent here any more.
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
