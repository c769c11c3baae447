internal import NetworkAddresses
public import TenantModel

extension Assignments {
    /// The same, with something for each member that has nothing yet: so a document can be looked at before the ledger
    /// gives anything. What is here is nobody's afterwards, and relations do not depend on it.
    ///
    /// - Throws: members for whom nothing is left.
    public func completed(for document: TenantDocument) throws(DocumentError) -> Assignments {
        var assigned = try LegChoice.complete(self, for: document)
        var givers = Dictionary(document.allocations.map { ($0.number, Giver($0)) }) { first, _ in first }
        var taken = Set(assigned.prefixes.values.map(\.segment))
        for network in document.networks {
            taken.formUnion(network.members.compactMap { $0.prefix.flatMap(Segment.init) })
        }
        var relays = RelayPorts(document, assigned)
        var mistakes: [DocumentMistake] = []
        for network in document.networks {
            for member in network.members {
                let id = MemberID(network: network.name, node: member.node)
                if network.hiddenPairs == .relay, assigned.relayPorts[id] == nil, let exit = network.exit {
                    assigned.relayPorts[id] = relays.take(at: exit.node)
                }
                guard member.prefix == nil, assigned.prefixes[id] == nil else { continue }
                var prefix: Prefix?
                for number in network.allocations where prefix == nil {
                    prefix = givers[number]?.give(except: &taken).map { Prefix($0, allocation: number) }
                }
                assigned.prefixes[id] = prefix
                if prefix == nil {
                    mistakes.append(
                        DocumentMistake(
                            DocumentPath().appending("networks").appending(network.name.text).appending("members")
                                .appending(member.node.text),
                            "no prefix is left for \(member.node) in the allocations of \(network.name)"
                        )
                    )
                }
            }
        }
        guard mistakes.isEmpty else { throw DocumentError(mistakes) }
        return assigned
    }

    /// How many members of a document have no prefix yet.
    public func waiting(in document: TenantDocument) -> Int {
        document.networks.reduce(0) { count, network in
            count
                + network.members.count { member in
                    member.prefix == nil && prefixes[MemberID(network: network.name, node: member.node)] == nil
                }
        }
    }
}

/// The prefixes of an allocation, one after the other.
private struct Giver {
    let allocation: Allocation
    private var index: UInt64 = 0

    init(_ allocation: Allocation) { self.allocation = allocation }

    mutating func give(except taken: inout Set<Segment>) -> Segment? {
        while let segment = allocation.segment(at: index) {
            let here = index
            index += 1
            guard !allocation.isReserved(here), let tag = allocation.tag(of: segment), tag.allowsIPv4, !tag.isTaken,
                taken.insert(segment).inserted
            else { continue }
            return segment
        }
        return nil
    }
}

/// Ports of exits, from the highest one down: those of WireGuard are rarely there.
private struct RelayPorts {
    private var taken: [NodeName: Set<UInt16>] = [:]
    private var next: [NodeName: UInt16] = [:]

    init(_ document: TenantDocument, _ assigned: Assignments) {
        for (id, port) in assigned.ports { taken[id.node, default: []].insert(port) }
        for network in document.networks {
            for member in network.members {
                if let port = member.listenPort { taken[member.node, default: []].insert(port) }
                let id = MemberID(network: network.name, node: member.node)
                guard let exit = network.exit, let port = assigned.relayPorts[id] else { continue }
                taken[exit.node, default: []].insert(port)
            }
        }
    }

    mutating func take(at exit: NodeName) -> UInt16? {
        var port = next[exit] ?? PortBook.range.upperBound
        while port >= PortBook.range.lowerBound {
            next[exit] = port - 1
            if taken[exit, default: []].insert(port).inserted { return port }
            port -= 1
        }
        return nil
    }
}
