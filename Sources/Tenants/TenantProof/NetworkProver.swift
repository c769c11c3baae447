internal import NetworkAddresses
internal import TenantModel
internal import TenantPlan
internal import WireGuardTypes

/// Proves one network.
struct NetworkProver {
    let topology: Topology
    let network: ResolvedNetwork
    let plan: NetworkPlan
    private(set) var proof: NetworkProof
    private var sessions = Sessions()

    init(topology: Topology, network: ResolvedNetwork, plan: NetworkPlan) {
        self.topology = topology
        self.network = network
        self.plan = plan
        proof = NetworkProof(name: network.network.name)
    }

    private var families: [AddressFamily] { network.network.hasIPv4 ? [.ipv6, .ipv4] : [.ipv6] }

    mutating func run() {
        let members = Dictionary(network.resources.enumerated().map { ($1.id.node, $0) }) { first, _ in first }
        proof.verdicts.reserveCapacity(plan.pairs.count * 2 * families.count + network.resources.count * 3)
        for pair in plan.pairs {
            guard let first = members[pair.first], let second = members[pair.second] else { continue }
            let one = network.resources[first]
            let other = network.resources[second]
            for family in families {
                prove(pair, pair.relation, one, other, family)
                prove(pair, pair.relation.mirrored, other, one, family)
            }
            checkDials(pair, one, other)
        }
        if let exit = network.network.exit, let resource = network.exit { proveInternet(exit, resource) }
        checkStanzas()
    }

    private mutating func find(_ kind: Finding.Kind, _ text: String) {
        proof.findings.append(Finding(kind, network.network.name, text))
    }

    private mutating func conclude(_ verdict: Verdict, _ reason: @autoclosure () -> String) {
        proof.verdicts.append(verdict)
        switch (verdict.isPromised, verdict.hasPath) {
        case (true, false): find(.missingPath, "\(verdict), although \(reason())")
        case (false, true): find(.unwantedPath, "\(verdict), although there must be none: \(reason())")
        default: break
        }
    }

    // MARK: - Pairs

    private mutating func prove(
        _ pair: Pair,
        _ relation: Relation,
        _ one: Resource,
        _ other: Resource,
        _ family: AddressFamily
    ) {
        guard let source = one.inhabitant(family), let destination = other.inhabitant(family) else { return }
        let isPromised = relation.kind != .apart
        let packet = Packet(
            source: source,
            sourcePort: 0,
            destination: destination,
            port: 0,
            transport: family == .ipv4 ? .icmp : .icmpv6
        )
        let outcome = roundTrip(packet, from: one, to: other)
        let verdict = Verdict(
            from: .member(one.id.node),
            to: .member(other.id.node),
            family: family,
            isPromised: isPromised,
            outcome: outcome
        )
        conclude(verdict, pair.reason)
        guard isPromised, case .path(let path) = outcome, !isAsPlanned(path, relation, one, other) else { return }
        find(.otherPath, "\(verdict), although \(pair.reason)")
    }

    private func isAsPlanned(_ path: Path, _ relation: Relation, _ one: Resource, _ other: Resource) -> Bool {
        let nodes = path.nodes
        switch relation {
        case .throughExit: return nodes.count == 3 && nodes[1] == plan.exit
        case .vxlan: return nodes.count == 2 && path.there.first?.link == .vxlan
        case .relayed: return nodes.count == 2 && path.there.first?.link == .relay
        case .lan, .twoWay, .dials, .dialled: return nodes.count == 2 && path.there.first?.link == .wireGuard
        case .apart: return false
        }
    }

    private func failure(_ reason: Failure.Reason, _ node: NodeName) -> Verdict.Outcome {
        .noPath(Failure(node: node, reason: reason, isAnswer: false))
    }

    /// From what lives at one member to what lives at the other, and back.
    private mutating func roundTrip(_ packet: Packet, from one: Resource, to other: Resource) -> Verdict.Outcome {
        guard let home = topology.homes[one.id] else { return failure(.nicMissing(one.names.namespace), one.id.node) }
        guard let target = topology.homes[other.id]
        else { return failure(.nicMissing(other.names.namespace), other.id.node) }
        do throws(Failure) {
            var there = try start(packet, one, home)
            let arrival = try there.run(&sessions)
            try expect(arrival, target, there)
            var back = try start(there.packet.answer, other, target, answering: there.tracks)
            try expect(try back.run(&sessions), home, back)
            guard back.packet == packet.answer else {
                throw Failure(
                    node: one.id.node,
                    reason: .wrongSource(back.packet.source, at: one.id.node, holder: nil),
                    isAnswer: true
                )
            }
            return .path(Path(there: there.hops, back: back.hops))
        } catch {
            return .noPath(error)
        }
    }

    /// A packet of what lives in the network: it comes in by the inner nic, and on a device it is made there.
    private func start(
        _ packet: Packet,
        _ resource: Resource,
        _ space: Int,
        answering tracks: [Track]? = nil
    ) throws(Failure) -> Walk {
        guard resource.kind == .node else { return Walk(packet, at: space, from: nil, in: topology, answering: tracks) }
        guard let nic = topology.spaces[space].tables.nics.firstIndex(where: { $0.kind == .inside && $0.isUp }) else {
            throw Failure(node: resource.id.node, reason: .nicMissing(resource.names.veth), isAnswer: tracks != nil)
        }
        return Walk(packet, at: space, from: nic, in: topology, answering: tracks)
    }

    private func expect(_ arrival: Walk.Arrival, _ home: Int, _ walk: Walk) throws(Failure) {
        switch arrival {
        case .home(home): return
        case .home(let other):
            let node = topology.spaces[other].node
            throw Failure(node: node, reason: .arrivesAt(node), isAnswer: walk.isAnswer)
        case .internet(let space, _):
            let isOurs = network.resources.contains { $0.segment.prefix.ipPrefix.holds(walk.packet.destination) }
            throw Failure(
                node: topology.spaces[space].node,
                reason: isOurs ? .sentBack(walk.packet.destination) : .leaves(walk.packet.destination),
                isAnswer: walk.isAnswer
            )
        }
    }

    // MARK: - Sessions

    private func device(_ resource: Resource) -> Int? {
        guard let space = topology.homes[resource.id] else { return nil }
        let nics = topology.spaces[space].tables.nics
        return nics.indices.lazy.compactMap { [topology] in topology.device(space: space, nic: $0) }.first
    }

    /// Whether those begin that the plan says: if the only one who can is not there, nobody notices before it is needed.
    private mutating func checkDials(_ pair: Pair, _ one: Resource, _ other: Resource) {
        guard pair.relation.hasStanza, let local = device(one), let remote = device(other) else { return }
        let there = sessions.dial(local, remote, in: topology)
        let back = sessions.dial(remote, local, in: topology)
        let isRight =
            switch pair.relation {
            case .twoWay, .lan: there == .direct && back == .direct
            case .dials: there == .direct
            case .dialled: back == .direct
            case .relayed: there == .relay && back == .relay
            case .vxlan, .throughExit, .apart: true
            }
        guard !isRight else { return }
        find(
            .otherPath,
            "\(pair.first) \(there), \(pair.second) \(back), although \(pair.reason)"
        )
    }

    /// The naive stanza, and peers that are nobody's or another network's.
    private mutating func checkStanzas() {
        for resource in network.resources {
            guard let local = device(resource) else { continue }
            for peer in topology.devices[local].table.peers {
                guard let remote = topology.deviceOfKey[peer.key] else {
                    find(.unknownPeer, "\(resource.id.node) has a peer with the key \(peer.key), which is nobody's")
                    continue
                }
                let other = topology.devices[remote]
                let name = topology.spaces[other.space].node
                guard other.network == network.network.name else {
                    let network = other.network.map { "\($0)" } ?? "no network"
                    find(.foreignPeer, "\(resource.id.node) has a peer of \(network), \(name)")
                    continue
                }
                guard !peer.allowedIPs.isEmpty, sessions.isOpen(local, remote, in: topology) != nil else { continue }
                let dial = sessions.dial(local, remote, in: topology)
                let back = sessions.dial(remote, local, in: topology)
                find(
                    .deadStanza,
                    "\(resource.id.node) has a stanza for \(name), and what is for it ends there: "
                        + "\(resource.id.node) \(dial), \(name) \(back)"
                )
            }
        }
    }

    // MARK: - The internet

    private mutating func proveInternet(_ exit: Exit, _ resource: Resource) {
        for member in network.resources {
            for family in families {
                guard let source = member.inhabitant(family) else { continue }
                let hasFamily = family == .ipv4 ? exit.ipv4 != nil : exit.ipv6 != nil
                let isPromised = hasFamily && (member.id == resource.id || exit.isDefaultRoute && reachesExit(member))
                let packet = Packet(
                    source: source,
                    sourcePort: Stranger.port,
                    destination: Stranger.address(isIPv4: family == .ipv4),
                    port: 443,
                    transport: .tcp
                )
                conclude(
                    Verdict(
                        from: .member(member.id.node),
                        to: .internet,
                        family: family,
                        isPromised: isPromised,
                        outcome: outAndBack(packet, member, exit, resource)
                    ),
                    isPromised
                        ? "\(exit.node) is the exit by \(family)"
                        : "\(exit.node) is no exit by \(family), or not for all that is of no member"
                )
            }
        }
        for forward in exit.forwards { prove(forward, exit, resource) }
        if exit.ipv6 != nil { proveInbound(exit, resource) }
    }

    private func reachesExit(_ member: Resource) -> Bool {
        plan.pairs.contains { pair in
            (pair.first == member.id.node && pair.second == plan.exit
                || pair.second == member.id.node && pair.first == plan.exit)
                && pair.relation.isDirect
        }
    }

    private mutating func outAndBack(
        _ packet: Packet,
        _ member: Resource,
        _ exit: Exit,
        _ resource: Resource
    ) -> Verdict.Outcome {
        guard let home = topology.homes[member.id]
        else { return failure(.nicMissing(member.names.namespace), member.id.node) }
        do throws(Failure) {
            var there = try start(packet, member, home)
            let arrival = try there.run(&sessions)
            guard case .internet(let space, let nic) = arrival else {
                let node = arrival.space.map { topology.spaces[$0].node } ?? member.id.node
                throw Failure(node: node, reason: .arrivesAt(node), isAnswer: false)
            }
            let answer = there.packet.answer
            guard let door = door(for: answer.destination, space, nic, exit, resource) else {
                let node = topology.spaces[space].node
                throw Failure(node: node, reason: .noWayBack(answer.destination), isAnswer: false)
            }
            var back = Walk(answer, at: door.space, from: door.nic, in: topology, answering: there.tracks)
            try expect(try back.run(&sessions), home, back)
            return .path(Path(there: there.hops, back: back.hops))
        } catch {
            return .noPath(error)
        }
    }

    /// Where answers from outside come in: at the address that they are for, or where the site's router has its routes.
    private func door(
        for address: IPv6Address,
        _ space: Int,
        _ nic: Int,
        _ exit: Exit,
        _ resource: Resource
    ) -> (space: Int, nic: Int)? {
        if topology.spaces[space].tables.nics[nic].addresses.contains(where: { $0.address.mapped == address }) {
            return (space, nic)
        }
        let isKnown: Bool
        if address.isMapped {
            guard case .own(let own)? = exit.ipv4 else { return nil }
            isKnown =
                switch own.translation {
                case .none: network.resources.contains { $0.ipv4?.ipPrefix.holds(address) ?? false }
                case .masquerade: false
                case .source(let source): address == IPv6Address(mapping: source)
                }
        } else {
            isKnown =
                switch exit.ipv6?.translation {
                case .prefix(let prefix)?: prefix.ipPrefix.holds(address)
                case .masquerade?: false
                case .none?: network.resources.contains { $0.segment.prefix.ipPrefix.holds(address) }
                case nil: false
                }
        }
        return isKnown ? topology.entrance(resource.id, isIPv4: address.isMapped) : nil
    }

    private mutating func prove(_ forward: PortForward, _ exit: Exit, _ resource: Resource) {
        let target = network.resources.first { $0.ipv4?.contains(forward.target) ?? false }
        let address: IPv4Address? =
            switch (forward.address, exit.ipv4) {
            case (let address?, _): address
            case (nil, .own(let own)?): own.address.address
            case (nil, .shared?):
                if case .v4(let address)? = resource.birth.ipv4?.addresses.first { address } else { nil }
            case (nil, nil): nil
            }
        guard let target, let address else { return }
        let packet = Packet(
            source: Stranger.address(isIPv4: true),
            sourcePort: Stranger.port,
            destination: IPv6Address(mapping: address),
            port: forward.port,
            transport: forward.transport == .tcp ? .tcp : .udp
        )
        let outcome = inAndBack(packet, target, resource) { packet in
            packet.destination == IPv6Address(mapping: forward.target) && packet.port == forward.targetPort
        }
        conclude(
            Verdict(from: .internet, to: .forward(forward), family: .ipv4, isPromised: true, outcome: outcome),
            "it leads to \(forward.target) port \(forward.targetPort) at \(target.id.node)"
        )
    }

    /// What the allow rules open, and a port of each member that none of them opens.
    private mutating func proveInbound(_ exit: Exit, _ resource: Resource) {
        let rules = exit.allow + network.resources.flatMap(\.allow)
        guard exit.ipv6?.translation == ExitIPv6.Translation.none else { return }
        for rule in rules {
            for member in network.resources {
                guard let destination = rule.target(in: member) else { continue }
                conclude(
                    Verdict(
                        from: .internet,
                        to: .allowed(destination),
                        family: .ipv6,
                        isPromised: true,
                        outcome: inAndBack(rule.packet(to: destination), member, resource)
                    ),
                    "a rule allows it"
                )
            }
        }
        for member in network.resources {
            guard let destination = member.inhabitant(.ipv6) else { continue }
            let packet = Packet(
                source: Stranger.address(isIPv4: false),
                sourcePort: Stranger.port,
                destination: destination,
                port: 1,
                transport: .tcp
            )
            guard !rules.contains(where: { $0.allows(packet) }) else { continue }
            conclude(
                Verdict(
                    from: .internet,
                    to: .member(member.id.node),
                    family: .ipv6,
                    isPromised: false,
                    outcome: inAndBack(packet, member, resource)
                ),
                "no rule allows it"
            )
        }
    }

    private mutating func inAndBack(
        _ packet: Packet,
        _ member: Resource,
        _ exit: Resource,
        expecting isRight: (Packet) -> Bool = { _ in true }
    ) -> Verdict.Outcome {
        guard let home = topology.homes[member.id],
            let door = topology.entrance(exit.id, isIPv4: packet.isIPv4)
        else { return failure(.noWayIn(packet.destination), exit.id.node) }
        do throws(Failure) {
            var there = Walk(packet, at: door.space, from: door.nic, in: topology)
            try expect(try there.run(&sessions), home, there)
            guard isRight(there.packet) else {
                throw Failure(node: member.id.node, reason: .arrivesAt(member.id.node), isAnswer: false)
            }
            var back = try start(there.packet.answer, member, home, answering: there.tracks)
            let arrival = try back.run(&sessions)
            guard case .internet = arrival, back.packet == packet.answer else {
                let node = arrival.space.map { topology.spaces[$0].node } ?? member.id.node
                throw Failure(node: node, reason: .arrivesAt(node), isAnswer: true)
            }
            return .path(Path(there: there.hops, back: back.hops))
        } catch {
            return .noPath(error)
        }
    }

    // MARK: - Other networks

    /// Members of two networks do not reach each other, even where both leave by one namespace.
    mutating func tryToReach(_ other: ResolvedNetwork) {
        guard let exit = network.exit, let home = topology.homes[exit.id], let target = other.exit,
            let forbidden = topology.homes[target.id]
        else { return }
        var destinations: [IPv6Address] = []
        if let address = target.inhabitant(.ipv6) { destinations.append(address) }
        if other.network.exit?.ipv4 == .shared, network.network.hasIPv4 {
            destinations.append(IPv6Address(mapping: Transit.address(port: target.listenPort)))
        }
        for destination in destinations {
            guard let source = exit.inhabitant(destination.isMapped ? .ipv4 : .ipv6) else { continue }
            // As somebody would who knows of a port forward there.
            let port = other.network.exit?.forwards.first?.port ?? 80
            let packet = Packet(
                source: source,
                sourcePort: Stranger.port,
                destination: destination,
                port: port,
                transport: .tcp
            )
            guard var walk = try? start(packet, exit, home),
                let arrival = try? walk.run(&sessions), let space = arrival.space,
                space == forbidden || topology.spaces[space].tables.network == other.network.name
            else { continue }
            find(.unwantedPath, "\(exit.id.node) reaches \(destination.words) of \(other.network.name)")
        }
    }
}

extension Walk.Arrival {
    var space: Int? { if case .home(let space) = self { space } else { nil } }
}

extension Resource {
    /// The address of something that lives in the network there: not the router's, whose firewall has other rules. On a
    /// device nothing lives but itself.
    func inhabitant(_ family: AddressFamily) -> IPv6Address? {
        switch (family, kind) {
        case (.ipv6, .node): segment.address(0x100)
        case (.ipv6, .device): segment.routerAddress
        case (.ipv4, .node): ipv4.map { IPv6Address(mapping: IPv4Address(value: $0.masked.address.value | 2)) }
        case (.ipv4, .device): ipv4.map { IPv6Address(mapping: IPv4Address(value: $0.masked.address.value | 1)) }
        }
    }
}

extension AllowRule {
    /// An address at the member that the rule opens; `nil` if it opens none.
    func target(in member: Resource) -> IPv6Address? {
        let prefix = member.segment.prefix
        guard let usual = member.inhabitant(.ipv6) else { return nil }
        if destination.contains(usual) { return usual }
        guard member.kind == .node, prefix.contains(destination) else { return nil }
        return destination.masked.address
    }

    /// One that the rule lets in.
    func packet(to address: IPv6Address) -> Packet {
        Packet(
            source: source.map {
                $0.contains(Stranger.address(isIPv4: false)) ? Stranger.address(isIPv4: false) : $0.address
            }
                ?? Stranger.address(isIPv4: false),
            sourcePort: Stranger.port,
            destination: address,
            port: transport == .icmpv6 ? 0 : ports.first?.lowerBound ?? 443,
            transport: transport.map { transport in
                switch transport {
                case .tcp: .tcp
                case .udp: .udp
                case .icmpv6: .icmpv6
                }
            } ?? .tcp
        )
    }

    func allows(_ packet: Packet) -> Bool {
        destination.contains(packet.destination) && source?.contains(packet.source) ?? true
            && (transport.map { $0.rawValue == packet.transport.rawValue } ?? true)
            && (ports.isEmpty || ports.contains { $0.contains(packet.port) })
    }
}
