import NetworkAddresses
import TenantModel
import TenantPlan
import TenantSamples

/// A mistake that a planner could make, put into a plan.
enum Fault: String, CaseIterable {
    case missingReturnRoute
    case missingAllowedIP
    case allowedIPsSwapped
    case naiveStanza
    case missingEndpoint
    case wrongPort
    case wrongKey
    case oneSidedStanza
    case noKeepalive
    case noDefaultAtPeer
    case noDefaultRoute
    case noForwarding
    case droppedTunnel
    case noTranslation
    case forwardElsewhere
    case openToAll
    case tombstoneOnMember
    case missingAddress
    case missingVXLANPeer
    case relayOfAnother

    /// Puts it where it matters for the first time that `matters` says so. Whether there was such a place.
    func damage(_ plan: inout Plan, _ chance: inout Chance) -> Bool {
        let places = plan.nodes.indices.flatMap { node in
            plan.nodes[node].namespaces.indices.map { (node, $0) }
        }.shuffled(using: &chance)
        for (node, namespace) in places {
            var room = plan.nodes[node].namespaces[namespace]
            let whole = room
            change(&room, plan, plan.nodes[node].name, &chance)
            guard room != whole else { continue }
            plan.nodes[node].namespaces[namespace] = room
            return true
        }
        return false
    }

    private func change(_ room: inout NamespacePlan, _ plan: Plan, _ node: NodeName, _ chance: inout Chance) {
        guard case .network(let network) = room.role else {
            if self == .noTranslation { room.firewall.translations = [] }
            return
        }
        // A member that is alone and leads nowhere has nothing that could be missed.
        guard room.nics.contains(where: { $0.hasPeers || $0.hasMates || $0.leadsOut }) else { return }
        switch self {
        case .missingReturnRoute:
            // Elsewhere the default route leads into the same tunnel, and WireGuard looks at no next hop.
            guard plan.networks.first(where: { $0.name == network })?.exit == node else { return }
            let ways = room.routes.indices.filter { [24, 64].contains(room.routes[$0].destination.length) }
            if let index = ways.randomElement(using: &chance) { room.routes.remove(at: index) }
        case .noDefaultRoute:
            // Of an exit that leads nowhere nobody misses it.
            let exit = plan.networks.first { $0.name == network }?.exit.flatMap { plan[$0] }
            guard
                exit?.namespaces.contains(where: { $0.role == room.role && $0.nics.contains(where: \.leadsOut) })
                    ?? false
            else { return }
            room.routes.removeAll { $0.destination.length == 0 }
        case .noForwarding: room.forwards = false
        case .droppedTunnel:
            guard room.nics.contains(where: \.hasPeers) else { return }
            room.firewall.forward.removeAll { $0.from?.hasPrefix("wg-") ?? false }
        case .noTranslation: room.firewall.translations = []
        case .forwardElsewhere:
            for index in room.firewall.forwards.indices { room.firewall.forwards[index].targetPort += 1 }
        case .openToAll:
            // Nobody outside has a route to IPv4 addresses inside.
            guard room.nics.contains(where: { $0.leadsOut && $0.addresses.contains { $0.length == 64 } }) else {
                return
            }
            room.firewall.forwardPolicy = .accept
        case .tombstoneOnMember:
            let ways = room.routes.filter { [24, 64].contains($0.destination.length) && $0.nic != nil }
            guard let way = ways.randomElement(using: &chance) else { return }
            room.routes.removeAll { $0.destination == way.destination }
            room.routes.append(Route(way.destination, .unreachable))
        case .missingAddress:
            for index in room.nics.indices where room.nics[index].name.hasPrefix("veth-") {
                room.nics[index].addresses.removeAll { $0.length == 24 }
            }
        case .missingVXLANPeer:
            for index in room.nics.indices {
                guard case .vxlan(var vxlan) = room.nics[index].kind, case .peers(let peers) = vxlan.delivery else {
                    continue
                }
                vxlan.delivery = .peers(Array(peers.dropFirst()))
                room.nics[index].kind = .vxlan(vxlan)
            }
        default:
            for index in room.nics.indices {
                guard case .wireGuard(var wireGuard) = room.nics[index].kind else { continue }
                changePeers(&wireGuard, plan, network, node, &chance)
                room.nics[index].kind = .wireGuard(wireGuard)
            }
        }
    }

    private func changePeers(
        _ wireGuard: inout WireGuardNic,
        _ plan: Plan,
        _ network: NetworkName,
        _ node: NodeName,
        _ chance: inout Chance
    ) {
        let peers = wireGuard.peers.indices
        let dialled = peers.filter { wireGuard.peers[$0].endpoint != nil }
        switch self {
        case .missingAllowedIP:
            let wide = peers.filter { wireGuard.peers[$0].allowedIPs.contains { $0.length == 64 } }
            guard let index = wide.randomElement(using: &chance) else { return }
            wireGuard.peers[index].allowedIPs.removeAll { $0.length == 64 }
        case .allowedIPsSwapped:
            guard peers.count > 1, let last = peers.last else { return }
            let first = wireGuard.peers[0].allowedIPs
            wireGuard.peers[0].allowedIPs = wireGuard.peers[last].allowedIPs
            wireGuard.peers[last].allowedIPs = first
        case .naiveStanza:
            // As if every member had a stanza for every other one.
            let known = Set(wireGuard.peers.map(\.node))
            guard let pairs = plan.networks.first(where: { $0.name == network })?.pairs else { return }
            for pair in pairs where pair.relation.kind == .throughExit && (pair.first == node || pair.second == node) {
                let other = pair.first == node ? pair.second : pair.first
                guard !known.contains(other), let nic = Self.wireGuard(of: other, network, plan) else { continue }
                wireGuard.peers.append(
                    WireGuardPeer(
                        node: other,
                        key: nic.setup.key,
                        endpoint: nil,
                        allowedIPs: nic.inside
                    )
                )
                return
            }
        case .missingEndpoint:
            guard let index = dialled.randomElement(using: &chance) else { return }
            wireGuard.peers[index].endpoint = nil
        case .wrongPort:
            guard let index = dialled.randomElement(using: &chance), let endpoint = wireGuard.peers[index].endpoint
            else { return }
            wireGuard.peers[index].endpoint =
                switch endpoint {
                case .v4(let address, let port): .v4(address, port: port ^ 0x4000)
                case .v6(let address, let port, let scope): .v6(address, port: port ^ 0x4000, scope: scope)
                }
        case .wrongKey:
            guard let index = peers.randomElement(using: &chance) else { return }
            wireGuard.peers[index].key = key(999_999)
        case .oneSidedStanza:
            guard let index = peers.randomElement(using: &chance) else { return }
            wireGuard.peers.remove(at: index)
        case .noKeepalive:
            // Where the other could begin itself, nothing depends on it.
            guard let pairs = plan.networks.first(where: { $0.name == network })?.pairs else { return }
            let needed = pairs.compactMap { pair -> NodeName? in
                switch pair.relation.kind {
                case .relayed where pair.first == node: pair.second
                case .relayed where pair.second == node: pair.first
                case .dials where pair.first == node: pair.second
                case .dialled where pair.second == node: pair.first
                default: nil
                }
            }
            for index in dialled where needed.contains(wireGuard.peers[index].node) {
                wireGuard.peers[index].keepalive = 0
            }
        case .noDefaultAtPeer:
            for index in peers { wireGuard.peers[index].allowedIPs.removeAll { $0.length == 0 } }
        case .relayOfAnother:
            let relayed = peers.filter { wireGuard.peers[$0].isRelayed }
            guard relayed.count > 1 else { return }
            let endpoint = wireGuard.peers[relayed[0]].endpoint
            wireGuard.peers[relayed[0]].endpoint = wireGuard.peers[relayed[1]].endpoint
            wireGuard.peers[relayed[1]].endpoint = endpoint
        default: break
        }
    }

    private static func wireGuard(
        of node: NodeName,
        _ network: NetworkName,
        _ plan: Plan
    ) -> (setup: WireGuardNic, inside: [IPPrefix])? {
        guard let room = plan[node]?.namespaces.first(where: { $0.role == .network(network) }) else { return nil }
        let inside = room.nics.flatMap(\.addresses).filter { $0.length != 16 }.map(\.masked)
            .filter { $0.description != "fe80::/64" }
        for nic in room.nics {
            if case .wireGuard(let setup) = nic.kind { return (setup, inside) }
        }
        return nil
    }
}

extension Nic {
    /// To the internet, by itself or through another namespace.
    fileprivate var leadsOut: Bool {
        switch kind {
        case .outside, .transit: true
        default: false
        }
    }

    fileprivate var hasMates: Bool { if case .vxlan = kind { true } else { false } }

    fileprivate var hasPeers: Bool {
        if case .wireGuard(let setup) = kind { !setup.peers.isEmpty } else { false }
    }
}
