/// What is to be sent over one connection to the broker, and what the broker has not answered yet.
///
/// It decides neither what is published nor what an acknowledgement means. Each publication leaves it once, and then
/// ``note(_:sentAs:at:)`` or ``end(_:)`` follows, or the connection ends.
struct BrokerOutbox: Sendable {
    private(set) var isConnected = false
    /// What this gateway says of itself, in order. It goes before registrations and notes.
    private var announcements: [Publication] = []
    /// The second publication of a registration whose first has left.
    private var second: Publication?
    private var inFlight: [Int32: (publication: Publication, since: Duration)] = [:]
    /// Publications that count as notes and have left, or will leave next.
    private var notesInFlight = 0
    private var nextCheck = Duration.zero
    /// Whether the broker has owed an answer for too long. The connection is of no more use then.
    private(set) var isStuck = false
    private var subscriptions: [Subscription] = []
    /// Domains whose notes were subscribed to, by the number of the subscription. The broker has not answered these.
    private var unanswered: [Int32: Int] = [:]

    // MARK: - The connection

    /// A connection begins. The broker may know nothing.
    mutating func connect(announcing announcements: [Publication], subscribing subscriptions: [Subscription]) {
        isConnected = true
        self.announcements = announcements
        self.subscriptions = subscriptions
    }

    /// The connection is gone, and all that belonged to it.
    ///
    /// - Returns: routers whose late registrations the broker may not have.
    mutating func disconnect() -> [RouterID] {
        defer {
            let check = nextCheck
            self = BrokerOutbox()
            nextCheck = check
        }
        return inFlight.values.compactMap { if case .late(let router) = $0.publication.purpose { router } else { nil } }
    }

    // MARK: - Publications

    /// Puts an announcement behind the others.
    mutating func announce(_ publication: Publication) { announcements.append(publication) }

    /// Puts the last announcements of this gateway in the place of all others.
    mutating func announceLast(_ publications: [Publication]) { announcements = publications }

    /// The next publication that must go before everything else.
    mutating func next() -> Publication? {
        if let second {
            self.second = nil
            return second
        }
        return announcements.isEmpty ? nil : announcements.removeFirst()
    }

    /// Whether one more note may leave. They are few at a time, so that registrations do not wait behind them.
    var hasRoomForNotes: Bool { notesInFlight < BusLimit.notesAtBroker }

    /// A registration or a note leaves.
    ///
    /// - Parameter second: what ``next()`` gives next.
    mutating func send(_ publication: Publication, then second: Publication? = nil) {
        if publication.purpose.isNote { notesInFlight += second == nil ? 1 : 2 }
        self.second = second
    }

    /// A publication is on its way.
    mutating func note(_ publication: Publication, sentAs id: Int32, at now: Duration) {
        inFlight[id] = (publication, now)
    }

    /// The broker has answered a publication.
    ///
    /// - Returns: `nil` if no publication of this number is on its way.
    mutating func acknowledge(_ id: Int32) -> Publication? {
        guard let (publication, _) = inFlight.removeValue(forKey: id) else { return nil }
        end(publication)
        return publication
    }

    /// Nobody waits for an answer to this publication any more.
    mutating func end(_ publication: Publication) {
        if publication.purpose.isNote { notesInFlight -= 1 }
    }

    /// Whether all announcements have left, and the broker has answered all that was sent.
    var isSettled: Bool { inFlight.isEmpty && announcements.isEmpty }

    // MARK: - Subscriptions

    /// Puts subscriptions behind all others. The last subscription to a filter is the one that holds, so the same ones
    /// do not stay where they were.
    mutating func want(_ wanted: [Subscription]) {
        subscriptions.removeAll { wanted.contains($0) }
        subscriptions += wanted
    }

    mutating func nextSubscription() -> Subscription? { subscriptions.isEmpty ? nil : subscriptions.removeFirst() }

    /// A subscription is on its way.
    mutating func note(_ subscription: Subscription, sentAs id: Int32) {
        if let index = subscription.notesOf { unanswered[id] = index }
    }

    /// The broker has answered a subscription.
    ///
    /// - Returns: the domain whose notes come; `nil` if the subscription was not about notes.
    mutating func subscribed(_ id: Int32) -> Int? { unanswered.removeValue(forKey: id) }

    // MARK: - Time

    /// When ``advance(to:)`` has something to look at.
    var due: Duration? { isConnected && !inFlight.isEmpty ? nextCheck : nil }

    mutating func advance(to now: Duration) {
        guard nextCheck <= now else { return }
        nextCheck = now + BusLimit.acknowledgementCheck
        isStuck = inFlight.values.contains { now - $0.since > BusLimit.acknowledgementTime }
    }
}
