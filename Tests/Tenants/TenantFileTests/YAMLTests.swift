import ConfigurationFiles
import TenantFile
import TenantModel
import Testing

/// All mistakes of a text, without the name of the file.
func mistakes(in text: String) -> [String] {
    do {
        let file = try TenantFile(bytes: Array(text.utf8), path: "f")
        return file.error(file.document.mistakes()).mistakes.map(\.description)
    } catch {
        return error.mistakes.map(\.description)
    }
}

@Suite("YAML") struct YAMLTests {
    @Test("names a key that is there twice with both lines") func duplicates() {
        #expect(
            mistakes(in: "format: 1\nnodes: {}\nnodes: {}\n") == [
                "f:3: nodes is in line 2 already; a key can be there once"
            ]
        )
    }
}
