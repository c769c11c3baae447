internal import BusMessages
internal import HandlerChannel
internal import KexProtocol

/// What this gateway says of itself, as the field's workers do: where it is, that it is there, and how many routers it
/// has.
struct Presence: Sendable {
    private let settings: MemberSettings
    /// Those in which there is a gateway to speak of.
    private let domains: [MemberSettings.Domain]
    /// Domains that this gateway served in an earlier life, and does not serve now. The broker keeps that it does.
    private var formerDomains: Set<DomainName>
    private var statuses: [DomainName: DomainStatus] = [:]
    /// What was published over this connection.
    private var reportedData: [DomainName: GatewayData] = [:]
    private var reportedPeers: [DomainName: Int?] = [:]
    private var isReportedOnline = false
    /// Whether there is a front door, and what was published of it.
    var hasFrontDoor = false
    private var isFrontDoorReported = false
    private var nextMetrics = Duration.zero
    private var nextQuestion = Duration.zero
    /// Domains that the handler was asked about and has not answered for.
    private var unanswered = 0
    /// Whether ``takeOwn(at:)`` has something new, and when it repeats what it has.
    private var isOwnNew = true
    private var nextOwn = Duration.zero
    /// Whether the number of routers was published since the last ``takeOwn(at:)``.
    private var isCounted = false

    init(_ settings: MemberSettings, formerDomains: Set<DomainName>) {
        self.settings = settings
        domains = settings.domains.filter(\.hasGateway)
        self.formerDomains = formerDomains.subtracting(domains.map(\.name))
    }

    mutating func take(_ new: [DomainStatus]) {
        isOwnNew = true
        for status in new { statuses[status.domain] = status }
        unanswered = max(unanswered - new.count, 0)
    }

    /// When the handler is to be asked; `nil` while it has not answered.
    var questionDue: Duration? { unanswered == 0 && !domains.isEmpty ? nextQuestion : nil }

    mutating func noteAsked(at now: Duration) {
        nextQuestion = now + BusLimit.statusInterval
        unanswered = domains.count
    }

    /// The handler is gone. Until it is back, no router can be let in here.
    mutating func loseHandler(at now: Duration) {
        isOwnNew = true
        for domain in statuses.keys { statuses[domain] = DomainStatus(domain: domain, isInService: false) }
        nextQuestion = now + BusLimit.handlerPause
        unanswered = 0
    }

    /// A connection begins. The broker knows nothing of us.
    ///
    /// - Returns: what it is to know at once.
    mutating func begin() -> [BusMessage] {
        reportedData.removeAll()
        reportedPeers.removeAll()
        isReportedOnline = false
        isFrontDoorReported = false
        nextMetrics = .zero
        return formerDomains.map { .connectedPeers($0, settings.name, nil) }
    }

    /// Takes in what the broker keeps of this gateway. That is overwritten, except where this gateway does not serve
    /// the domain any more. It is not taken away then, because that needs an empty payload, and the deployed brokers
    /// die of one.
    ///
    /// - Returns: that this gateway serves nobody there, if that is to be published.
    mutating func take(kept message: BusMessage) -> BusMessage? {
        let domain: DomainName
        switch message {
        case .data(_, let name, _), .connectedPeers(let name, _, .some): domain = name
        default: return nil
        }
        guard !domains.contains(where: { $0.name == domain }), formerDomains.count < BusLimit.formerDomains,
            formerDomains.insert(domain).inserted
        else { return nil }
        return .connectedPeers(domain, settings.name, nil)
    }

    /// What was published under this topic counts no more. It is to be published again.
    mutating func reportAgain(_ topic: BusTopic) {
        switch topic {
        case .status: isReportedOnline = false
        case .data(_, let domain): reportedData[domain] = nil
        case .connectedPeers(let domain, _): reportedPeers[domain] = nil
        default: break
        }
    }

    /// Whether this is what was published, or will be published anyway.
    func isReported(_ message: BusMessage) -> Bool {
        switch message {
        case .status(_, let isOnline): isOnline || !isReportedOnline
        case .data(_, let domain, let data): reportedData[domain].map { $0 == data } ?? true
        case .connectedPeers(let domain, _, let peers): reportedPeers[domain].map { $0 == peers } ?? true
        default: true
        }
    }

    /// How this gateway appears to the others, if that is new or due: the domains in which routers may be sent here,
    /// what the others know of our routers there, and whether they have heard that just now.
    mutating func takeOwn(
        at now: Duration
    ) -> (data: [DomainName: GatewayData], peers: [DomainName: Int], isCounted: Bool)? {
        guard isOwnNew || nextOwn <= now else { return nil }
        isOwnNew = false
        nextOwn = now + BusLimit.ownInterval
        defer { isCounted = false }
        var own: (data: [DomainName: GatewayData], peers: [DomainName: Int], isCounted: Bool) = ([:], [:], isCounted)
        for domain in settings.domains {
            guard let data = data(of: domain) else { continue }
            own.data[domain.name] = data
            own.peers[domain.name] = reportedPeers[domain.name].flatMap(\.self) ?? peers(of: domain)
        }
        return own
    }

    /// When ``news(at:)`` has something even if nothing happens.
    var deadline: Duration? { isReady ? nextMetrics : nil }

    /// Before the handler has said anything, there is nothing to say.
    private var isReady: Bool { !domains.isEmpty && statuses.count == domains.count }

    /// What is to be published now, in this order: whoever hears that we are there knows where.
    mutating func news(at now: Duration) -> [BusMessage] {
        guard isReady else { return [] }
        var messages: [BusMessage] = []
        for domain in domains {
            guard let data = data(of: domain), reportedData[domain.name] != data else { continue }
            reportedData[domain.name] = data
            messages.append(.data(settings.name, domain.name, data))
        }
        if !isReportedOnline {
            isReportedOnline = true
            messages.append(.status(settings.name, isOnline: true))
        }
        let isTime = now >= nextMetrics
        for domain in domains {
            let peers = peers(of: domain)
            let before = reportedPeers[domain.name]
            // Whether we serve a domain is said at once, how many we have when it is time.
            guard isTime || before == nil || (before ?? nil == nil) != (peers == nil) else { continue }
            reportedPeers[domain.name] = .some(peers)
            isCounted = true
            messages.append(.connectedPeers(domain.name, settings.name, peers))
        }
        if isTime { nextMetrics = now + BusLimit.metricsInterval }
        if !messages.isEmpty { isOwnNew = true }
        return messages
    }

    /// What is to be published now of the front door.
    mutating func frontDoorNews() -> BusMessage? {
        guard isFrontDoorReported != hasFrontDoor else { return nil }
        isFrontDoorReported = hasFrontDoor
        return .frontDoor(settings.name, isOnline: hasFrontDoor)
    }

    /// The last messages of this gateway.
    var farewell: [BusMessage] {
        var messages: [BusMessage] = domains.map { .connectedPeers($0.name, settings.name, nil) }
        if !domains.isEmpty { messages.append(.status(settings.name, isOnline: false)) }
        if isFrontDoorReported { messages.append(.frontDoor(settings.name, isOnline: false)) }
        return messages
    }

    private func data(of domain: MemberSettings.Domain) -> GatewayData? {
        guard let status = statuses[domain.name], status.isInService, let key = status.publicKey,
            let port = status.listenPort, let link = domain.linkAddress
        else { return nil }
        return GatewayData(externalAddress: settings.externalAddress, port: port, publicKey: key, linkAddress: link)
    }

    /// `nil` if routers cannot be sent here.
    private func peers(of domain: MemberSettings.Domain) -> Int? {
        guard data(of: domain) != nil, let status = statuses[domain.name] else { return nil }
        return min(Int(status.connected), BusMessage.maximumPeers)
    }
}
