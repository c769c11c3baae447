import TenantModel
import TenantPlan
import TenantSamples
import Testing

@Suite("Who cannot be reached") struct ReachTests {
    @Test("is told of the document, and of no other") func agreement() throws {
        var chance = Chance(seed: 23)
        var (together, apart) = (0, 0)
        for number in 0..<2_000 {
            let document = TenantDocument.random(&chance)
            let assigned = document.assignments()
            let mistakes = document.mistakes(assigned: assigned)
            for network in try document.resolve(assigned) {
                let rules = PairRules(network)
                let count = network.resources.count
                let hasPairApart = (0..<count).contains { first in
                    (0..<first).contains { second in
                        if case .apart = rules.relation(first, second) { true } else { false }
                    }
                }
                let path = "networks.\(network.network.name)."
                let told = mistakes.filter { $0.path.description.hasPrefix(path) }
                let isTold = told.contains { $0.reason.contains("cannot reach") }
                if isTold { #expect(hasPairApart, "document \(number), \(path)") }
                // A segment of VXLAN that cannot be is another mistake, and leaves its members apart.
                if hasPairApart { #expect(!told.isEmpty, "document \(number), \(path)") }
                if isTold { apart += 1 } else if told.isEmpty { together += 1 }
            }
        }
        #expect(apart > 100)
        #expect(together > 100)
    }
}
