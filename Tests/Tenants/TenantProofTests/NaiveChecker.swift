import NetworkAddresses
import TenantModel
import TenantPlan

/// Asks the naive net the same questions that the proof answers.
struct NaiveChecker {
    let net: NaiveNet
    let networks: [ResolvedNetwork]

    init(_ plan: Plan, _ networks: [ResolvedNetwork]) {
        net = NaiveNet(plan, networks)
        self.networks = networks
    }

    private func room(_ resource: Resource) -> NaiveNet.Room? {
        net.rooms.first { room in
            room.plan.role == .network(resource.id.network) && room.node.name == resource.id.node
        }
    }

    private func someone(_ resource: Resource, isIPv4: Bool) -> Bits? {
        let isDevice = resource.kind == .device
        if isIPv4 {
            return resource.ipv4.map { Bits(isIPv4: true, value: Bits($0.address).value | (isDevice ? 1 : 2) << 96) }
        }
        return Bits(isIPv4: false, value: UInt128(resource.segment.upper) << 64 | (isDevice ? 1 : 0x100))
    }

    private func send(_ parcel: NaiveNet.Parcel, _ resource: Resource) -> (NaiveNet.Fate, NaiveNet.Parcel, [NodeName]) {
        guard let room = room(resource) else { return (.lost("room"), parcel, []) }
        let inner = room.nics.first { if case .inside = $0.kind { true } else { false } }
        if inner == nil, resource.kind == .node { return (.lost("inside"), parcel, []) }
        let result = net.send(parcel, from: room, by: inner?.name)
        return (result.fate, result.parcel, result.nodes)
    }

    /// Nodes on the way there, if both ways lead to the other.
    func way(_ one: Resource, _ other: Resource, isIPv4: Bool) -> [NodeName]? {
        net.forget()
        guard let source = someone(one, isIPv4: isIPv4), let target = someone(other, isIPv4: isIPv4) else { return nil }
        let parcel = NaiveNet.Parcel(
            source: source,
            destination: target,
            sourcePort: 0,
            port: 0,
            kind: isIPv4 ? "icmp" : "icmpv6"
        )
        let (fate, arrived, nodes) = send(parcel, one)
        guard fate == .home(other.id) else { return nil }
        let (end, answer, _) = send(arrived.back, other)
        return end == .home(one.id) && answer == parcel.back ? nodes : nil
    }

    /// Whether a connection to somebody outside gets its answer.
    func reachesInternet(_ one: Resource, of network: ResolvedNetwork, isIPv4: Bool) -> Bool {
        net.forget()
        guard let source = someone(one, isIPv4: isIPv4), let exit = network.exit else { return false }
        let parcel = NaiveNet.Parcel(
            source: source,
            destination: NaiveNet.somebody(isIPv4),
            sourcePort: 5000,
            port: 443,
            kind: "tcp"
        )
        let (fate, left, _) = send(parcel, one)
        guard case .outside(let name, let nic) = fate, name == exit.id.node else { return false }
        guard let entry = entry(network, exit, left.source, left: nic) else { return false }
        let end = net.send(left.back, from: entry.0, by: entry.1)
        return end.fate == .home(one.id) && end.parcel == parcel.back
    }

    /// Where the site brings what is for an address: to whoever has it, and a member's prefix to the exit.
    private func entry(
        _ network: ResolvedNetwork,
        _ exit: Resource,
        _ address: Bits,
        left nic: String? = nil
    ) -> (NaiveNet.Room, String)? {
        guard let home = room(exit) else { return nil }
        let birth = net.rooms.first {
            $0.node.name == exit.id.node && $0.plan.role != home.plan.role && $0.name == exit.birth.namespace
        }
        let own = home.nics.first { if case .outside = $0.kind { true } else { false } }
        let isInside = network.resources.contains { address.isIn($0.segment.prefix.ipPrefix) }
        if let own {
            var isTheirs = own.addresses.contains { Bits($0.address) == address } || isInside
            if case .own(let settings)? = network.network.exit?.ipv4, case .source(let known) = settings.translation {
                isTheirs = isTheirs || Bits(known) == address
            }
            if isTheirs { return (home, own.name) }
        }
        guard let birth else { return nil }
        let leg = birth.nics.first { if case .outside = $0.kind { true } else { false } }
        if isInside, own == nil { return (birth, leg?.name ?? "world") }
        if let leg { return leg.addresses.contains { Bits($0.address) == address } ? (birth, leg.name) : nil }
        let known = (address.isIPv4 ? birth.node.ipv4 : birth.node.ipv6)?.addresses ?? []
        let isStandIn = known.isEmpty && address.value == 0x0707_0707 << 96
        return known.contains { Bits($0) == address } || isStandIn ? (birth, "world") : nil
    }

    func forwardWorks(_ forward: PortForward, of network: ResolvedNetwork) -> Bool {
        net.forget()
        guard let exit = network.exit else { return false }
        let target = network.resources.first { $0.ipv4.map { Bits(forward.target).isIn($0.ipPrefix) } ?? false }
        var address: Bits?
        switch network.network.exit?.ipv4 {
        case .own(let own)?: address = Bits(own.address.address)
        case .shared?: address = exit.birth.ipv4?.addresses.first.map { Bits($0) }
        case nil: break
        }
        guard let target, let address, let entry = entry(network, exit, address) else { return false }
        return arrives(address, Int(forward.port), "\(forward.transport)", entry, target) { parcel in
            parcel.destination == Bits(forward.target) && parcel.port == Int(forward.targetPort)
        }
    }

    func getsIn(to target: Resource, port: Int, of network: ResolvedNetwork) -> Bool {
        net.forget()
        guard let exit = network.exit, let address = someone(target, isIPv4: false),
            let entry = entry(network, exit, address)
        else { return false }
        return arrives(address, port, "tcp", entry, target) { _ in true }
    }

    private func arrives(
        _ address: Bits,
        _ port: Int,
        _ kind: String,
        _ entry: (NaiveNet.Room, String),
        _ target: Resource,
        _ isMeant: (NaiveNet.Parcel) -> Bool
    ) -> Bool {
        let parcel = NaiveNet.Parcel(
            source: NaiveNet.somebody(address.isIPv4),
            destination: address,
            sourcePort: 5000,
            port: port,
            kind: kind
        )
        let there = net.send(parcel, from: entry.0, by: entry.1)
        guard there.fate == .home(target.id), isMeant(there.parcel) else { return false }
        let (end, answer, _) = send(there.parcel.back, target)
        guard case .outside = end else { return false }
        return answer == parcel.back
    }
}
