import TenantModel
import Testing

@Suite("Places in a document") struct PathTests {
    private let forward = DocumentPath().appending("networks").appending("acme").appending("forwards").appending(0)

    @Test("are written as keys with dots, and numbers of lists in brackets") func description() {
        #expect(forward.description == "networks.acme.forwards[0]")
        #expect(DocumentPath().description == "")
    }

    @Test("hold what is in them") func contains() throws {
        let forwards = try #require(forward.parent)
        #expect(forwards.contains(forward) && !forward.contains(forwards) && forward.contains(forward))
        #expect(!forwards.appending(1).contains(forward))
        #expect(DocumentPath().contains(forward))
        #expect(DocumentPath().parent == nil)
    }
}

@Suite("Names in a document") struct NameTests {
    @Test(
        "have 1 to 63 lower-case letters, digits and hyphens",
        arguments: [
            ("a", true), ("no", true), ("0100", true), ("2026-01-01", true), ("-", true), ("", false), ("A", false),
            ("a.b", false), ("a_b", false), ("a b", false), ("ä", false), ("a\u{0}", false),
            (String(repeating: "a", count: 63), true), (String(repeating: "a", count: 64), false),
            ("123e4567-e89b-12d3-a456-426614174000", true),
        ]
    )
    func rule(text: String, isName: Bool) {
        #expect((NetworkName(text) != nil) == isName)
        #expect((NodeName(text) != nil) == isName)
        #expect((PlaceName(text) != nil) == isName)
    }
}
