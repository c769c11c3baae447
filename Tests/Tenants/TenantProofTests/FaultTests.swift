import Surroundings
import TenantModel
import TenantPlan
import TenantProof
import TenantSamples
import Testing

@Suite("Mistakes that a planner could make") struct FaultTests {
    static let count = Extent.isLong ? 400 : 25

    @Test(
        "the proof finds each of them, wherever it is put into a plan that it had no complaint about",
        arguments: Fault.allCases
    )
    func isFound(fault: Fault) {
        var hits = 0
        var missed: [UInt64] = []
        var seed: UInt64 = 0
        while hits < Self.count, seed < UInt64(Self.count) * 200 {
            seed += 1
            var chance = Chance(seed: seed)
            var document = TenantDocument.random(&chance)
            document.addOpenings(&chance)
            let networks = document.resolved()
            var plan = Plan(networks)
            guard plan.mistakes.isEmpty, fault.damage(&plan, &chance) else { continue }
            hits += 1
            if Proof(networks, plan).findings().isEmpty { missed.append(seed) }
        }
        #expect(missed.isEmpty, "\(fault) is not found in documents \(missed)")
        #expect(hits == Self.count, "\(fault) could be put into \(hits) plans only")
        print("\(fault): found in \(hits) plans")
    }
}
