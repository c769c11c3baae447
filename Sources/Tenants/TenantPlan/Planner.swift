public import NetworkAddresses
public import TenantModel

extension Plan {
    /// Plans all networks of a document.
    ///
    /// - Parameter withdrawn: prefixes that members of a network had, and that nobody has before their quarantine ends.
    ///   Without a word about them an exit would send what is for them to the site's router, which sends it back.
    public init(_ networks: [ResolvedNetwork], withdrawn: [NetworkName: [IPPrefix]] = [:]) {
        var checks = PlanChecks()
        var nodes: [NodeName: NodePlanner] = [:]
        var plans: [NetworkPlan] = []
        plans.reserveCapacity(networks.count)
        for network in networks {
            let planner = NetworkPlanner(network, withdrawn: withdrawn[network.network.name] ?? [])
            plans.append(planner.plan)
            checks.check(network, planner)
            for (index, resource) in network.resources.enumerated() {
                let namespace = planner.namespace(of: index)
                checks.check(namespace, of: resource)
                nodes[resource.id.node, default: NodePlanner(resource.node, kind: resource.kind)]
                    .add(resource, namespace)
            }
            if let exit = network.network.exit, let resource = network.exit {
                let planner = ExitPlanner(network: network, exit: exit, resource: resource)
                nodes[resource.id.node]?.extendBirth(of: resource) { planner.extendBirth(&$0) }
            }
        }
        self.init(
            networks: plans,
            nodes: nodes.keys.sorted().compactMap { nodes[$0]?.plan() },
            mistakes: checks.mistakes
        )
    }
}
