internal import BusMessages
internal import HandlerChannel
internal import KexProtocol

/// What this gateway says of itself, as the field's workers do: where it is, that it is there, and how many routers it has.
struct Presence: Sendable {
    private let settings: MemberSettings
    /// Those in which there is a gateway to speak of.
    private let domains: [MemberSettings.Domain]
    private var statuses: [DomainName: DomainStatus] = [:]
    /// What the broker was told in this connection.
    private var reportedData: [DomainName: GatewayData] = [:]
    private var reportedPeers: [DomainName: Int?] = [:]
    private var isReportedOnline = false
    private var nextMetrics = Duration.zero
    private var nextQuestion = Duration.zero
    /// Domains that the handler was asked about and has not told.
    private var unanswered = 0

    init(_ settings: MemberSettings) {
        self.settings = settings
        domains = settings.domains.filter(\.hasGateway)
    }

    mutating func take(_ new: [DomainStatus]) {
        for status in new { statuses[status.domain] = status }
        unanswered = max(unanswered - new.count, 0)
    }

    /// When the handler is to be asked; `nil` while it has not answered.
    var questionDue: Duration? { unanswered == 0 && !domains.isEmpty ? nextQuestion : nil }

    mutating func noteAsked(at now: Duration) {
        nextQuestion = now + BusLimit.statusInterval
        unanswered = domains.count
    }

    /// The handler is gone. While it is, nobody can be let in here.
    mutating func loseHandler(at now: Duration) {
        for domain in statuses.keys { statuses[domain] = DomainStatus(domain: domain, isInService: false) }
        nextQuestion = now + BusLimit.handlerPause
        unanswered = 0
    }

    /// The broker knows nothing of us.
    mutating func forgetReports() {
        reportedData.removeAll()
        reportedPeers.removeAll()
        isReportedOnline = false
        nextMetrics = .zero
    }

    /// What others were told of this domain counts no more: it is to be told again.
    mutating func reportAgain(_ topic: BusTopic) {
        switch topic {
        case .status: isReportedOnline = false
        case .data(_, let domain): reportedData[domain] = nil
        case .connectedPeers(let domain, _): reportedPeers[domain] = nil
        default: break
        }
    }

    /// Whether this is what others were told, or will be told anyway.
    func isReported(_ message: BusMessage) -> Bool {
        switch message {
        case .status(_, let isOnline): isOnline || !isReportedOnline
        case .data(_, let domain, let data): reportedData[domain].map { $0 == data } ?? true
        case .connectedPeers(let domain, _, let peers): reportedPeers[domain].map { $0 == peers } ?? true
        default: true
        }
    }

    /// The domains in which routers may be sent here, and what others know of our routers there.
    var own: (data: [DomainName: GatewayData], peers: [DomainName: Int]) {
        var own: (data: [DomainName: GatewayData], peers: [DomainName: Int]) = ([:], [:])
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

    /// What the broker is to be told now, in this order: whoever hears that we are there knows where.
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
            messages.append(.connectedPeers(domain.name, settings.name, peers))
        }
        if isTime { nextMetrics = now + BusLimit.metricsInterval }
        return messages
    }

    /// Our last words.
    var farewell: [BusMessage] {
        guard !domains.isEmpty else { return [] }
        return domains.map { .connectedPeers($0.name, settings.name, nil) } + [.status(settings.name, isOnline: false)]
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
