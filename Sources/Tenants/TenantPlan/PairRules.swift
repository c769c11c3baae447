internal import NetworkAddresses
public import TenantModel

/// The relation of every pair of a network's members: the first rule that fits decides.
public struct PairRules: Sendable {
    public let network: ResolvedNetwork
    /// Of the exit in the network's members; `nil` without one.
    let exit: Int?
    /// Of each member: the segment of VXLAN that it is in.
    private let segments: [LocalSegment?]

    /// Members of one LAN that speak VXLAN there, all in one family.
    struct LocalSegment: Hashable {
        var index: Int
        var identifier: UInt32
        var family: AddressFamily
        var members: [Int]
    }

    public init(_ network: ResolvedNetwork) {
        self.network = network
        exit = network.network.exit.flatMap { exit in network.resources.firstIndex { $0.id.node == exit.node } }
        segments = Self.segments(of: network)
    }

    /// The relation of two members, as the first one sees it. It is computed once for both, from the one that comes
    /// first, so that both ends always agree.
    public func relation(_ local: Int, _ remote: Int) -> Relation {
        local < remote ? decide(local, remote) : decide(remote, local).mirrored
    }

    func segment(of member: Int) -> LocalSegment? { segments[member] }

    /// All relations: row for row, as the member of the row sees them. A member has ``Relation/apart(_:)`` to itself.
    func table() -> [[Relation]] {
        let count = network.resources.count
        let itself = Relation.apart(.noExit(.bothHidden))
        var table = [[Relation]](repeating: [Relation](repeating: itself, count: count), count: count)
        for first in 0..<count {
            for second in (first + 1)..<max(count, first + 1) {
                let relation = decide(first, second)
                table[first][second] = relation
                table[second][first] = relation.mirrored
            }
        }
        return table
    }

    private func decide(_ first: Int, _ second: Int) -> Relation {
        let one = network.resources[first]
        let other = network.resources[second]
        if let segment = segments[first], segment == segments[second] {
            return .vxlan(identifier: segment.identifier)
        }
        if let relation = Self.direct(one, other) { return relation }
        let obstacle: Relation.Obstacle =
            AddressFamily.allCases.contains { one.birth.speaks($0) && other.birth.speaks($0) }
            ? .bothHidden : .noCommonFamily
        guard let exit else { return .apart(.noExit(obstacle)) }
        guard first != exit, second != exit, reachesExit(first), reachesExit(second)
        else { return .apart(.exitUnreachable(obstacle)) }
        if network.network.hiddenPairs == .relay, let family = relayFamily(one, other) {
            return .relayed(family, obstacle)
        }
        return .throughExit(obstacle)
    }

    /// Whether a member has a direct way to the exit.
    private func reachesExit(_ member: Int) -> Bool {
        guard let exit else { return false }
        if let segment = segments[member], segment == segments[exit] { return true }
        return Self.direct(network.resources[member], network.resources[exit]) != nil
    }

    /// The relation of two that need nobody else, over WireGuard.
    private static func direct(_ one: Resource, _ other: Resource) -> Relation? {
        switch DirectWay(from: one.node, one.birth, to: other.node, other.birth) {
        case .lan(let family)?: .lan(family)
        case .twoWay(let family)?: .twoWay(family)
        case .dials(let family)?: .dials(family)
        case .dialled(let family)?: .dialled(family)
        case nil: nil
        }
    }

    /// The family in which both reach the exit's ports. The kernel passes datagrams on only within one.
    private func relayFamily(_ one: Resource, _ other: Resource) -> AddressFamily? {
        guard let exit else { return nil }
        return AddressFamily.allCases.first { family in
            network.resources[exit].birth.isReached(family) && one.birth.speaks(family) && other.birth.speaks(family)
        }
    }

    /// One nic of VXLAN speaks one family, so all of a segment have an address of it.
    private static func segments(of network: ResolvedNetwork) -> [LocalSegment?] {
        var segments = [LocalSegment?](repeating: nil, count: network.resources.count)
        for (index, vxlan) in network.network.vxlans.enumerated() {
            let named = vxlan.members.map(Set.init)
            let members = network.resources.indices.filter { member in
                let resource = network.resources[member]
                return segments[member] == nil && resource.node.lan?.lan == vxlan.lan
                    && resource.node.lan?.isDirect ?? false && named?.contains(resource.id.node) ?? true
            }
            let family = AddressFamily.allCases.first { family in
                members.allSatisfy { member in
                    guard network.resources[member].lanAddress(family) != nil else { return false }
                    guard case .group(let group) = vxlan.delivery else { return true }
                    return group.family == family && network.resources[member].node.lan?.interface != nil
                }
            }
            guard members.count > 1, let family else { continue }
            let segment = LocalSegment(
                index: index,
                identifier: vxlan.identifier(in: network.network.name),
                family: family,
                members: members
            )
            for member in members { segments[member] = segment }
        }
        return segments
    }
}

extension Resource {
    /// Where everybody reaches its socket in this family.
    func publicAddress(_ family: AddressFamily) -> IPPrefix.Address? {
        guard let reachability = birth.reachability(family), reachability.isPublic else { return nil }
        return reachability.addresses.first
    }

    /// Where mates in its LAN reach its machine in this family.
    func lanAddress(_ family: AddressFamily) -> IPPrefix.Address? {
        node.ownReachability(family)?.addresses.first
    }
}

extension IPPrefix.Address {
    func endpoint(port: UInt16) -> Endpoint {
        switch self {
        case .v4(let address): .v4(address, port: port)
        case .v6(let address): .v6(address, port: port)
        }
    }
}
