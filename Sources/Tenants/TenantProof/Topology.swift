internal import NetworkAddresses
internal import TenantModel
internal import TenantPlan
internal import WireGuardTypes

/// The tables of all nodes, joined: which nic leads to which other one.
struct Topology: Sendable {
    /// A nic of WireGuard. A class, as ``Space`` is.
    final class Device: Sendable {
        let space: Int
        let nic: Int
        let table: WireGuardTable
        let network: NetworkName?
        /// Peers by what they are sent.
        let cryptokeys: PrefixTable<Int>
        let peers: [PublicKey: Int]
        /// Where its socket is.
        let birth: Birth
        let birthSpace: Int?

        init(space: Int, nic: Int, _ table: WireGuardTable, network: NetworkName?, birth: Birth, birthSpace: Int?) {
            self.space = space
            self.nic = nic
            self.table = table
            self.network = network
            self.birth = birth
            self.birthSpace = birthSpace
            var cryptokeys = PrefixTable<Int>()
            var peers: [PublicKey: Int] = [:]
            for (index, peer) in table.peers.enumerated() {
                peers[peer.key] = index
                // Source: wg(8): a prefix is of the peer that it was given to last.
                for prefix in peer.allowedIPs { cryptokeys.insert(prefix, index) }
            }
            self.cryptokeys = cryptokeys
            self.peers = peers
        }
    }

    /// A nic of VXLAN.
    struct Mate: Sendable {
        var space: Int
        var nic: Int
        var table: VXLANNic
    }

    private struct Place: Hashable {
        var node: NodeName
        var namespace: String?
    }

    private struct LocalNet: Hashable {
        var lan: PlaceName
        var identifier: UInt32
    }

    struct Socket: Hashable {
        var address: IPv6Address
        var port: UInt16
    }

    let nodes: [NodeName: Node]
    private(set) var spaces: [Space] = []
    private(set) var devices: [Device] = []
    /// Of members: the namespace of the network on the node.
    private(set) var homes: [MemberID: Int] = [:]
    private(set) var deviceOfKey: [PublicKey: Int] = [:]
    private var deviceOfNic: [Int: [Int: Int]] = [:]
    private var mates: [LocalNet: [Mate]] = [:]
    private var places: [Place: Int] = [:]
    /// Ports of exits that lead to members.
    private(set) var relays: [Socket: (space: Int, member: MemberID)] = [:]

    init(_ tables: [NodeTables], nodes: [NodeName: Node]) {
        self.nodes = nodes
        for node in tables {
            for namespace in node.namespaces {
                let index = spaces.count
                spaces.append(Space(node: node.node, namespace))
                if let network = namespace.network {
                    homes[MemberID(network: network, node: node.node)] = index
                    if namespace.name != nil { places[Place(node: node.node, namespace: namespace.name)] = index }
                } else {
                    places[Place(node: node.node, namespace: namespace.name)] = index
                }
            }
        }
        for index in spaces.indices { join(index) }
    }

    private mutating func join(_ index: Int) {
        let space = spaces[index]
        guard let node = nodes[space.node] else { return }
        for (nic, table) in space.tables.nics.enumerated() {
            switch table.kind {
            case .wireGuard(let wireGuard): add(wireGuard, space: index, nic: nic, node)
            case .vxlan(let vxlan):
                guard let lan = node.lan?.lan else { continue }
                mates[LocalNet(lan: lan, identifier: vxlan.identifier), default: []]
                    .append(Mate(space: index, nic: nic, table: vxlan))
            case .inside, .transit, .outside, .other: break
            }
        }
        guard !space.tables.relays.isEmpty, let birth = birth(of: space.tables.name, node) else { return }
        for family in AddressFamily.allCases where birth.isPublic(family) {
            for address in birth.reachability(family)?.addresses ?? [] {
                for relay in space.tables.relays {
                    relays[Socket(address: address.mapped, port: relay.port)] = (index, relay.member)
                }
            }
        }
    }

    private mutating func add(_ table: WireGuardTable, space: Int, nic: Int, _ node: Node) {
        let device = devices.count
        deviceOfKey[table.key] = device
        deviceOfNic[space, default: [:]][nic] = device
        devices.append(
            Device(
                space: space,
                nic: nic,
                table,
                network: spaces[space].tables.network,
                birth: birth(of: table.birth, node) ?? Birth(leg: nil, ipv4: nil, ipv6: nil),
                birthSpace: places[Place(node: node.name, namespace: table.birth)]
            )
        )
    }

    private func birth(of namespace: String?, _ node: Node) -> Birth? {
        node.births.first { $0.namespace == namespace }
    }

    // MARK: - Looking up

    func device(space: Int, nic: Int) -> Int? { deviceOfNic[space]?[nic] }

    func space(_ node: NodeName, _ namespace: String?) -> Int? { places[Place(node: node, namespace: namespace)] }

    /// Who answers for an address on a nic of VXLAN, and is heard.
    func mate(_ address: IPv6Address, of space: Int, _ table: VXLANNic) -> Mate? {
        guard let lan = nodes[spaces[space].node]?.lan?.lan else { return nil }
        return mates[LocalNet(lan: lan, identifier: table.identifier)]?.first { mate in
            let nic = spaces[mate.space].tables.nics[mate.nic]
            return mate.space != space && nic.isUp && nic.addresses.contains { $0.address.mapped == address }
                && table.reaches(mate.table) && mate.table.reaches(table)
        }
    }

    /// The nic by which what is for members of a network comes in from outside: the exit's own, or that of the namespace
    /// which it goes through.
    func entrance(_ exit: MemberID, isIPv4: Bool) -> (space: Int, nic: Int)? {
        guard let home = homes[exit] else { return nil }
        let nics = spaces[home].tables.nics
        let own = nics.firstIndex { nic in
            nic.kind == .outside && nic.addresses.contains { $0.address.mapped.isMapped == isIPv4 }
        }
        if let own { return (home, own) }
        for nic in nics {
            guard case .transit(let namespace, _) = nic.kind, let birth = space(exit.node, namespace) else { continue }
            if let outside = spaces[birth].tables.nics.firstIndex(where: { $0.kind == .outside }) {
                return (birth, outside)
            }
        }
        return nil
    }
}

extension VXLANNic {
    /// Whether what this one sends to all is heard by the other.
    func reaches(_ other: VXLANNic) -> Bool {
        switch (delivery, other.delivery) {
        case (.peers(let addresses), _): addresses.contains(other.local)
        case (.group(let group, _), .group(let joined, _)): group == joined
        case (.group, .peers): false
        }
    }
}
