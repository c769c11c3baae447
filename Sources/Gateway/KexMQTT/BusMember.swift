internal import BusMessages
public import HandlerChannel
public import KexProtocol
internal import WireGuardTypes

/// This gateway among the others on the bus: what it says, hears, and concludes.
///
/// It does no I/O and knows no clock. Its owner tells it what happened, and then carries out what it wants: it asks for
/// ``nextPublication(at:)`` until there is none, and so on for the other `next` and `take` methods.
///
/// What is promised is availability. Every queue has a limit, and whatever is lost comes again: a router asks again, a note
/// is refreshed, a new connection begins with all that this gateway knows.
public struct BusMember: Sendable {
    private let settings: MemberSettings
    /// Whom to believe, this gateway included; `nil` for everybody.
    private let trusted: TrustedKeys?
    private let domains: [DomainName: Int]
    private var requests = PendingRegistrations()
    private var recent = RecentRegistrations()
    private var late = LateRegistrations()
    private var newcomers = Newcomers()
    private var pendingNews = PendingNews()
    private var own: [OwnRouters]
    private var replays: [Replay]
    private var gateways: Gateways
    private var presence: Presence

    private var isConnected = false
    private var isLeaving = false
    /// Whether there is a front door, and what others were told of it.
    private var hasFrontDoor = false
    private var reportedFrontDoor: Bool?
    private var announcements: [BusMessage] = []
    /// Domains that this gateway served in an earlier life, and does not serve: the broker keeps that it does.
    private var formerDomains: Set<DomainName>
    /// Topics under which somebody else has said something of this gateway, and when they are corrected.
    private var corrections: Set<BusTopic> = []
    private var correctionDue: Duration?
    private var earliestCorrection = Duration.zero
    private var earliestContradiction = Duration.zero
    /// Whether something is new of this gateway that belongs among the others' words, and when it is put there anyway.
    private var isOwnNew = true
    private var nextOwn = Duration.zero
    /// Whether others were told how many routers are here since then.
    private var isOwnCounted = false
    /// The second publication of a registration whose first was given out.
    private var signed: Publication?
    private var inFlight: [Int32: (publication: Publication, since: Duration)] = [:]
    private var nextCheck: Duration = .zero
    /// Whether the broker owes an answer for too long: the connection is of no more use.
    public private(set) var isStuck = false
    private var notesInFlight = 0
    private var clock = NoteClock()
    private var clocks = GatewayClocks()
    /// Filters that are to be subscribed to.
    private var filters: [Subscription] = []
    private var subscriptions: [Int32: Int] = [:]
    /// The domain whose routers the handler is being asked for.
    private var listed: Int?
    private var nextListing: Duration = .zero

    private var refusals = Refusals()
    private var malformed = 0
    private var untimely = 0
    private var untrusted = 0
    private var reportedDropped = 0
    private var nextNotice: Duration?
    private var earliestNotice = Duration.zero
    private var notices: [BusNotice] = []

    /// A subscription that is to be made.
    public struct Subscription: Hashable, Sendable {
        public let filter: String
        /// Whether our own messages are wanted too.
        public var withOwn = false
        /// Whether those are wanted that the broker keeps.
        public var withKept = true
        /// Whether each is to be acknowledged: quality 1, and else 0.
        public var isAcknowledged = true
        /// Index of the domain whose notes come, if it is about notes.
        var notesOf: Int?
    }

    /// - Parameter formerDomains: those that this gateway served a moment ago, by other settings.
    public init(_ settings: MemberSettings, formerDomains: Set<DomainName> = []) {
        self.settings = settings
        self.formerDomains = formerDomains.subtracting(settings.domains.filter(\.hasGateway).map(\.name))
        var trusted = settings.trusted
        // If the list of its keys is full, ours is one of them, or is not believed.
        if let key = settings.signingKey { _ = trusted?.trust(key.publicKey, of: settings.name) }
        self.trusted = trusted
        domains = Dictionary(uniqueKeysWithValues: settings.domains.enumerated().map { ($1.name, $0) })
        own = settings.domains.map { OwnRouters($0) }
        replays = settings.domains.map { _ in Replay() }
        gateways = Gateways(settings)
        presence = Presence(settings)
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
        isConnected = true
        gateways.brokerCame(at: now.sinceStart)
        presence.forgetReports()
        reportedFrontDoor = nil
        announcements = formerDomains.map { .connectedPeers($0, settings.name, nil) }
        for index in settings.domains.indices {
            own[index].publishAgain()
            replays[index].forget()
        }
        // Who is a gateway is known before its notes come.
        filters = [BusTopic.allStatus, BusTopic.allData, BusTopic.allConnectedPeers].flatMap(Self.keptAndOthers)
        filters += settings.domains.enumerated().flatMap { index, domain in
            [
                Subscription(filter: BusTopic.allRegistrations(in: domain.name)),
                Subscription(filter: BusTopic.allCounts(of: domain.name)),
            ] + notes(of: index)
        }
    }

    /// What is kept, our own from before too; and then of what comes later the others' alone.
    private static func keptAndOthers(_ filter: String) -> [Subscription] {
        [Subscription(filter: filter, withOwn: true), Subscription(filter: filter, withKept: false)]
    }

    /// Notes that are kept, our own from before too; and then of those that come later the others' alone.
    private func notes(of index: Int, isAcknowledged: Bool = true) -> [Subscription] {
        let filter = BusTopic.allRouters(of: settings.domains[index].name)
        return [
            Subscription(filter: filter, withOwn: true, isAcknowledged: isAcknowledged, notesOf: index),
            Subscription(filter: filter, withKept: false),
        ]
    }

    /// There is no broker any more. All front doors that wait for it are told.
    public mutating func disconnect(at now: Moment) {
        isConnected = false
        gateways.brokerWent(at: now.sinceStart)
        requests.lose()
        for (publication, _) in inFlight.values {
            if case .late(let router) = publication.purpose { late.insert(router, at: now.sinceStart) }
        }
        announcements.removeAll()
        signed = nil
        inFlight.removeAll()
        isStuck = false
        notesInFlight = 0
        filters.removeAll()
        subscriptions.removeAll()
        corrections.removeAll()
        correctionDue = nil
        for index in replays.indices { replays[index].forget() }
    }

    /// The next filter to subscribe to.
    public mutating func nextSubscription(at now: Moment) -> Subscription? {
        guard !filters.isEmpty else { return nil }
        let next = filters.removeFirst()
        if let index = next.notesOf { replays[index].begin(at: now.sinceStart) }
        return next
    }

    /// A subscription is on its way.
    public mutating func note(_ subscription: Subscription, sentAs id: Int32) {
        if let index = subscription.notesOf { subscriptions[id] = index }
    }

    /// The broker has answered a subscription.
    public mutating func subscribed(_ id: Int32, at now: Moment) {
        guard let index = subscriptions.removeValue(forKey: id) else { return }
        replays[index].answered(at: now.sinceStart)
    }

    /// A publication is on its way.
    public mutating func note(_ publication: Publication, sentAs id: Int32, at now: Moment) {
        inFlight[id] = (publication, now.sinceStart)
    }

    /// The broker has answered a publication. From 128 on, `reason` is a refusal.
    public mutating func acknowledged(_ id: Int32, reason: UInt8, at now: Moment) {
        guard let (publication, _) = inFlight.removeValue(forKey: id) else { return }
        let isAccepted = reason < 128
        if let notice = refusals.take(publication.topic, reason, at: now.sinceStart) {
            addNotice(notice)
            // What was not taken before is missing there.
            if case .accepted = notice { for index in own.indices { own[index].publishAgain() } }
        }
        end(publication, isAccepted: isAccepted, at: now)
    }

    /// A publication cannot be sent.
    public mutating func fail(_ publication: Publication, at now: Moment) {
        end(publication, isAccepted: false, at: now)
    }

    private mutating func end(_ publication: Publication, isAccepted: Bool, at now: Moment) {
        switch publication.purpose {
        case .presence: break
        case .registration(let number):
            if let router = requests.acknowledge(number, isAccepted: isAccepted) {
                recent.insert(router, at: now.sinceStart)
            }
        case .note: notesInFlight -= 1
        case .late(let router):
            notesInFlight -= 1
            // Others may come back to the broker later than this gateway.
            if isAccepted { recent.insert(router, at: now.sinceStart) }
        case .farewell(let router):
            notesInFlight -= 1
            if isAccepted { own[router.domain].noteGone(router.key) }
        }
    }

    /// What is to be published next; `nil` if nothing. It is given out once: ``note(_:sentAs:at:)``, ``fail(_:at:)`` or
    /// ``disconnect(at:)`` must follow.
    public mutating func nextPublication(at now: Moment) -> Publication? {
        guard isConnected else { return nil }
        if let signed {
            self.signed = nil
            return signed
        }
        if !announcements.isEmpty { return publication(announcements.removeFirst(), .presence, isRetained: true) }
        guard !isLeaving else { return nil }
        let registration = nextRegistration(at: now) ?? nextLate(at: now) ?? nextRepeat(at: now)
        return registration ?? nextNote(at: now) ?? nextCount(at: now)
    }

    private func publication(
        _ message: BusMessage,
        _ purpose: Publication.Purpose,
        isRetained: Bool,
        expiry: Duration? = nil
    ) -> Publication {
        Publication(
            topic: "\(message.topic)",
            payload: message.payload(signedWith: settings.signingKey),
            isRetained: isRetained,
            expiry: expiry.map { UInt32(clamping: max($0.components.seconds, 1)) },
            purpose: purpose
        )
    }

    private mutating func nextRegistration(at now: Moment) -> Publication? {
        let count = settings.signingKey == nil ? 1 : 2
        guard let (number, router) = requests.next(publications: count) else { return nil }
        return publication(of: router, .registration(number), at: now)
    }

    private mutating func nextLate(at now: Moment) -> Publication? {
        guard notesInFlight < BusLimit.notesAtBroker, let router = late.next(at: now.sinceStart) else { return nil }
        notesInFlight += settings.signingKey == nil ? 1 : 2
        return publication(of: router, .late(router), at: now)
    }

    private mutating func nextRepeat(at now: Moment) -> Publication? {
        guard notesInFlight < BusLimit.notesAtBroker, let router = recent.next() else { return nil }
        notesInFlight += settings.signingKey == nil ? 1 : 2
        return publication(of: router, .note, at: now)
    }

    /// The field's message, and ours behind it if it can be signed.
    private mutating func publication(
        of router: RouterID,
        _ purpose: Publication.Purpose,
        at now: Moment
    ) -> Publication {
        let registration = registration(router)
        if settings.signingKey != nil {
            let note = RouterNote(gateway: settings.name, time: clock.next(at: now), state: .registered)
            signed = publication(.router(registration, note), purpose, isRetained: false)
        }
        return publication(.registration(registration), purpose, isRetained: false)
    }

    private mutating func nextNote(at now: Moment) -> Publication? {
        guard notesInFlight < BusLimit.notesAtBroker else { return nil }
        for index in gatewayIndices {
            guard let (key, state) = own[index].nextNote(at: now.sinceStart) else { continue }
            let router = RouterID(key, domain: index)
            let domain = settings.domains[index]
            notesInFlight += 1
            var purpose = Publication.Purpose.note
            if case .heard(let heard) = state {
                gateways.take(router: key, in: domain.name, from: settings.name, heard: heard, at: now)
            } else {
                purpose = .farewell(router)
                gateways.forget(router: key, in: domain.name, from: settings.name, at: now.wallClock / 1000, now: now)
            }
            let note = RouterNote(gateway: settings.name, time: clock.next(at: now), state: state)
            return publication(.router(registration(router), note), purpose, isRetained: true, expiry: domain.expiry)
        }
        return nil
    }

    private mutating func nextCount(at now: Moment) -> Publication? {
        for index in gatewayIndices {
            guard let count = own[index].nextCount(at: now.sinceStart) else { continue }
            let domain = settings.domains[index]
            let note = CountNote(time: clock.next(at: now), count: Int64(count))
            let message = BusMessage.count(domain.name, settings.name, note)
            return publication(message, .presence, isRetained: true, expiry: domain.expiry)
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
            if error == .untrusted { untrusted += 1 } else { malformed += 1 }
            scheduleNotice(now)
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
            guard gateways.mayBe(name) else {
                untrusted += 1
                return scheduleNotice(now)
            }
        }
        switch message {
        case .registration(let registration):
            // Nobody has signed it. Gateways of ours publish it all the same, for the field's workers, and sign another.
            if trusted != nil { return }
            // One that was kept is a slip of whoever published it, and old.
            if isRetained {
                untrusted += 1
                return scheduleNotice(now)
            }
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
            if isGateway(name), let index = domains[domain] { replays[index].take(note.count, of: name) }
        case .frontDoor: break  // nobody is told that we count them
        case .router(let registration, let note):
            guard let router = router(registration), let note else { return }
            receive(note, on: router, registration, isRetained, now)
        }
    }

    /// Whether what was said under this name was said by a gateway, because it is signed, or may be, because there is one. Any
    /// other name is an invention.
    private func isGateway(_ name: GatewayName) -> Bool { trusted != nil || gateways.knows(name) }

    /// Of which gateway this tells what it says of itself.
    private static func subject(of message: BusMessage) -> GatewayName? {
        switch message {
        case .status(let name, _), .data(let name, _, _), .connectedPeers(_, let name, _): name
        default: nil
        }
    }

    /// Somebody has said something in our name. What is kept of an earlier life is overwritten anyway.
    private mutating func receiveOwn(_ message: BusMessage, _ isRetained: Bool, _ now: Moment) {
        if isRetained { return receiveKept(message) }
        if !presence.isReported(message) { contradict(message.topic, now) }
    }

    private mutating func contradict(_ topic: BusTopic, _ now: Moment) {
        if corrections.isEmpty {
            correctionDue = max(now.sinceStart, earliestCorrection)
            if earliestContradiction <= now.sinceStart {
                addNotice(.contradicted(topic: "\(topic)"))
                earliestContradiction = now.sinceStart + BusLimit.noticeInterval
            }
        }
        // A topic of a domain that is not ours is none that we have told.
        corrections.insert(topic)
    }

    /// What the broker keeps of this gateway is overwritten, but where the domain is none of ours any more. That is not taken
    /// away, which would be an empty payload, and the deployed brokers die of one; it is said that nobody is served there.
    private mutating func receiveKept(_ message: BusMessage) {
        let domain: DomainName
        switch message {
        case .data(_, let name, _), .connectedPeers(let name, _, .some): domain = name
        default: return
        }
        let isServed = domains[domain].map { settings.domains[$0].hasGateway } ?? false
        guard !isServed, formerDomains.count < BusLimit.formerDomains,
            formerDomains.insert(domain).inserted
        else { return }
        announcements.append(.connectedPeers(domain, settings.name, nil))
    }

    private mutating func correct(_ now: Moment) {
        guard let due = correctionDue, due <= now.sinceStart else { return }
        for topic in corrections { presence.reportAgain(topic) }
        corrections.removeAll()
        correctionDue = nil
        earliestCorrection = now.sinceStart + BusLimit.correctionInterval
    }

    /// What others would choose, we choose; so this gateway is among the others as they see it.
    private mutating func takeOwn(_ now: Moment) {
        guard isOwnNew || nextOwn <= now.sinceStart else { return }
        isOwnNew = false
        nextOwn = now.sinceStart + BusLimit.ownInterval
        let own = presence.own
        gateways.takeOwn(own.data, peers: own.peers, isCounted: isOwnCounted, at: now.sinceStart)
        isOwnCounted = false
    }

    private mutating func admit(_ registration: Registration, _ now: Moment) {
        guard let router = router(registration), settings.domains[router.domain].hasGateway else { return }
        newcomers.insert(router, at: now.sinceStart)
        noteDropped(now)
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
            untimely += 1
            return scheduleNotice(now)
        }
        let report: PendingNews.Report
        switch note.state {
        case .registered:
            // It is said again while it is of any use, each time anew: an old one is somebody else's.
            guard !isRetained, age <= BusLimit.clockTolerance else {
                untimely += 1
                return scheduleNotice(now)
            }
            return admit(registration, now)
        case .heard(let heard): report = PendingNews.Report(kind: .heard, time: min(heard, now.wallClock / 1000))
        case .removed:
            if isOwn { return }
            report = PendingNews.Report(kind: .removed, time: min(note.time, now.wallClock) / 1000)
        }
        if settings.domains[router.domain].hasGateway {
            if !isOwn { own[router.domain].noteOther(report, of: router.key, at: now) }
            guard pendingNews.insert(report, of: router, from: note.gateway, saidAt: note.time) else { return }
            noteDropped(now)
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
    /// - Returns: how old a gateway's words are by our clock.
    private mutating func checkTime(
        of time: Int64,
        by gateway: GatewayName,
        isNew: Bool,
        _ now: Moment
    ) -> Duration {
        let age = Duration.milliseconds(now.wallClock - time)
        guard gateway != settings.name, isGateway(gateway),
            let notice = clocks.see(gateway, .zero - age, isNew: isNew, at: now.sinceStart)
        else { return age }
        addNotice(notice)
        return age
    }

    /// After a step of our clock the notes that the broker keeps of us have wrong times, and what others said was measured by
    /// a wrong clock; so all of it is said and asked for anew.
    private mutating func noticeStep(_ now: Moment) {
        guard let step = clock.step(at: now) else { return }
        addNotice(.clockStepped(by: step))
        for index in own.indices { own[index].publishAgain() }
        recent.noteArrival(at: now.sinceStart)
        if isConnected { for index in own.indices { want(notes(of: index)) } }
    }
}

// MARK: - Front doors

extension BusMember {
    /// Tells all gateways of a router.
    ///
    /// - Parameter frontDoor: whom ``takeAnswers()`` names.
    public mutating func register(_ request: RegistrationRequest, frontDoor: UInt64, at now: Moment) {
        guard let router = router(request.registration) else {
            return requests.refuse(request, .invalidDomain, frontDoor: frontDoor)
        }
        guard isConnected else { return requests.postpone(request, router, frontDoor: frontDoor) }
        requests.insert(request, router, frontDoor: frontDoor, at: now.sinceStart)
    }

    /// Chooses a gateway for a router, or for anybody.
    public mutating func choose(_ request: ChoiceRequest, at now: Moment) -> ChoiceAnswer {
        ChoiceAnswer(id: request.id, gateway: gateways.choose(for: request.key, in: request.domain, at: now.sinceStart))
    }

    /// Whether any front door is connected.
    public mutating func noteFrontDoor(isThere: Bool) { hasFrontDoor = isThere }

    /// A front door is gone.
    public mutating func close(frontDoor: UInt64) { requests.close(frontDoor: frontDoor) }

    public mutating func takeAnswers() -> [(frontDoor: UInt64, answer: RegistrationAnswer)] { requests.takeAnswers() }
}

// MARK: - The handler

extension BusMember {
    /// Routers that the handler is to let in, at most one frame of them.
    public mutating func nextRegistrations(at now: Moment) -> [RemoteRegistration] {
        newcomers.next(at: now.sinceStart).map { id, router in
            RemoteRegistration(id: id, registration: registration(router))
        }
    }

    /// The domains that the handler is to be asked about, at most one frame of them at a time.
    public mutating func nextQuestions(at now: Moment) -> [[DomainName]] {
        guard let due = presence.questionDue, due <= now.sinceStart else { return [] }
        presence.noteAsked(at: now.sinceStart)
        let names = settings.domains.filter(\.hasGateway).map(\.name)
        return stride(from: 0, to: names.count, by: ChannelLimit.records).map {
            Array(names[$0...].prefix(ChannelLimit.records))
        }
    }

    /// The connection to the handler is gone, or was never there. The next handler is told everything: the broker is asked
    /// for all notes once more.
    public mutating func loseHandler(at now: Moment) {
        newcomers.lose(at: now.sinceStart)
        presence.loseHandler(at: now.sinceStart)
        isOwnNew = true
        pendingNews.lose(at: now.sinceStart)
        for index in own.indices { own[index].loseHandler(at: now.sinceStart) }
        listed = nil
        nextListing = now.sinceStart + BusLimit.handlerPause
    }

    /// The handler is there again.
    public mutating func regainHandler() {
        guard isConnected else { return }
        for index in settings.domains.indices { want(notes(of: index)) }
    }

    /// News that the handler is to be told, at most one frame of them.
    public mutating func nextNews(at now: Moment) -> [RouterNews] {
        pendingNews.next(at: now.sinceStart).map { id, router, report in
            RouterNews(id: id, kind: report.kind, time: report.time, registration: registration(router))
        }
    }

    /// The domain whose routers the handler is to be asked for; one at a time.
    public mutating func nextList(at now: Moment) -> RouterListRequest? {
        guard listed == nil, now.sinceStart >= nextListing,
            let index = gatewayIndices.first(where: { own[$0].nextList <= now.sinceStart })
        else { return nil }
        listed = index
        return RouterListRequest(domain: settings.domains[index].name, lastRemoval: own[index].lastRemoval)
    }

    public mutating func take(_ answer: FleetAnswer, at now: Moment) {
        switch answer {
        case .registrations(let answers): for answer in answers { newcomers.take(answer, at: now.sinceStart) }
        case .statuses(let statuses):
            presence.take(statuses.filter { domains[$0.domain] != nil })
            isOwnNew = true
        case .news(let answers): for answer in answers { pendingNews.take(answer, at: now.sinceStart) }
        case .routers(let records):
            if let listed { own[listed].take(records) }
        case .removals(let removals):
            if let listed { own[listed].take(removals: removals.map(\.key)) }
        case .routerListEnd(let end):
            guard let listed, settings.domains[listed].name == end.domain else { return }
            own[listed].finishList(isWhole: end.isWhole, lastRemoval: end.lastRemoval, at: now.sinceStart)
            self.listed = nil
        }
    }

    /// Whoever is wanted last is subscribed to last, so that it is what holds.
    private mutating func want(_ subscriptions: [Subscription]) {
        filters.removeAll { subscriptions.contains($0) }
        filters += subscriptions
    }
}

// MARK: - Time

extension BusMember {
    /// Does what is due.
    public mutating func advance(to now: Moment) {
        noticeStep(now)
        requests.expire(at: now.sinceStart)
        for router in requests.takeUnpublished() { late.insert(router, at: now.sinceStart) }
        if nextCheck <= now.sinceStart {
            nextCheck = now.sinceStart + BusLimit.acknowledgementCheck
            isStuck = inFlight.values.contains { now.sinceStart - $0.since > BusLimit.acknowledgementTime }
        }
        if isConnected { recent.advance(to: now.sinceStart) }
        if isConnected, !isLeaving {
            correct(now)
            let news = presence.news(at: now.sinceStart)
            announcements += news
            if !news.isEmpty { isOwnNew = true }
            for case .connectedPeers in news { isOwnCounted = true }
        }
        takeOwn(now)
        if isConnected, !isLeaving, reportedFrontDoor ?? false != hasFrontDoor {
            reportedFrontDoor = hasFrontDoor
            announcements.append(.frontDoor(settings.name, isOnline: hasFrontDoor))
        }
        for (index, domain) in settings.domains.enumerated() {
            switch replays[index].look(at: now.sinceStart) {
            case .ask:
                // Without acknowledgements they need no place in the broker's queue.
                want(notes(of: index, isAcknowledged: false))
            case .giveUp(let gateway, let seen, let count):
                addNotice(.incomplete(domain: domain.name.text, gateway: gateway.text, seen: seen, count: count))
            case nil: break
            }
        }
        if let nextNotice, nextNotice <= now.sinceStart {
            let dropped = dropped - reportedDropped
            if malformed + untimely + untrusted + dropped > 0 {
                addNotice(
                    .ignored(malformed: malformed, untimely: untimely, untrusted: untrusted, dropped: dropped)
                )
            }
            malformed = 0
            untimely = 0
            untrusted = 0
            reportedDropped += dropped
            self.nextNotice = nil
            earliestNotice = now.sinceStart + BusLimit.noticeInterval
        }
    }

    /// When something is due although nothing happens.
    public func deadline(at now: Moment) -> Duration? {
        var times = [requests.deadline, nextNotice, presence.questionDue, newcomers.earliest, pendingNews.earliest]
        if isConnected { times += [presence.deadline, recent.due, correctionDue, inFlight.isEmpty ? nil : nextCheck] }
        for index in gatewayIndices {
            if listed == nil { times.append(max(own[index].nextList, nextListing)) }
            if isConnected { times.append(own[index].countDue) }
        }
        if isConnected { times += replays.map(\.due) }
        return times.compactMap(\.self).min()
    }

    /// The first one comes soon, all that follow an hour later.
    private mutating func scheduleNotice(_ now: Moment) {
        guard nextNotice == nil else { return }
        nextNotice = max(now.sinceStart + BusLimit.noticeDelay, earliestNotice)
    }

    private var dropped: Int { newcomers.dropped + pendingNews.dropped }

    private mutating func noteDropped(_ now: Moment) {
        if dropped > reportedDropped { scheduleNotice(now) }
    }

    private mutating func addNotice(_ notice: BusNotice) {
        // The owner takes them each round; what is more than this in a round is said again or was said already.
        if notices.count < BusLimit.notices { notices.append(notice) }
    }

    public mutating func takeNotices() -> [BusNotice] {
        defer { notices.removeAll() }
        return notices
    }

    /// This gateway goes. What ``nextPublication(at:)`` gives from now on are its last words.
    public mutating func leave() {
        isLeaving = true
        requests.lose()
        announcements = presence.farewell
        if reportedFrontDoor ?? false { announcements.append(.frontDoor(settings.name, isOnline: false)) }
    }

    /// Whether the broker has acknowledged all that was said.
    public var isSettled: Bool { inFlight.isEmpty && announcements.isEmpty }
}
