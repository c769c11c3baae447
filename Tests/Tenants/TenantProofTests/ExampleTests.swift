import Checkout
import Foundation
import TenantFile
import TenantModel
import TenantPlan
import TenantProof
import Testing

@Suite("The examples") struct ExampleTests {
    @Test("are planned and proved", arguments: ["two-nodes", "farm", "every-key"])
    func proved(name: String) throws {
        let file = try TenantFile(path: Checkout.file("examples/tenants/\(name).yaml").path)
        let networks = try file.document.resolve(try Assignments().completed(for: file.document))
        let plan = Plan(networks)
        #expect(plan.mistakes.isEmpty)
        #expect(Proof(networks, plan).findings().isEmpty)
    }
}
