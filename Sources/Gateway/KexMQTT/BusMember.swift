internal import BusMessages
public import HandlerChannel
public import KexProtocol
internal import Keys
public import Time
internal import WireGuardTypes

/// This gateway among the others on the bus: what it says, hears, and concludes.
///
/// It does no I/O and knows no clock. Its owner reports to it what happened, and then carries out what it wants: it
/// asks for ``nextPublication(at:)`` until there is none, and so on for the other `next` and `take` methods.
///
/// What is promised is availability. Every queue has a limit, and whatever is lost comes again: a router asks again, a
/// note is refreshed, a new connection begins with all that this gateway knows.
public struct BusMember: Sendable {
    private let settings: MemberSettings
    /// Whom to believe, this gateway included; `nil` for everybody.
    private let trusted: TrustedKeys?
    private let domains: [DomainName: Int]
    private var broker = BrokerOutbox()
    private var handler = HandlerOutbox()
    private var requests = PendingRegistrations()
    private var recent = RecentRegistrations()
    private var late = LateRegistrations()
    private var own: [OwnRouters]
    private var replays: [Replay]
    private var echoes: [Echo]
    private var gateways: Gateways
    private var presence: Presence
    private var corrections = Corrections()
    private var clock = NoteClock()
    private var clocks = GatewayClocks()
    private var refusals = Refusals()
    private var notices = Notices()
    private var isLeaving = false

    /// - Parameter formerDomains: those that this gateway served a moment ago, by other settings.
    public init(_ settings: MemberSettings, formerDomains: Set<DomainName> = []) {
        self.settings = settings
        var trusted = settings.trusted
        // If the list of its keys is full, ours is one of them, or is not believed.
        if let key = settings.signingKey { _ = trusted?.trust(key.publicKey, of: settings.name) }
        self.trusted = trusted
        domains = Dictionary(uniqueKeysWithValues: settings.domains.enumerated().map { ($1.name, $0) })
        own = settings.domains.map { OwnRouters($0) }
        replays = settings.domains.map { _ in Replay() }
        echoes = settings.domains.map { _ in Echo() }
        gateways = Gateways(settings)
        presence = Presence(settings, formerDomains: formerDomains)
    }

    /// Takes what the operator says of shares.
    public mutating func change(weights: [String: Int]) { gateways.change(weights: weights) }

    /// Domains in which this machine has a gateway.
    private var gatewayIndices: [Int] { settings.domains.indices.filter { settings.domains[$0].hasGateway } }

    private func router(_ registration: Registration) -> RouterID? {
        domains[registration.domain].map { RouterID(registration.key, domain: $0) }
    }

    private func registration(_ router: RouterID) -> Registration {
        Registration(domain: settings.domains[router.domain].name, key: router.key)
    }
}

// MARK: - The broker

extension BusMember {
    /// The broker has let us in. It may know nothing.
    public mutating func connect(at now: Moment) {
        gateways.brokerCame(at: now.sinceStart)
        for index in settings.domains.indices {
            own[index].publishAgain()
            replays[index].forget()
            echoes[index].restart()
        }
        // Who is a gateway is known before its notes come.
        var wanted = [BusTopic.allStatus, BusTopic.allData, BusTopic.allConnectedPeers].flatMap(
            Subscription.keptAndOthers
        )
        for (index, domain) in settings.domains.enumerated() {
            wanted.append(Subscription(filter: BusTopic.allRegistrations(in: domain.name)))
            wanted.append(Subscription(filter: BusTopic.allCounts(of: domain.name)))
            wanted += notes(of: index)
        }
        broker.connect(announcing: presence.begin().map(announcement), subscribing: wanted)
    }

    private func notes(of index: Int, isAcknowledged: Bool = true) -> [Subscription] {
        let filter = BusTopic.allRouters(of: settings.domains[index].name)
        return Subscription.notes(filter, of: index, isAcknowledged: isAcknowledged)
    }

    /// The broker is gone. All front doors that wait for it get an answer.
    public mutating func disconnect(at now: Moment) {
        gateways.brokerWent(at: now.sinceStart)
        requests.lose()
        for router in broker.disconnect() { late.insert(router, at: now.sinceStart) }
        corrections.forget()
        for index in settings.domains.indices {
            replays[index].forget()
            echoes[index].restart()
        }
    }

    /// Whether the broker has owed an answer for too long. The connection is of no more use then.
    public var isStuck: Bool { broker.isStuck }

    /// The next filter to subscribe to.
    public mutating func nextSubscription(at now: Moment) -> Subscription? {
        guard let next = broker.nextSubscription() else { return nil }
        if let index = next.notesOf { replays[index].begin(at: now.sinceStart) }
        return next
    }

    /// A subscription is on its way.
    public mutating func note(_ subscription: Subscription, sentAs id: Int32) { broker.note(subscription, sentAs: id) }

    /// The broker has answered a subscription.
    public mutating func subscribed(_ id: Int32, at now: Moment) {
        if let index = broker.subscribed(id) { replays[index].answered(at: now.sinceStart) }
    }

    /// A publication is on its way.
    public mutating func note(_ publication: Publication, sentAs id: Int32, at now: Moment) {
        broker.note(publication, sentAs: id, at: now.sinceStart)
    }

    /// The broker has answered a publication. From 128 on, `reason` is a refusal.
    public mutating func acknowledged(_ id: Int32, reason: UInt8, at now: Moment) {
        guard let publication = broker.acknowledge(id) else { return }
        if let notice = refusals.take(publication.topic, reason, at: now.sinceStart) {
            notices.add(notice)
            // What the broker refused before is missing there.
            if case .accepted = notice { for index in own.indices { own[index].publishAgain() } }
        }
        if reason < 128, case .count(let domain, _)? = BusTopic(Array(publication.topic.utf8).span),
            let index = domains[domain]
        {
            echoes[index].await(at: now.sinceStart)
        }
        conclude(publication, isAccepted: reason < 128, at: now)
    }

    /// A publication cannot be sent.
    public mutating func fail(_ publication: Publication, at now: Moment) {
        broker.end(publication)
        conclude(publication, isAccepted: false, at: now)
    }

    private mutating func conclude(_ publication: Publication, isAccepted: Bool, at now: Moment) {
        switch publication.purpose {
        case .presence, .note: break
        case .registration(let number):
            if let router = requests.acknowledge(number, isAccepted: isAccepted) {
                recent.insert(router, at: now.sinceStart)
            }
        // Others may come back to the broker later than this gateway.
        case .late(let router): if isAccepted { recent.insert(router, at: now.sinceStart) }
        case .farewell(let router): if isAccepted { own[router.domain].noteGone(router.key) }
        }
    }

    /// What is to be published next; `nil` if nothing. It is given out once: ``note(_:sentAs:at:)``, ``fail(_:at:)`` or
    /// ``disconnect(at:)`` must follow.
    public mutating func nextPublication(at now: Moment) -> Publication? {
        guard broker.isConnected else { return nil }
        if let next = broker.next() { return next }
        guard !isLeaving else { return nil }
        let registration = nextRegistration(at: now) ?? nextLate(at: now) ?? nextRepeat(at: now)
        return registration ?? nextNote(at: now) ?? nextCount(at: now)
    }

    private func announcement(_ message: BusMessage) -> Publication {
        Publication(message, .presence, signedWith: settings.signingKey, isRetained: true)
    }

    private mutating func nextRegistration(at now: Moment) -> Publication? {
        let count = settings.signingKey == nil ? 1 : 2
        guard let (number, router) = requests.next(publications: count) else { return nil }
        return publication(of: router, .registration(number), at: now)
    }

    private mutating func nextLate(at now: Moment) -> Publication? {
        guard broker.hasRoomForNotes, let router = late.next(at: now.sinceStart) else { return nil }
        return publication(of: router, .late(router), at: now)
    }

    private mutating func nextRepeat(at now: Moment) -> Publication? {
        guard broker.hasRoomForNotes, let router = recent.next() else { return nil }
        return publication(of: router, .note, at: now)
    }

    /// The field's message, and ours behind it if it can be signed.
    private mutating func publication(
        of router: RouterID,
        _ purpose: Publication.Purpose,
        at now: Moment
    ) -> Publication {
        let registration = registration(router)
        let key = settings.signingKey
        let first = Publication(.registration(registration), purpose, signedWith: key, isRetained: false)
        var second: Publication?
        if key != nil {
            let note = RouterNote(gateway: settings.name, time: clock.next(at: now), state: .registered)
            second = Publication(.router(registration, note), purpose, signedWith: key, isRetained: false)
        }
        broker.send(first, then: second)
        return first
    }

    private mutating func nextNote(at now: Moment) -> Publication? {
        guard broker.hasRoomForNotes else { return nil }
        for index in gatewayIndices {
            guard let (key, state) = own[index].nextNote(at: now.sinceStart) else { continue }
            let router = RouterID(key, domain: index)
            let domain = settings.domains[index]
            var purpose = Publication.Purpose.note
            if case .heard(let heard) = state {
                gateways.take(router: key, in: domain.name, from: settings.name, heard: heard, at: now)
            } else {
                purpose = .farewell(router)
                gateways.forget(router: key, in: domain.name, from: settings.name, at: now.seconds, now: now)
            }
            let note = RouterNote(gateway: settings.name, time: clock.next(at: now), state: state)
            let publication = Publication(
                .router(registration(router), note),
                purpose,
                signedWith: settings.signingKey,
                isRetained: true,
                expiry: domain.expiry
            )
            broker.send(publication)
            return publication
        }
        return nil
    }

    private mutating func nextCount(at now: Moment) -> Publication? {
        for index in gatewayIndices {
            guard let count = own[index].nextCount(at: now.sinceStart) else { continue }
            let domain = settings.domains[index]
            let note = CountNote(time: clock.next(at: now), count: Int64(count))
            return Publication(
                .count(domain.name, settings.name, note),
                .presence,
                signedWith: settings.signingKey,
                isRetained: true,
                expiry: domain.expiry
            )
        }
        return nil
    }
}

// MARK: - Messages

extension BusMember {
    /// A message of anybody's.
    ///
    /// - Parameter isRetained: whether the broker had kept it.
    public mutating func receive(topic: [UInt8], payload: [UInt8], isRetained: Bool, at now: Moment) {
        do throws(MalformedMessage) {
            let message = try BusMessage(topic: topic.span, payload: payload.span, trusting: trusted)
            receive(message, isRetained, now)
        } catch {
            notices.count(error == .untrusted ? .untrusted : .malformed, at: now.sinceStart)
            // What it said before is not what it says now.
            guard case .data(let name, let domain)? = BusTopic(topic.span) else { return }
            if name == settings.name {
                if domains[domain] != nil { contradict(BusTopic.data(name, domain), now) }
            } else {
                gateways.take(name, nil, of: domain, isRetained: isRetained, at: now.sinceStart)
            }
        }
    }

    private mutating func receive(_ message: BusMessage, _ isRetained: Bool, _ now: Moment) {
        let time = now.sinceStart
        if let name = Self.subject(of: message) {
            if name == settings.name { return receiveOwn(message, isRetained, now) }
            guard gateways.mayBe(name) else { return notices.count(.untrusted, at: time) }
        }
        switch message {
        case .registration(let registration):
            // Nobody has signed it. Gateways of ours publish it all the same, for the field's workers, and sign
            // another.
            if trusted != nil { return }
            // One that was kept is a slip of whoever published it, and old.
            if isRetained { return notices.count(.untrusted, at: time) }
            admit(registration, now)
        case .status(let name, let isOnline):
            gateways.take(name, isOnline: isOnline, isRetained: isRetained, at: time)
            if isOnline, !isRetained, name != settings.name { recent.noteArrival(at: time) }
        case .data(let name, let domain, let data):
            gateways.take(name, data, of: domain, isRetained: isRetained, at: time)
        case .connectedPeers(let domain, let name, let peers):
            gateways.take(name, peers: peers, in: domain, isRetained: isRetained, at: time)
        case .count(let domain, let name, let note):
            if !isRetained { _ = checkTime(of: note.time, by: name, isNew: true, now) }
            if name == settings.name, let index = domains[domain], echoes[index].hear() {
                notices.add(.readAgain(filter: BusTopic.allCounts(of: domain)))
            }
            if isGateway(name), let index = domains[domain] { replays[index].take(note.count, of: name) }
        // Other front doors matter to nobody here.
        case .frontDoor: break
        case .router(let registration, let note):
            guard let router = router(registration), let note else { return }
            receive(note, on: router, registration, isRetained, now)
        }
    }

    /// Whether a gateway of this name spoke, or may have spoken: the message is signed, or there is such a gateway. Any
    /// other name is an invention.
    private func isGateway(_ name: GatewayName) -> Bool { trusted != nil || gateways.knows(name) }

    /// The gateway that speaks of itself in this message.
    private static func subject(of message: BusMessage) -> GatewayName? {
        switch message {
        case .status(let name, _), .data(let name, _, _), .connectedPeers(_, let name, _): name
        default: nil
        }
    }

    /// Somebody has said something in our name. What the broker keeps of an earlier life is overwritten anyway.
    private mutating func receiveOwn(_ message: BusMessage, _ isRetained: Bool, _ now: Moment) {
        if isRetained {
            if let answer = presence.take(kept: message) { broker.announce(announcement(answer)) }
        } else if !presence.isReported(message) {
            contradict(message.topic, now)
        }
    }

    /// The topic may be one of a domain that is not ours. There is nothing to be published then.
    private mutating func contradict(_ topic: BusTopic, _ now: Moment) {
        if corrections.insert(topic, at: now.sinceStart) { notices.add(.contradicted(topic: "\(topic)")) }
    }

    private mutating func admit(_ registration: Registration, _ now: Moment) {
        guard let router = router(registration), settings.domains[router.domain].hasGateway else { return }
        handler.registrations.insert(router, at: now.sinceStart)
        notices.note(dropped: handler.dropped, at: now.sinceStart)
    }

    private mutating func receive(
        _ note: RouterNote,
        on router: RouterID,
        _ registration: Registration,
        _ isRetained: Bool,
        _ now: Moment
    ) {
        let isOwn = note.gateway == settings.name
        if isOwn, !isRetained { return own[router.domain].noteOwn(note.state, of: router.key) }
        if isOwn, own[router.domain].knows(router.key) {
            if case .heard = note.state { own[router.domain].noteKept(router.key) }
            return
        }
        // Names in notes are anybody's, and must not take the places of gateways.
        if isRetained, case .heard = note.state, isGateway(note.gateway) {
            replays[router.domain].see(note.gateway)
        }
        let age = checkTime(of: note.time, by: note.gateway, isNew: !isRetained, now)
        guard age >= .zero - BusLimit.clockTolerance, age <= settings.domains[router.domain].expiry else {
            return notices.count(.untimely, at: now.sinceStart)
        }
        let report: PendingNews.Report
        switch note.state {
        case .registered:
            // It is said again while it is of any use, each time anew: an old one is somebody else's.
            guard !isRetained, age <= BusLimit.clockTolerance else {
                return notices.count(.untimely, at: now.sinceStart)
            }
            return admit(registration, now)
        case .heard(let heard): report = PendingNews.Report(kind: .heard, time: min(heard, now.seconds))
        case .removed:
            if isOwn { return }
            report = PendingNews.Report(kind: .removed, time: min(note.time, now.milliseconds) / 1000)
        }
        if settings.domains[router.domain].hasGateway {
            if !isOwn { own[router.domain].noteOther(report, of: router.key, at: now) }
            guard handler.news.insert(report, of: router, from: note.gateway, saidAt: note.time) else { return }
            notices.note(dropped: handler.dropped, at: now.sinceStart)
        }
        switch report.kind {
        case .heard:
            gateways.take(router: router.key, in: registration.domain, from: note.gateway, heard: report.time, at: now)
        case .removed:
            gateways.forget(router: router.key, in: registration.domain, from: note.gateway, at: report.time, now: now)
        }
    }
}

// MARK: - Clocks

extension BusMember {
    /// - Returns: how old a gateway's note is by our clock.
    private mutating func checkTime(
        of time: Int64,
        by gateway: GatewayName,
        isNew: Bool,
        _ now: Moment
    ) -> Duration {
        let age = Duration.milliseconds(now.milliseconds - time)
        guard gateway != settings.name, isGateway(gateway),
            let notice = clocks.see(gateway, .zero - age, isNew: isNew, at: now.sinceStart)
        else { return age }
        notices.add(notice)
        return age
    }

    /// After a step of our clock the notes that the broker keeps of us have wrong times, and what others said was
    /// measured by a wrong clock. So all of it is published and asked for anew.
    private mutating func noticeStep(_ now: Moment) {
        guard let step = clock.step(at: now) else { return }
        notices.add(.clockStepped(by: step))
        for index in own.indices { own[index].publishAgain() }
        recent.noteArrival(at: now.sinceStart)
        if broker.isConnected { for index in own.indices { broker.want(notes(of: index)) } }
    }
}

// MARK: - Front doors

extension BusMember {
    /// Publishes a router for all gateways.
    ///
    /// - Parameter frontDoor: whom ``takeAnswers()`` names.
    public mutating func register(_ request: RegistrationRequest, frontDoor: UInt64, at now: Moment) {
        guard let router = router(request.registration) else {
            return requests.refuse(request, .invalidDomain, frontDoor: frontDoor)
        }
        guard broker.isConnected else { return requests.postpone(request, router, frontDoor: frontDoor) }
        requests.insert(request, router, frontDoor: frontDoor, at: now.sinceStart)
    }

    /// Chooses a gateway for a router, or for anybody.
    public mutating func choose(_ request: ChoiceRequest, at now: Moment) -> ChoiceAnswer {
        ChoiceAnswer(id: request.id, gateway: gateways.choose(for: request.key, in: request.domain, at: now.sinceStart))
    }

    /// Whether any front door is connected.
    public mutating func noteFrontDoor(isThere: Bool) { presence.hasFrontDoor = isThere }

    /// A front door is gone.
    public mutating func close(frontDoor: UInt64) { requests.close(frontDoor: frontDoor) }

    public mutating func takeAnswers() -> [(frontDoor: UInt64, answer: RegistrationAnswer)] { requests.takeAnswers() }
}

// MARK: - The handler

extension BusMember {
    /// All that the handler is to be asked now. Each fits in one frame.
    public mutating func takeHandlerRequests(at now: Moment) -> [HandlerRequest] {
        var requests: [HandlerRequest] = []
        while case let next = nextRegistrations(at: now), !next.isEmpty { requests.append(.remoteRegistrations(next)) }
        requests += nextQuestions(at: now).map { .statuses(of: $0) }
        while case let next = nextNews(at: now), !next.isEmpty { requests.append(.news(next)) }
        if let list = nextList(at: now) { requests.append(.routers(list)) }
        return requests
    }

    /// Routers that the handler is to let in, at most one frame of them.
    mutating func nextRegistrations(at now: Moment) -> [RemoteRegistration] {
        handler.registrations.next(at: now.sinceStart).map { id, router in
            RemoteRegistration(id: id, registration: registration(router))
        }
    }

    /// The domains that the handler is to be asked about, at most one frame of them at a time.
    mutating func nextQuestions(at now: Moment) -> [[DomainName]] {
        guard let due = presence.questionDue, due <= now.sinceStart else { return [] }
        presence.noteAsked(at: now.sinceStart)
        let names = settings.domains.filter(\.hasGateway).map(\.name)
        return stride(from: 0, to: names.count, by: ChannelLimit.records).map {
            Array(names[$0...].prefix(ChannelLimit.records))
        }
    }

    /// News for the handler, at most one frame of them.
    mutating func nextNews(at now: Moment) -> [RouterNews] {
        handler.news.next(at: now.sinceStart).map { id, router, report in
            RouterNews(id: id, kind: report.kind, time: report.time, registration: registration(router))
        }
    }

    /// The domain whose routers the handler is to be asked for; one at a time.
    mutating func nextList(at now: Moment) -> RouterListRequest? {
        let due = gatewayIndices.first { handler.listDue(own[$0].nextList).map { $0 <= now.sinceStart } ?? false }
        guard let index = due else { return nil }
        handler.beginList(of: index)
        return RouterListRequest(domain: settings.domains[index].name, lastRemoval: own[index].lastRemoval)
    }

    /// The connection to the handler is gone, or was never there. The next handler gets everything: the broker is asked
    /// for all notes once more.
    public mutating func loseHandler(at now: Moment) {
        handler.lose(at: now.sinceStart)
        presence.loseHandler(at: now.sinceStart)
        for index in own.indices { own[index].loseHandler(at: now.sinceStart) }
    }

    /// The handler is there again.
    public mutating func regainHandler() {
        guard broker.isConnected else { return }
        for index in settings.domains.indices { broker.want(notes(of: index)) }
    }

    public mutating func take(_ answer: FleetAnswer, at now: Moment) {
        switch answer {
        case .registrations(let answers):
            for answer in answers { handler.registrations.take(answer, at: now.sinceStart) }
        case .statuses(let statuses): presence.take(statuses.filter { domains[$0.domain] != nil })
        case .news(let answers): for answer in answers { handler.news.take(answer, at: now.sinceStart) }
        case .routers(let records): if let listed = handler.listed { own[listed].take(records) }
        case .removals(let removals): if let listed = handler.listed { own[listed].take(removals: removals.map(\.key)) }
        case .routerListEnd(let end):
            guard let listed = handler.listed, settings.domains[listed].name == end.domain else { return }
            own[listed].finishList(isWhole: end.isWhole, lastRemoval: end.lastRemoval, at: now.sinceStart)
            handler.endList()
        }
    }
}

// MARK: - Time

extension BusMember {
    /// Does what is due.
    public mutating func advance(to now: Moment) {
        let time = now.sinceStart
        noticeStep(now)
        requests.expire(at: time)
        for router in requests.takeUnpublished() { late.insert(router, at: time) }
        broker.advance(to: time)
        if broker.isConnected { recent.advance(to: time) }
        let isSpeaking = broker.isConnected && !isLeaving
        if isSpeaking {
            for topic in corrections.take(at: time) { presence.reportAgain(topic) }
            for message in presence.news(at: time) { broker.announce(announcement(message)) }
        }
        // What others would choose, we choose: so this gateway is among the others as they see it.
        if let own = presence.takeOwn(at: time) {
            gateways.takeOwn(own.data, peers: own.peers, isCounted: own.isCounted, at: time)
        }
        if isSpeaking, let message = presence.frontDoorNews() { broker.announce(announcement(message)) }
        for (index, domain) in settings.domains.enumerated() {
            switch replays[index].check(at: time) {
            case .ask:
                // Without acknowledgements they need no place in the broker's queue.
                broker.want(notes(of: index, isAcknowledged: false))
            case .giveUp(let gateway, let seen, let count):
                notices.add(.incomplete(domain: domain.name.text, gateway: gateway.text, seen: seen, count: count))
            case nil: break
            }
        }
        for (index, domain) in settings.domains.enumerated() where echoes[index].isMissing(at: time) {
            notices.add(.unread(filter: BusTopic.allCounts(of: domain.name)))
        }
        notices.advance(to: time, dropped: handler.dropped)
    }

    /// When something is due although nothing happens.
    public func deadline(at now: Moment) -> Duration? {
        var times = [requests.deadline, notices.due, presence.questionDue, broker.due]
        times += [handler.registrations.earliest, handler.news.earliest]
        times += gatewayIndices.map { handler.listDue(own[$0].nextList) }
        if broker.isConnected {
            times += [presence.deadline, recent.due, corrections.due]
            times += gatewayIndices.map { own[$0].countDue } + replays.map(\.due) + echoes.map(\.due)
        }
        return times.compactMap(\.self).min()
    }

    public mutating func takeNotices() -> [BusNotice] { notices.take() }

    /// This gateway goes. What ``nextPublication(at:)`` gives from now on is the last that it publishes.
    public mutating func leave() {
        isLeaving = true
        requests.lose()
        broker.announceLast(presence.farewell.map(announcement))
    }

    /// Whether the broker has acknowledged all that was published.
    public var isSettled: Bool { broker.isSettled }
}
