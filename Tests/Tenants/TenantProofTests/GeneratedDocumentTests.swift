import NetworkAddresses
import Surroundings
import TenantModel
import TenantPlan
import TenantProof
import TenantSamples
import Testing

@Suite("The proof, against packets that are carried one by one") struct GeneratedDocumentTests {
    static let count = Extent.isLong ? 10_000 : 300

    @Test("plan, proof and a naive checker agree about every pair of generated documents")
    func agreement() {
        var tally = Tally()
        for seed in 0..<Self.count {
            var chance = Chance(seed: UInt64(seed))
            var document = TenantDocument.random(&chance)
            document.addOpenings(&chance)
            let networks = document.resolved()
            compare(Plan(networks), networks, seed, &tally, isWhole: true)
        }
        for line in tally.lines { print("pairs of \(Self.count) documents, \(line)") }
        for kind in Relation.Kind.allCases {
            for family in AddressFamily.allCases { #expect(tally[kind, family] >= 50, "\(kind) \(family)") }
        }
    }

    @Test("proof and naive checker agree about plans that were damaged")
    func damaged() {
        var tally = Tally()
        for seed in 0..<Self.count / 2 {
            var chance = Chance(seed: UInt64(seed) &+ 1_000_000)
            var document = TenantDocument.random(&chance)
            document.addOpenings(&chance)
            let networks = document.resolved()
            var plan = Plan(networks)
            guard let fault = Fault.allCases.randomElement(using: &chance), fault.damage(&plan, &chance) else {
                continue
            }
            compare(plan, networks, seed, &tally, isWhole: false)
        }
    }

    private func compare(
        _ plan: Plan,
        _ networks: [ResolvedNetwork],
        _ seed: Int,
        _ tally: inout Tally,
        isWhole: Bool
    ) {
        let naive = NaiveChecker(plan, networks)
        var index = 0
        Proof(networks, plan).forEach { proof in
            let network = networks[index]
            let relations = Dictionary(
                uniqueKeysWithValues: plan.networks[index].pairs.flatMap { pair in
                    [
                        ([pair.first, pair.second], pair.relation),
                        ([pair.second, pair.first], pair.relation.mirrored),
                    ]
                }
            )
            index += 1
            for verdict in proof.verdicts {
                judge(verdict, relations, network, naive, seed, &tally, isWhole: isWhole)
            }
            if isWhole, plan.mistakes.isEmpty {
                #expect(proof.findings.isEmpty, "seed \(seed): \(proof.findings)")
            }
        }
    }

    private func judge(
        _ verdict: Verdict,
        _ relations: [[NodeName]: Relation],
        _ network: ResolvedNetwork,
        _ naive: NaiveChecker,
        _ seed: Int,
        _ tally: inout Tally,
        isWhole: Bool
    ) {
        let isIPv4 = verdict.family == .ipv4
        func resource(_ name: NodeName) -> Resource? { network.resources.first { $0.id.node == name } }
        switch (verdict.from, verdict.to) {
        case (.member(let from), .member(let to)):
            guard let one = resource(from), let other = resource(to), let relation = relations[[from, to]] else {
                return
            }
            let way = naive.way(one, other, isIPv4: isIPv4)
            if case .path(let path) = verdict.outcome {
                #expect(way == path.nodes, "seed \(seed): \(verdict)")
            } else {
                #expect(way == nil, "seed \(seed): \(verdict)")
            }
            guard isWhole else { return }
            #expect((way != nil) == (relation.kind != .apart), "seed \(seed): \(verdict), planned \(relation)")
            tally.count(relation, verdict.family)
        case (.member(let from), _):
            guard let one = resource(from) else { return }
            let reaches = naive.reachesInternet(one, of: network, isIPv4: isIPv4)
            #expect(reaches == verdict.hasPath, "seed \(seed): \(verdict)")
            if isWhole { tally.count(reaches ? "to the internet" : "not to the internet", verdict.family) }
        case (_, .forward(let forward)):
            #expect(naive.forwardWorks(forward, of: network) == verdict.hasPath, "seed \(seed): \(verdict)")
            if isWhole { tally.count("forward", verdict.family) }
        case (_, .member(let to)):
            guard let target = resource(to) else { return }
            #expect(naive.getsIn(to: target, port: 1, of: network) == verdict.hasPath, "seed \(seed): \(verdict)")
            if isWhole { tally.count("unasked from the internet", verdict.family) }
        case (_, .allowed(let address)):
            guard let target = network.resources.first(where: { $0.segment.prefix.contains(address) }) else { return }
            #expect(naive.getsIn(to: target, port: 443, of: network) == verdict.hasPath, "seed \(seed): \(verdict)")
            if isWhole { tally.count("allowed from the internet", verdict.family) }
        case (_, .internet): break
        }
    }
}
