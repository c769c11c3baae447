public import TenantModel

// A whole document asks the ledger.

extension Ledger {
    /// Gives every member of the document what it lacks: a prefix, a port, and at the exit a port to relay by where the
    /// network relays.
    ///
    /// - Parameter only: the one that is given something, instead of every member.
    /// - Returns: what is new, in the order of the lines.
    /// - Throws: every refusal. Then nothing is to be written.
    public mutating func allocate(
        _ document: TenantDocument,
        only: MemberID? = nil,
        at now: LedgerTime
    ) throws(LedgerRefusal) -> [Holding] {
        let before = lineCount
        let names = Set(document.networks.map(\.name))
        let conflicts = conflicts.filter { [$0.first, $0.later].contains { names.contains($0.member.network) } }
        guard conflicts.isEmpty else { throw .isContested(conflicts) }
        let nodes = Dictionary(document.nodes.map { ($0.name, $0) }) { first, _ in first }
        var refusals: [LedgerRefusal] = []
        for network in document.networks {
            let allocations = document.allocations(of: network)
            let statics = Set(network.members.filter(\.isStatic).compactMap { $0.prefix.flatMap(Segment.init)?.low16 })
            for member in network.members
            where only == nil || only == MemberID(network: network.name, node: member.node) {
                let node = nodes[member.node] ?? Node(device: member.node)
                do throws(LedgerRefusal) {
                    try allocate(member, at: node, in: network, allocations, avoiding: statics, now)
                } catch {
                    refusals.append(error)
                }
            }
        }
        guard refusals.isEmpty else { throw refusals.count == 1 ? refusals[0] : .several(refusals) }
        return all.filter { $0.line > before }.map(\.holding)
    }

    private mutating func allocate(
        _ member: Member,
        at node: Node,
        in network: TenantNetwork,
        _ allocations: [Allocation],
        avoiding statics: Set<UInt16>,
        _ now: LedgerTime
    ) throws(LedgerRefusal) {
        let id = MemberID(network: network.name, node: member.node)
        let tag: Tag
        if member.isStatic {
            // The rules of the document have told already if it names none.
            guard let segment = member.prefix.flatMap(Segment.init) else { return }
            tag = Tag(static: segment)
        } else {
            let segment: Segment
            if let fixed = member.prefix.flatMap(Segment.init) {
                guard let allocation = allocations.first(where: { $0.index(of: fixed) != nil }) else { return }
                try fix(fixed, for: id, of: allocation, at: now)
                segment = fixed
            } else {
                segment = try prefix(for: id, from: allocations, avoiding: statics, at: now)
            }
            guard let own = allocations.lazy.compactMap({ $0.tag(of: segment) }).first else { return }
            tag = own
        }
        _ = try port(for: id, at: node, wanted: tag.wantedPort, fixed: member.listenPort, at: now)
        if let exit = network.relayExit, exit != member.node {
            _ = try relay(to: id, at: exit, wanted: tag.wantedPort, at: now)
        }
    }

    /// What the ledger has given to the members of the document.
    public func assignments(for document: TenantDocument) -> Assignments {
        var assigned = Assignments()
        for network in document.networks {
            let allocations = document.allocations(of: network)
            for member in network.members {
                let id = MemberID(network: network.name, node: member.node)
                if let segment = prefix(of: id),
                    let allocation = allocations.first(where: { $0.index(of: segment) != nil })
                {
                    assigned.prefixes[id] = Assignments.Prefix(segment, allocation: allocation.number)
                }
                if let (port, leg) = port(of: id) {
                    assigned.ports[id] = port
                    if leg > 0 { assigned.legs[id] = Int(leg) }
                }
                if let exit = network.relayExit { assigned.relayPorts[id] = relay(to: id, at: exit) }
            }
        }
        return assigned
    }

    /// What is held in the networks of the document, and by nobody and for nothing that the document still has. It stays
    /// held: that something is missing does not say that it is meant to be.
    public func leftovers(of document: TenantDocument) -> [(holding: Holding, line: Int)] {
        let networks = Dictionary(document.networks.map { ($0.name, $0) }) { first, _ in first }
        return all.filter { holding, _ in
            guard let network = networks[holding.member.network] else { return false }
            guard let member = network.members.first(where: { $0.node == holding.member.node }) else { return true }
            switch holding {
            case .prefix: return member.isStatic
            case .port: return false
            case .relay(_, let exit, _): return exit != network.relayExit
            }
        }
    }
}

extension TenantDocument {
    /// The allocations of a network, in the order in which they are tried.
    fileprivate func allocations(of network: TenantNetwork) -> [Allocation] {
        network.allocations.compactMap { number in allocations.first { $0.number == number } }
    }
}

extension TenantNetwork {
    /// The exit, if members are to be reached through ports of it.
    fileprivate var relayExit: NodeName? { hiddenPairs == .relay ? exit?.node : nil }
}
