internal import NetworkAddresses
internal import TenantModel

/// What the exit of a network has that other members have not: in the network's namespace, and in the one where its
/// WireGuard is born.
struct ExitPlanner {
    let network: ResolvedNetwork
    let exit: Exit
    let resource: Resource

    /// Where the namespace of WireGuard is reached, on every nic that leads to a network.
    static let transitGateway = IPv4Address(value: Transit.network.value | 1)
    static let transitNetwork: IPPrefix = {
        guard let prefix = IPPrefix(.v4(Transit.network), length: 16) else { preconditionFailure("16 is at most 32") }
        return prefix
    }()

    private var side: ExitSide { ExitSide.ofIPv6(exit, resource) }
    private var transitAddress: IPv4Address { Transit.address(port: resource.listenPort) }
    private var outside: String { resource.names.publicNic }
    private var transit: String { resource.names.transit }
    /// Members' IPv6, as others outside know it.
    private var prefixes: [IPPrefix] { network.resources.map { $0.segment.prefix.ipPrefix } }

    private var ownIPv4: ExitIPv4Address? { if case .own(let own)? = exit.ipv4 { own } else { nil } }
    private var isShared: Bool { exit.ipv4 == .shared }

    // MARK: - In the network's namespace

    func extend(_ plan: inout NamespacePlan) {
        if case .ownNic(let made) = side, ownIPv4 != nil || exit.ipv6 != nil { addOwnNic(&plan, made) }
        if exit.usesTransit(resource) { addTransit(&plan) }
        // Between two nics outside nothing passes.
        let ways = outsideNics
        let inner = plan.firewall.forward
        plan.firewall.forward =
            inner.prefix(2) + ways.map { FilterRule(.reject, from: $0, to: $0) } + inner.dropFirst(2)
        plan.firewall.forward.append(FilterRule(.accept, state: .forwarded))
        plan.firewall.input = [FilterRule(.accept, state: .established)]
        for nic in ways {
            let allowed = (exit.allow + network.resources.flatMap(\.allow)).map { FilterRule($0, from: nic) }
            plan.firewall.forward += allowed + [FilterRule(.accept, from: nic, transport: .icmpv6Errors)]
            plan.firewall.input +=
                allowed + [
                    FilterRule(.accept, from: nic, transport: .icmpv6Errors),
                    FilterRule(.accept, from: nic, transport: .neighbourDiscovery),
                    FilterRule(.drop, from: nic),
                ]
        }
    }

    /// Nics of the network's namespace by which strangers come.
    private var outsideNics: [String] {
        var nics: [String] = []
        if case .ownNic = side, ownIPv4 != nil || exit.ipv6 != nil { nics.append(outside) }
        if exit.usesTransit(resource) { nics.append(transit) }
        return nics
    }

    private func addOwnNic(_ plan: inout NamespacePlan, _ made: Nic.Outside) {
        var nic = Nic(outside, .outside(made), birth: birth(of: made))
        if let ipv6 = exit.ipv6 {
            if let address = network.exitIPv6 { nic.addresses.append(address.ipPrefix) }
            nic.addresses.append(.linkLocal(resource.tag.publicLinkLocal))
            let gateway = network.exitIPv6Gateway ?? .everyRouter
            plan.routes.append(Route(.everyIPv6, .nic(outside, hop: .v6(gateway)), metric: ipv6.metric))
            plan.firewall.translations += translations(ipv6, to: outside)
        }
        if let own = ownIPv4 {
            nic.addresses.append(own.address.ipPrefix)
            let hop = own.gateway.map { IPPrefix.Address.v4($0) }
            plan.routes.append(Route(.everyIPv4, .nic(outside, hop: hop), metric: own.metric))
            let becomes: SourceRule.Source? =
                switch own.translation {
                case .none: nil
                case .masquerade: .masquerade
                case .source(let address): .address(address)
                }
            if let becomes {
                plan.firewall.translations.append(SourceRule(to: outside, source: .everyIPv4, becomes: becomes))
            }
            plan.firewall.forwards += exit.forwards.map {
                rule($0, to: $0.target, port: $0.targetPort, at: own.address.address)
            }
        }
        plan.nics.append(nic)
    }

    private func birth(of made: Nic.Outside) -> String? {
        if case .macvlan(_, let namespace, _) = made { namespace } else { nil }
    }

    private func rule(
        _ forward: PortForward,
        to target: IPv4Address,
        port: UInt16,
        at address: IPv4Address
    ) -> DestinationRule {
        DestinationRule(
            from: outside,
            address: forward.address ?? address,
            transport: forward.transport,
            port: forward.port,
            target: target,
            targetPort: port
        )
    }

    private func translations(_ ipv6: ExitIPv6, to nic: String?) -> [SourceRule] {
        let becomes: SourceRule.Source
        switch ipv6.translation {
        case .none: return []
        case .masquerade: becomes = .masquerade
        case .prefix(let prefix): becomes = .prefix(prefix.masked)
        }
        return prefixes.map { SourceRule(to: nic, source: $0, becomes: becomes) }
    }

    private func addTransit(_ plan: inout NamespacePlan) {
        var nic = Nic(transit, .transit(namespace: resource.birth.namespace), birth: resource.birth.namespace)
        if exit.ipv6 != nil, side == .transit {
            nic.addresses.append(.linkLocal(resource.tag.publicLinkLocal))
            plan.routes.append(Route(.everyIPv6, .nic(transit, hop: .v6(.everyRouter)), metric: exit.ipv6?.metric ?? 0))
        }
        if isShared {
            nic.addresses.append(transitAddress.host)
            plan.routes.append(Route(Self.transitGateway.host, .nic(transit, hop: nil)))
            plan.routes.append(Route(.everyIPv4, .nic(transit, hop: .v4(Self.transitGateway))))
            // The first of two translations: networks with the same addresses inside differ by this one.
            plan.firewall.translations.append(
                SourceRule(to: transit, source: .everyIPv4, becomes: .address(transitAddress))
            )
            plan.firewall.forwards += exit.forwards.map { forward in
                DestinationRule(
                    from: transit,
                    address: transitAddress,
                    transport: forward.transport,
                    port: forward.port,
                    target: forward.target,
                    targetPort: forward.targetPort
                )
            }
        }
        plan.nics.append(nic)
    }

    // MARK: - Where WireGuard is born

    /// The other end of the way there.
    func extendBirth(_ plan: inout NamespacePlan) {
        plan.relays += network.resources.compactMap { member in
            member.relayPort.map { RelayPort(port: $0, member: member.id) }
        }
        guard exit.usesTransit(resource) else { return }
        plan.forwards = true
        var nic = Nic(transit, .transit(namespace: resource.names.namespace))
        if exit.ipv6 != nil, side == .transit {
            nic.addresses.append(.linkLocal(.everyRouter))
            let hop = IPPrefix.Address.v6(resource.tag.publicLinkLocal)
            plan.routes += prefixes.map { Route($0, .nic(transit, hop: hop)) }
            if let ipv6 = exit.ipv6 {
                let outside = resource.birth.leg == nil ? nil : NodeNames.publicNic
                plan.firewall.translations += translations(ipv6, to: outside)
            }
            plan.firewall.forward += [FilterRule(.accept, from: transit), FilterRule(.accept, to: transit)].map {
                rule in
                var rule = rule
                rule.source = rule.from == nil ? nil : .everyIPv6
                rule.destination = rule.from == nil ? .everyIPv6 : nil
                return rule
            }
        }
        if isShared {
            nic.addresses.append(Self.transitGateway.host)
            plan.routes.append(Route(transitAddress.host, .nic(transit, hop: nil)))
            if let address = sharedAddress {
                plan.firewall.forwards += exit.forwards.map { forward in
                    DestinationRule(
                        address: forward.address ?? address,
                        transport: forward.transport,
                        port: forward.port,
                        target: transitAddress,
                        targetPort: forward.port
                    )
                }
            }
        }
        plan.nics.append(nic)
    }

    /// The address that it shares.
    private var sharedAddress: IPv4Address? {
        guard case .v4(let address)? = resource.birth.ipv4?.addresses.first else { return nil }
        return address
    }

    /// The second translation of all networks of a namespace, and what keeps them apart.
    static func share(_ plan: inout NamespacePlan) {
        guard plan.nics.contains(where: { nic in nic.addresses.contains(transitGateway.host) }) else { return }
        // No nic is named: what goes back into the network by a port forward of its own must come back here, too.
        plan.firewall.translations.append(SourceRule(source: transitNetwork, becomes: .masquerade))
        plan.firewall.forward =
            [
                FilterRule(.accept, state: .established),
                FilterRule(.accept, state: .forwarded),
                FilterRule(.drop, destination: transitNetwork),
                FilterRule(.accept, source: transitNetwork),
            ] + plan.firewall.forward
    }
}
