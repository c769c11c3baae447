internal import NetworkAddresses
internal import TenantModel

/// Plans one network: what its members have in their own namespaces, and how its pairs reach each other.
struct NetworkPlanner {
    let network: ResolvedNetwork
    let rules: PairRules
    let relations: [[Relation]]
    /// Prefixes that members had, and that nobody has before their quarantine ends.
    let withdrawn: [IPPrefix]

    init(_ network: ResolvedNetwork, withdrawn: [IPPrefix]) {
        self.network = network
        self.withdrawn = withdrawn
        rules = PairRules(network)
        relations = rules.table()
    }

    private var document: TenantNetwork { network.network }
    private var resources: [Resource] { network.resources }

    var plan: NetworkPlan {
        var pairs: [Pair] = []
        pairs.reserveCapacity(resources.count * max(0, resources.count - 1) / 2)
        let exit = rules.exit.map { resources[$0].id.node }
        for first in resources.indices {
            for second in resources.indices.dropFirst(first + 1) {
                pairs.append(
                    Pair(
                        first: resources[first].id.node,
                        second: resources[second].id.node,
                        relation: relations[first][second],
                        exit: exit
                    )
                )
            }
        }
        return NetworkPlan(name: document.name, version: document.version, exit: exit, pairs: pairs)
    }

    /// The namespace of the network on the node of a member.
    func namespace(of local: Int) -> NamespacePlan {
        let resource = resources[local]
        var plan = NamespacePlan(
            name: resource.kind == .device ? nil : resource.names.namespace,
            role: .network(document.name),
            forwards: resource.kind == .node
        )
        plan.nics.append(wireGuard(local))
        if let nic = vxlan(local) { plan.nics.append(nic) }
        if resource.kind == .node {
            plan.nics.append(inside(resource))
            plan.firewall = firewall(resource, plan.nics)
        }
        plan.routes = routes(local)
        if local == rules.exit, let exit = document.exit {
            ExitPlanner(network: network, exit: exit, resource: resource).extend(&plan)
            plan.routes += withdrawn.map { Route($0, .unreachable) }
        }
        return plan
    }

    // MARK: - Nics

    private func wireGuard(_ local: Int) -> Nic {
        let resource = resources[local]
        var addresses = [IPPrefix.linkLocal(resource.linkLocal)]
        if let address = resource.wireGuardIPv4 { addresses.append(address.ipPrefix) }
        if resource.kind == .device {
            // A device has nothing inside but itself.
            addresses.append(IPPrefix(host: resource.segment.routerAddress))
            if let address = resource.innerIPv4 { addresses.append(address.host) }
        }
        return Nic(
            resource.names.wireGuard,
            .wireGuard(
                WireGuardNic(
                    key: resource.key,
                    port: resource.listenPort,
                    peers: resources.indices.compactMap { remote in
                        remote != local && relations[local][remote].hasStanza ? peer(local, remote) : nil
                    }
                )
            ),
            birth: resource.birth.namespace,
            addresses: addresses,
            mtu: document.mtu
        )
    }

    private func peer(_ local: Int, _ remote: Int) -> WireGuardPeer {
        let relation = relations[local][remote]
        var peer = WireGuardPeer(
            node: resources[remote].id.node,
            key: resources[remote].key,
            endpoint: endpoint(of: remote, relation),
            allowedIPs: resources[remote].ownPrefixes
        )
        if case .relayed = relation { peer.isRelayed = true }
        if remote == rules.exit { peer.allowedIPs = allowedOfExit(local, remote) }
        return peer
    }

    private func endpoint(of remote: Int, _ relation: Relation) -> Endpoint? {
        let resource = resources[remote]
        switch relation {
        case .lan(let family): return resource.lanAddress(family)?.endpoint(port: resource.listenPort)
        case .twoWay(let family), .dials(let family):
            return resource.publicAddress(family)?.endpoint(port: resource.listenPort)
        case .relayed(let family, _):
            guard let exit = rules.exit, let port = resource.relayPort else { return nil }
            return resources[exit].publicAddress(family)?.endpoint(port: port)
        case .dialled, .vxlan, .throughExit, .apart: return nil
        }
    }

    /// The exit is the way to everything, or only to those that are reached through it. Addresses of links are left out:
    /// they are no way.
    private func allowedOfExit(_ local: Int, _ exit: Int) -> [IPPrefix] {
        guard !(document.exit?.isDefaultRoute ?? false) else {
            return document.hasIPv4 ? [.everyIPv6, .everyIPv4] : [.everyIPv6]
        }
        return resources.indices.reduce(into: resources[exit].ownPrefixes) { prefixes, remote in
            guard remote != local, case .throughExit = relations[local][remote] else { return }
            prefixes += resources[remote].ownPrefixes.dropFirst()
        }
    }

    private func vxlan(_ local: Int) -> Nic? {
        guard let segment = rules.segment(of: local),
            let address = resources[local].lanAddress(segment.family)
        else { return nil }
        let delivery: VXLANNic.Delivery
        switch document.vxlans[segment.index].delivery {
        case .peers:
            delivery = .peers(
                segment.members.compactMap { $0 == local ? nil : resources[$0].lanAddress(segment.family) }
            )
        case .group(let group):
            guard let nic = resources[local].node.lan?.interface else { return nil }
            delivery = .group(group, nic: nic.text)
        }
        return Nic(
            resources[local].names.vxlan,
            .vxlan(VXLANNic(identifier: segment.identifier, local: address, delivery: delivery)),
            addresses: [.linkLocal(resources[local].linkLocal)],
            mtu: min(document.mtu, VXLANNic.mtu(segment.family))
        )
    }

    private func inside(_ resource: Resource) -> Nic {
        var addresses: [IPPrefix] = [resource.segment.routerAddress, .everyRouter].compactMap { address in
            IPPrefix(.v6(address), length: 64)
        }
        if let ipv4 = resource.ipv4, let address = resource.innerIPv4,
            let prefix = IPPrefix(.v4(address), length: ipv4.length)
        {
            addresses.append(prefix)
        }
        return Nic(
            resource.names.veth,
            .inside(bridge: resource.names.bridge),
            addresses: addresses,
            mtu: document.mtu
        )
    }

    private func firewall(_ resource: Resource, _ nics: [Nic]) -> Firewall {
        Firewall(
            forwardPolicy: .drop,
            forward: [FilterRule(.accept, state: .established), FilterRule(.drop, state: .invalid)]
                + nics.map { FilterRule(.accept, from: $0.name) },
            clampsSegments: true
        )
    }

    // MARK: - Routes

    private func routes(_ local: Int) -> [Route] {
        let resource = resources[local]
        var routes: [Route] = []
        for remote in resources.indices where remote != local {
            guard let way = way(from: local, to: remote) else { continue }
            let other = resources[remote]
            routes.append(Route(other.segment.prefix.ipPrefix, way.target(isIPv4: false)))
            if let ipv4 = other.ipv4 { routes.append(Route(ipv4.masked.ipPrefix, way.target(isIPv4: true))) }
            // Over WireGuard the address is in the network of its nic.
            if way.isVXLAN, let address = other.wireGuardIPv4 {
                routes.append(Route(address.address.host, way.target(isIPv4: true)))
            }
        }
        if let exit = rules.exit, exit != local, document.exit?.isDefaultRoute ?? false,
            let way = way(from: local, to: exit)
        {
            routes.append(Route(.everyIPv6, way.target(isIPv4: false)))
            if document.hasIPv4 { routes.append(Route(.everyIPv4, way.target(isIPv4: true))) }
        }
        if resource.kind == .device {
            // What is sent to an address that the device has not would come back by the exit, again and again.
            routes.append(Route(resource.segment.prefix.ipPrefix, .unreachable))
            if let ipv4 = resource.ipv4 { routes.append(Route(ipv4.masked.ipPrefix, .unreachable)) }
        }
        return routes
    }

    /// The next member on the way, and the nic that leads there.
    private struct Way {
        var nic: String
        var hop: Resource
        var isVXLAN: Bool

        /// VXLAN has no IPv4 addresses: neighbours are found by IPv6 for both.
        func target(isIPv4: Bool) -> Route.Target {
            guard isIPv4, !isVXLAN, let address = hop.wireGuardIPv4 else { return .nic(nic, hop: .v6(hop.linkLocal)) }
            return .nic(nic, hop: .v4(address.address))
        }
    }

    private func way(from local: Int, to remote: Int) -> Way? {
        var next = remote
        if case .throughExit = relations[local][remote] {
            guard let exit = rules.exit else { return nil }
            next = exit
        }
        let relation = relations[local][next]
        guard relation.isDirect else { return nil }
        let names = resources[local].names
        return Way(
            nic: relation.isVXLAN ? names.vxlan : names.wireGuard,
            hop: resources[next],
            isVXLAN: relation.isVXLAN
        )
    }
}

extension Resource {
    /// Its own IPv4 address on its inner side: the first of the network.
    var innerIPv4: IPv4Address? { ipv4.map { IPv4Address(value: $0.masked.address.value | 1) } }
}

extension IPv6Address {
    /// The router, as everything that lives in a network calls it.
    static let everyRouter = IPv6Address(high: 0xfe80 << 48, low: 1)
}
