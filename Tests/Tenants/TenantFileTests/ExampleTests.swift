import Checkout
import Foundation
import TenantFile
import TenantModel
import TenantSamples
import Testing
import Yams

@Suite("Examples of documents, and the schema for editors") struct ExampleTests {
    static let folder = Checkout.file("examples/tenants")
    static let names = ["two-nodes.yaml", "farm.yaml", "every-key.yaml"]

    static func text(_ name: String) throws -> String {
        try String(contentsOf: folder.appending(path: name), encoding: .utf8)
    }

    @Test("are all tested here") func all() throws {
        let found = try FileManager.default.contentsOfDirectory(atPath: Self.folder.path)
        #expect(found.filter { $0.hasSuffix(".yaml") }.sorted() == Self.names.sorted())
    }

    @Test("have no mistake", arguments: names) func decode(name: String) throws {
        #expect(mistakes(in: try Self.text(name)).isEmpty)
    }

    @Test("are written so that they are read to the same", arguments: names) func roundTrip(name: String) throws {
        let document = try TenantFile(bytes: Array(try Self.text(name).utf8), path: name).document
        let text = TenantFile.text(of: document)
        #expect(try TenantFile(bytes: Array(text.utf8), path: "again").document == document)
        #expect(try SchemaCheck().mistakes(in: #require(try Yams.load(yaml: text))) == [])
    }

    @Test("are read to the same also if chance wrote them") func randomRoundTrip() throws {
        var chance = Chance(seed: 23)
        for number in 0..<500 {
            var document = TenantDocument.random(&chance)
            document.addOpenings(&chance)
            let text = TenantFile.text(of: document)
            #expect(try TenantFile(bytes: Array(text.utf8), path: "\(number)").document == document)
        }
    }

    @Test("are right by the schema", arguments: names) func validate(name: String) throws {
        let value = try #require(try Yams.load(yaml: Self.text(name)))
        #expect(try SchemaCheck().mistakes(in: value) == [])
    }

    @Test("in docs/TENANTS.md are parts of one document without mistakes") func page() throws {
        let page = try String(contentsOf: Checkout.file("docs/TENANTS.md"), encoding: .utf8)
        let parts = page.matches(of: #/```yaml\n((?s).*?)```/#).map { String($0.1) }
        #expect(parts.count == 2)
        var text = "format: 1\nallocations: [{number: 0, prefix: '2001:db8:1100::/48'}]\n" + parts.joined()
        for number in 1... {
            guard let place = text.firstRange(of: "KEY") else { break }
            text.replaceSubrange(place, with: "\(key(number))")
        }
        #expect(mistakes(in: text) == [])
    }

    @Test("show every key") func everyKey() throws {
        let text = try Self.text("every-key.yaml")
        for table in DocumentTable.allCases {
            for key in table.keys where !text.contains("\(key):") {
                Issue.record("no \(key) of \(table.name) in every-key.yaml")
            }
        }
    }

    @Test("The schema has the keys that the decoder knows, and no others", arguments: DocumentTable.allCases)
    func keys(table: DocumentTable) throws {
        let schema = try SchemaCheck()
        let part = try #require(table == .document ? schema.root : schema.definitions[table.rawValue])
        let properties = try #require(part["properties"] as? [String: Any])
        #expect(properties.keys.sorted() == table.keys.sorted())
        #expect(part["additionalProperties"] as? Bool == (false as Bool?))
    }

    @Test("Every table of the schema is one of the decoder's") func tables() throws {
        let tables = try SchemaCheck().definitions.filter { $0.value["properties"] != nil }.keys
        #expect(Set(tables).union(["document"]) == Set(DocumentTable.allCases.map(\.rawValue)))
    }

    @Test(
        "The schema refuses what the decoder refuses",
        arguments: [
            "format: 2", "format: '1'", "nodes: {}", "format: 1\nnodes: {Farm: {}}",
            "format: 1\nnodes: {farm: {ipv6: public}}",
            "format: 1\nnodes: {farm: {ipv6: {public: '2a02::1', hidden: '2a02::2'}}}",
            "format: 1\nnodes: {farm: {legs: [{nic: a, vlan: {parent: b, id: 1}}]}}",
            "format: 1\nnodes: {farm: {legs: [{vlan: {parent: b, id: 4095}}]}}",
            "format: 1\nnodes: {farm: {legs: [{nic: abcdefghijklmnop}]}}", "format: 1\nnodes: {farm: {may_be_exit: 1}}",
            "format: 1\nnetworks: {a: {members: {b: c}}}", "format: 1\nallocations: [{number: 0, prefix: '2a02::'}]",
            "format: 1\nallocations: [{number: 100, prefix: '2a02::/48'}]", "format: 1\nnetwork: {}",
        ]
    )
    func refusal(text: String) throws {
        let value = try #require(try Yams.load(yaml: text))
        #expect(try !SchemaCheck().mistakes(in: value).isEmpty)
        #expect(!mistakes(in: text).isEmpty)
    }
}
