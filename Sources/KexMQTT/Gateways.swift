internal import BusMessages
internal import GatewayChoice
internal import HandlerChannel
internal import KexProtocol
internal import WireGuardTypes

/// All gateways on the bus, this one included, as far as they say who they are, and the choice among them.
///
/// It has a clock of its own that stands still while there is no broker: what is known then stays as it was.
struct Gateways: Sendable {
    private struct Gateway: Sendable {
        var isOnline = false
        /// When it said anything, by the clock of the broker's presence.
        var heard: Duration
        var data: [DomainName: GatewayData] = [:]
        var peers: [DomainName: Int?] = [:]
    }

    private var fleet: Fleet
    private let domains: Set<DomainName>
    private var gateways: [GatewayName: Gateway] = [:]
    /// How long there was no broker, until ``awaySince``.
    private var away = Duration.zero
    private var awaySince: Duration?

    init(_ settings: MemberSettings) {
        domains = Set(settings.domains.map(\.name))
        fleet = Fleet(rule: .steady, weights: settings.weights, domains: settings.domains.map(\.name))
    }

    mutating func change(weights: [String: Int]) { fleet.change(weights: weights) }

    mutating func brokerCame(at now: Duration) {
        if let awaySince { away += now - awaySince }
        awaySince = nil
    }

    mutating func brokerWent(at now: Duration) { awaySince = awaySince ?? now }

    /// The clock of the broker's presence.
    private func clock(_ now: Duration) -> Duration { (awaySince ?? now) - away }

    /// Whether a gateway of this name has said anything of itself.
    func knows(_ name: GatewayName) -> Bool { gateways[name] != nil }

    // MARK: - News

    mutating func take(_ name: GatewayName, isOnline: Bool, isRetained: Bool, at now: Duration) {
        change(name, isRetained, now) { $0.isOnline = isOnline }
    }

    mutating func take(
        _ name: GatewayName,
        _ data: GatewayData,
        of domain: DomainName,
        isRetained: Bool,
        at now: Duration
    ) {
        guard domains.contains(domain) else { return }
        change(name, isRetained, now) { $0.data[domain] = data }
    }

    mutating func take(_ name: GatewayName, peers: Int?, in domain: DomainName, isRetained: Bool, at now: Duration) {
        guard domains.contains(domain) else { return }
        change(name, isRetained, now) { $0.peers[domain] = .some(peers) }
    }

    /// What the broker had kept may be old: it makes nobody younger who is known.
    private mutating func change(
        _ name: GatewayName,
        _ isRetained: Bool,
        _ now: Duration,
        _ body: (inout Gateway) -> Void
    ) {
        let time = clock(now)
        guard var gateway = gateways[name] ?? place(for: name, at: time) else { return }
        if !isRetained { gateway.heard = time }
        body(&gateway)
        gateways[name] = gateway
        tell(gateway, name)
    }

    /// One more has room, or takes that of the one that was silent longest, if that is long enough.
    private mutating func place(for name: GatewayName, at time: Duration) -> Gateway? {
        if gateways.count >= BusLimit.gateways {
            guard let longest = gateways.min(by: { $0.value.heard < $1.value.heard }),
                time - longest.value.heard > FleetLimit.silence
            else { return nil }
            gateways[longest.key] = nil
            fleet.take(.offline, from: longest.key.text, at: time)
        }
        return Gateway(heard: time)
    }

    /// Only where a gateway's data are known may it be chosen.
    private mutating func tell(_ gateway: Gateway, _ name: GatewayName) {
        for domain in domains {
            guard gateway.data[domain] != nil, let peers = gateway.peers[domain] else { continue }
            fleet.take(.peers(peers ?? -1, in: domain), from: name.text, at: gateway.heard)
        }
        let isReady = gateway.isOnline && !gateway.data.isEmpty
        fleet.take(isReady ? .online : .offline, from: name.text, at: gateway.heard)
    }

    mutating func take(
        router key: PublicKey,
        in domain: DomainName,
        from name: GatewayName,
        heard: Int64,
        at now: Moment
    ) {
        let moment = Moment(sinceStart: clock(now.sinceStart), wallClock: now.wallClock)
        fleet.take(router: key, in: domain, from: name.text, heard: moment.sinceStart(of: heard))
    }

    mutating func forget(
        router key: PublicKey,
        in domain: DomainName,
        from name: GatewayName,
        at time: Int64,
        now: Moment
    ) {
        let moment = Moment(sinceStart: clock(now.sinceStart), wallClock: now.wallClock)
        fleet.forget(router: key, in: domain, from: name.text, at: moment.sinceStart(of: time))
    }

    // MARK: - Choice

    mutating func choose(for registration: Registration, at now: Duration) -> ChosenGateway? {
        guard let text = fleet.choose(for: registration.key, in: registration.domain, at: clock(now)),
            let data = GatewayName(text).flatMap({ gateways[$0]?.data[registration.domain] })
        else { return nil }
        return ChosenGateway(
            address: data.externalAddress,
            port: data.port,
            publicKey: data.publicKey,
            linkAddress: data.linkAddress
        )
    }
}
