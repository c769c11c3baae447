public import TenantModel

/// Which leg's namespace a member's WireGuard is born in. Each has room for as many as its node allows.
public enum LegChoice {
    /// Gives a leg to each member of a node with several ones that has none yet: the first with room. Who has one keeps
    /// it, so what is applied stays.
    ///
    /// - Throws: members for which no leg has room.
    public static func complete(
        _ assigned: Assignments,
        for document: TenantDocument
    ) throws(DocumentError) -> Assignments {
        var assigned = assigned
        let nodes = Dictionary(document.nodes.map { ($0.name, $0) }) { first, _ in first }
        var used: [NodeName: [Int]] = [:]
        var waiting: [(id: MemberID, node: Node)] = []
        for network in document.networks {
            for member in network.members where member.kind == .node {
                guard let node = nodes[member.node], !node.legs.isEmpty else { continue }
                let id = MemberID(network: network.name, node: member.node)
                if let leg = assigned.legs[id], node.legs.indices.contains(leg) {
                    used[node.name, default: Array(repeating: 0, count: node.legs.count)][leg] += 1
                } else {
                    waiting.append((id, node))
                }
            }
        }
        var mistakes: [DocumentMistake] = []
        for (id, node) in waiting {
            var counts = used[node.name] ?? Array(repeating: 0, count: node.legs.count)
            guard let leg = counts.firstIndex(where: { $0 < Int(node.wireGuardLimit) }) else {
                mistakes.append(
                    DocumentMistake(
                        DocumentPath().appending("networks").appending(id.network.text).appending("members")
                            .appending(id.node.text),
                        "\(node.name) has no room: \(node.wireGuardLimit) interfaces of WireGuard are in each of its "
                            + "\(node.legs.count) public namespaces",
                        advice: "give it another leg with an address of its own, or a higher limit"
                    )
                )
                continue
            }
            counts[leg] += 1
            used[node.name] = counts
            // The first is what is meant if nothing is said.
            if leg > 0 { assigned.legs[id] = leg }
        }
        guard mistakes.isEmpty else { throw DocumentError(mistakes) }
        return assigned
    }
}
