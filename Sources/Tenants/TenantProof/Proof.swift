internal import NetworkAddresses
public import TenantModel
public import TenantPlan

/// Walks packets through the tables of all nodes, and compares where they end with what the document promises.
///
/// The tables are those of a plan, or were read from kernels: the walk is the same.
public struct Proof: Sendable {
    let topology: Topology
    let networks: [ResolvedNetwork]
    let plans: [NetworkPlan]

    /// Of nodes that have what the plan says.
    public init(_ networks: [ResolvedNetwork], _ plan: Plan) {
        let nodes = Self.nodes(of: networks)
        let tables = plan.nodes.compactMap { node in nodes[node.name].map { NodeTables(node, node: $0) } }
        self.init(networks, plan.networks, tables)
    }

    /// - Parameters:
    ///   - plans: of the same networks, in the same order.
    ///   - tables: of every node that is in a network.
    public init(_ networks: [ResolvedNetwork], _ plans: [NetworkPlan], _ tables: [NodeTables]) {
        self.networks = networks
        self.plans = plans
        topology = Topology(tables, nodes: Self.nodes(of: networks))
    }

    private static func nodes(of networks: [ResolvedNetwork]) -> [NodeName: Node] {
        networks.reduce(into: [:]) { nodes, network in
            for resource in network.resources { nodes[resource.id.node] = resource.node }
        }
    }

    /// One network after the other, for all verdicts at once take room.
    public func forEach(_ body: (NetworkProof) -> Void) {
        var last: [Int: ResolvedNetwork] = [:]
        for (network, plan) in zip(networks, plans) {
            var prover = NetworkProver(topology: topology, network: network, plan: plan)
            prover.run()
            if let exit = network.exit, let birth = topology.space(exit.id.node, exit.birth.namespace) {
                // Networks of one exit are apart. Each is tried with the one before.
                if let other = last.updateValue(network, forKey: birth) { prover.tryToReach(other) }
            }
            body(prover.proof)
        }
    }

    /// Everything that is not as it should be.
    public func findings() -> [Finding] {
        var findings: [Finding] = []
        forEach { findings += $0.findings }
        return findings
    }
}
