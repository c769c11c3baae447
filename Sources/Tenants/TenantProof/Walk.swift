internal import NetworkAddresses
internal import TenantModel
internal import TenantPlan
internal import WireGuardTypes

/// One packet on its way through the tables of all nodes, step for step.
struct Walk {
    /// As many as Linux gives a packet. A way has a handful.
    static let hopLimit = 64

    enum Arrival: Hashable {
        /// What lives in the network there, or the namespace itself.
        case home(Int)
        case internet(space: Int, nic: Int)
    }

    let topology: Topology
    var isAnswer: Bool
    /// What has been remembered on the way there, for the answer.
    var tracks: [Track] = []
    private(set) var hops: [Hop] = []
    private(set) var packet: Packet
    private var space: Int
    /// The nic by which the packet came; `nil` where it was made.
    private var from: Int?

    init(_ packet: Packet, at space: Int, from nic: Int?, in topology: Topology, answering tracks: [Track]? = nil) {
        self.topology = topology
        self.packet = packet
        self.space = space
        from = nic
        self.tracks = tracks ?? []
        isAnswer = tracks != nil
    }

    /// Goes on until the packet arrives or is lost.
    mutating func run(_ sessions: inout Sessions) throws(Failure) -> Arrival {
        for _ in 0..<Self.hopLimit {
            if let arrival = try step(&sessions) { return arrival }
        }
        throw failure(.loop)
    }

    private func failure(_ reason: Failure.Reason, at other: Int? = nil) -> Failure {
        Failure(node: topology.spaces[other ?? space].node, reason: reason, isAnswer: isAnswer)
    }

    /// Through one namespace, and by the nic that leads on.
    private mutating func step(_ sessions: inout Sessions) throws(Failure) -> Arrival? {
        let here = topology.spaces[space]
        let before = packet
        var passage = Space.Passage(
            from: from.map { here.tables.nics[$0].name },
            to: nil,
            isEstablished: false,
            isForwarded: false
        )
        if let known = tracks.lazy.compactMap({ [space, packet] in $0.space == space ? $0.undo(packet) : nil }).first {
            packet = known
            passage.isEstablished = true
            passage.isForwarded = true
        } else if from != nil {
            passage.isForwarded = here.redirect(&packet, from: passage.from)
        }
        if here.local.contains(packet.destination) {
            guard here.accepts(packet, passage, .input) else { throw failure(.inputFiltered(packet.destination)) }
            remember(before)
            hop(.inside)
            return .home(space)
        }
        guard let way = here.routes.lookup(packet.destination) else { throw failure(noWay(here)) }
        guard let nic = way.nic else { throw failure(.unreachable(packet.destination)) }
        let table = here.tables.nics[nic]
        if from != nil {
            guard here.forwards(packet) else { throw failure(.doesNotForward) }
            passage.to = table.name
            guard here.accepts(packet, passage, .forward) else { throw failure(.filtered(packet.destination)) }
        }
        guard table.isUp else { throw failure(.nicDown(table.name)) }
        if let hop = way.hop, !here.isOnLink(hop, nic: nic) {
            throw failure(.hopNotOnLink(hop, nic: table.name))
        }
        if !passage.isEstablished { here.translate(&packet, to: nic) }
        remember(before)
        return try leave(by: nic, table, way.hop, &sessions)
    }

    private func noWay(_ here: Space) -> Failure.Reason {
        here.missing.first.map { .nicMissing($0) } ?? .noRoute(packet.destination)
    }

    private mutating func remember(_ before: Packet) {
        guard !isAnswer else { return }
        tracks.append(Track(space: space, before: before, after: packet))
    }

    private mutating func hop(_ link: Hop.Link) {
        hops.append(Hop(node: topology.spaces[space].node, namespace: topology.spaces[space].tables.name, link: link))
    }

    private mutating func leave(
        by nic: Int,
        _ table: NicTable,
        _ hop: IPv6Address?,
        _ sessions: inout Sessions
    ) throws(Failure) -> Arrival? {
        switch table.kind {
        case .inside:
            self.hop(.inside)
            return .home(space)
        case .outside:
            self.hop(.outside)
            return .internet(space: space, nic: nic)
        case .transit(let namespace, let name):
            guard let next = topology.space(topology.spaces[space].node, namespace),
                let entrance = topology.spaces[next].nic(name)
            else { throw failure(.nicMissing(name)) }
            self.hop(.transit)
            space = next
            from = entrance
        case .vxlan(let vxlan):
            let neighbour = hop ?? packet.destination
            guard let mate = topology.mate(neighbour, of: space, vxlan)
            else { throw failure(.noMate(neighbour, nic: table.name)) }
            self.hop(.vxlan)
            space = mate.space
            from = mate.nic
        case .wireGuard: try encrypt(nic, table, &sessions)
        case .other: throw failure(.noRoute(packet.destination))
        }
        return nil
    }

    /// By cryptokey routing: the longest allowed IP chooses the peer, and the other end takes only sources that it would
    /// send to this one. The next hop plays no part.
    private mutating func encrypt(_ nic: Int, _ table: NicTable, _ sessions: inout Sessions) throws(Failure) {
        guard let local = topology.device(space: space, nic: nic) else { throw failure(.nicMissing(table.name)) }
        let device = topology.devices[local]
        guard let index = device.cryptokeys.lookup(packet.destination)
        else { throw failure(.noPeer(packet.destination, nic: table.name)) }
        let key = device.table.peers[index].key
        guard let remote = topology.deviceOfKey[key] else { throw failure(.unknownKey(key)) }
        let other = topology.devices[remote]
        let node = topology.spaces[other.space].node
        guard let back = other.peers[device.table.key] else { throw failure(.notItsPeer(node)) }
        if let reason = sessions.isOpen(local, remote, in: topology) {
            // Who has just been heard is answered, whoever began.
            guard isAnswer, sessions.isOpen(remote, local, in: topology) == nil else { throw failure(reason) }
        }
        let holder = other.cryptokeys.lookup(packet.source)
        guard holder == back else {
            let name = holder.flatMap { topology.deviceOfKey[other.table.peers[$0].key] }
                .map { topology.spaces[topology.devices[$0].space].node }
            throw failure(.wrongSource(packet.source, at: node, holder: name))
        }
        guard topology.spaces[other.space].tables.nics[other.nic].isUp
        else { throw failure(.nicDown(topology.spaces[other.space].tables.nics[other.nic].name), at: other.space) }
        hop(sessions.dial(local, remote, in: topology) == .relay ? .relay : .wireGuard)
        space = other.space
        from = other.nic
    }
}
