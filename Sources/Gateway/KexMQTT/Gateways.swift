internal import BusMessages
internal import GatewayChoice
internal import HandlerChannel
internal import KexProtocol
internal import Time
internal import WireGuardTypes

/// All gateways that speak of themselves on the bus, this one included, and the choice among them.
///
/// Its clock stands still while there is no broker, so what is known of the gateways stays as it was.
struct Gateways: Sendable {
    private struct Gateway: Sendable {
        var isOnline = false
        /// When it last said anything, by the clock that stands still without a broker.
        var heard: Duration
        var data: [DomainName: GatewayData] = [:]
        var peers: [DomainName: Int?] = [:]
    }

    private var fleet: Fleet
    private let domains: Set<DomainName>
    private let own: GatewayName
    /// The gateways that the operator trusts; `nil` if all are believed.
    private let trusted: TrustedKeys?
    /// Gateways to which the operator gives a share.
    private var named: Set<String>
    private var gateways: [GatewayName: Gateway] = [:]
    /// How long there was no broker before ``awaySince``.
    private var away = Duration.zero
    private var awaySince: Duration?

    init(_ settings: MemberSettings) {
        domains = Set(settings.domains.map(\.name))
        own = settings.name
        trusted = settings.trusted
        named = Set(settings.weights.keys)
        fleet = Fleet(rule: .steady, weights: settings.weights, domains: settings.domains.map(\.name))
    }

    mutating func change(weights: [String: Int]) {
        named = Set(weights.keys)
        fleet.change(weights: weights)
    }

    mutating func brokerCame(at now: Duration) {
        if let awaySince { away += now - awaySince }
        awaySince = nil
    }

    mutating func brokerWent(at now: Duration) { awaySince = awaySince ?? now }

    /// The time by the clock that stands still without a broker.
    private func clock(_ now: Duration) -> Duration { (awaySince ?? now) - away }

    /// Whether a gateway of this name has said anything of itself.
    func knows(_ name: GatewayName) -> Bool { gateways[name] != nil }

    // MARK: - News

    /// Whether somebody of this name may be a gateway.
    func mayBe(_ name: GatewayName) -> Bool { trusted?.names(name) ?? true }

    /// Takes in how this gateway is doing. What the bus says of it does not count, because anybody may write there.
    ///
    /// - Parameters:
    ///   - data: of the domains that it serves.
    ///   - peers: the numbers of routers that it has published.
    ///   - isCounted: whether it has published them just now. Until then the routers that were sent here count in
    ///     addition.
    mutating func takeOwn(
        _ data: [DomainName: GatewayData],
        peers: [DomainName: Int],
        isCounted: Bool,
        at now: Duration
    ) {
        let time = clock(now)
        var gateway = gateways[own] ?? Gateway(heard: time)
        gateway.isOnline = true
        gateway.heard = time
        for domain in domains {
            if let data = data[domain] { gateway.data[domain] = data }
            gateway.peers[domain] = .some(data[domain] == nil ? nil : peers[domain] ?? 0)
        }
        let isNew = isCounted || gateways[own]?.peers != gateway.peers || gateways[own]?.data != gateway.data
        gateways[own] = gateway
        // Without news it is a sign of life.
        if isNew { update(gateway, own) } else { updatePresence(gateway, own) }
    }

    mutating func take(_ name: GatewayName, isOnline: Bool, isRetained: Bool, at now: Duration) {
        change(name, isRetained, now, isNew: isOnline) { $0.isOnline = isOnline }
    }

    mutating func take(
        _ name: GatewayName,
        _ data: GatewayData?,
        of domain: DomainName,
        isRetained: Bool,
        at now: Duration
    ) {
        guard domains.contains(domain) else { return }
        change(name, isRetained, now, isNew: data != nil) { $0.data[domain] = data }
    }

    mutating func take(_ name: GatewayName, peers: Int?, in domain: DomainName, isRetained: Bool, at now: Duration) {
        guard domains.contains(domain) else { return }
        change(name, isRetained, now, isNew: false) { $0.peers[domain] = .some(peers) }
    }

    /// What the broker had kept may be old, so it is no sign of life of a gateway that is known.
    ///
    /// - Parameter isNew: whether a gateway that is not known gets a place for this.
    private mutating func change(
        _ name: GatewayName,
        _ isRetained: Bool,
        _ now: Duration,
        isNew: Bool,
        _ body: (inout Gateway) -> Void
    ) {
        let time = clock(now)
        guard name != own, mayBe(name), var gateway = gateways[name] ?? (isNew ? place(for: name, at: time) : nil)
        else { return }
        if !isRetained { gateway.heard = time }
        body(&gateway)
        gateways[name] = gateway
        update(gateway, name)
    }

    /// Makes room for one more gateway. When all places are taken, the gateway that has been silent for longest leaves,
    /// if it has been silent for long enough. For a gateway that the operator names it leaves in any case, and such a
    /// gateway never leaves itself.
    private mutating func place(for name: GatewayName, at time: Duration) -> Gateway? {
        if gateways.count >= BusLimit.gateways {
            func isVouchedFor(_ name: GatewayName) -> Bool {
                name == own || trusted != nil || named.contains(name.text)
            }
            let others = gateways.filter { !isVouchedFor($0.key) }
            guard let longest = others.min(by: { $0.value.heard < $1.value.heard }),
                isVouchedFor(name) || time - longest.value.heard > FleetLimit.silence
            else { return nil }
            gateways[longest.key] = nil
            fleet.dismiss(longest.key.text)
        }
        return Gateway(heard: time)
    }

    /// Only where a gateway's data are known may it be chosen.
    private mutating func update(_ gateway: Gateway, _ name: GatewayName) {
        for domain in domains {
            guard let peers = gateway.peers[domain] else { continue }
            let isKnown = gateway.data[domain] != nil
            fleet.take(.peers(isKnown ? peers ?? -1 : -1, in: domain), from: name.text, at: gateway.heard)
        }
        updatePresence(gateway, name)
    }

    private mutating func updatePresence(_ gateway: Gateway, _ name: GatewayName) {
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
        let moment = Moment(milliseconds: now.milliseconds, sinceStart: clock(now.sinceStart))
        fleet.take(router: key, in: domain, from: name.text, heard: moment.sinceStart(of: heard))
    }

    mutating func forget(
        router key: PublicKey,
        in domain: DomainName,
        from name: GatewayName,
        at time: Int64,
        now: Moment
    ) {
        let moment = Moment(milliseconds: now.milliseconds, sinceStart: clock(now.sinceStart))
        fleet.forget(router: key, in: domain, from: name.text, at: moment.sinceStart(of: time))
    }

    // MARK: - Choice

    mutating func choose(for key: PublicKey?, in domain: DomainName, at now: Duration) -> ChosenGateway? {
        let time = clock(now)
        let text =
            if let key { fleet.choose(for: key, in: domain, at: time) } else { fleet.neediest(in: domain, at: time) }
        guard let name = text.flatMap({ GatewayName($0) }) ?? lastResort(for: key, in: domain, at: time),
            let data = gateways[name]?.data[domain]
        else { return nil }
        return ChosenGateway(
            address: data.externalAddress,
            port: data.port,
            publicKey: data.publicKey,
            linkAddress: data.linkAddress
        )
    }

    /// A gateway for when all are reported to be away. Nobody has signed those reports. So this gateway is chosen if it
    /// serves the domain, or else one that was heard from lately, preferably one whose status says that it is there.
    private func lastResort(for key: PublicKey?, in domain: DomainName, at time: Duration) -> GatewayName? {
        if gateways[own]?.peers[domain] ?? nil != nil { return own }
        let heard = gateways.filter {
            $0.key != own && $0.value.data[domain] != nil && time - $0.value.heard <= FleetLimit.silence
        }
        let online = heard.filter(\.value.isOnline)
        let candidates = (online.isEmpty ? heard : online).keys.sorted { $0.text < $1.text }
        guard !candidates.isEmpty else { return nil }
        // Any of them, but always the same one for a router.
        return candidates[Int(key?[0] ?? 0) % candidates.count]
    }
}
