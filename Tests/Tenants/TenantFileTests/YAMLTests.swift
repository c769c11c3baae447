import ConfigurationFiles
import TenantFile
import TenantModel
import Testing

/// All mistakes of a text, without the name of the file: `LINE: REASON`.
func mistakes(in text: String) -> [String] { mistakes(in: Array(text.utf8)) }

func mistakes(in bytes: [UInt8]) -> [String] {
    let error: ConfigurationError
    do {
        let file = try TenantFile(bytes: bytes, path: "f")
        error = file.error(file.document.mistakes())
    } catch let thrown {
        error = thrown
    }
    return error.mistakes.map { "\($0.location.line.map { "\($0): " } ?? "")\($0.reason)" }
}

@Suite("YAML that is refused") struct YAMLTests {
    static let aliases =
        "anchors and aliases (&name, *name) are not read, for the file would say less than it seems to; "
        + "write the value out at each place"

    @Test(
        "names line and reason",
        arguments: [
            ("", "nothing in it; `kex-net init` writes a document to begin with"),
            ("# only a comment\n", "nothing in it; `kex-net init` writes a document to begin with"),
            ("format: 1\nnodes: &a {}\n", "2: \(aliases)"),
            ("format: 1\nnodes: *a\n", "2: \(aliases)"),
            ("format: 1\nnodes:\n  <<: {}\n", "3: merge keys (<<) are not read; write the keys out"),
            ("format: 1\n? [a]\n: b\n", "2: a key that is no text"),
            ("format: 1\nnodes: !!map {}\n", "2: tags (tag:yaml.org,2002:map) are not read; write the value alone"),
            ("format: !!int 1\n", "1: tags (tag:yaml.org,2002:int) are not read; write the value alone"),
            ("format: 1\n---\nformat: 1\n", "2: a second document in one file; write one file for each"),
            ("format: 1\nnodes:\n\tfarm: {}\n", "3: a tab; indent with blanks"),
            ("format: 1\nnodes: |\n  farm\n", "2: a text over several lines (| or >); nothing here is so long"),
            (
                "format: 1\nnodes: {farm: {}\n",
                "2: not YAML: while parsing a flow mapping (line 2): did not find expected ',' or '}'"
            ),
            ("[]", "1: the document is no table; the document has format, allocations, nodes and networks"),
            ("format", "1: the document is no table; the document has format, allocations, nodes and networks"),
            ("~", "1: the document is empty; the document has format, allocations, nodes and networks"),
        ]
    )
    func refusal(text: String, mistake: String) {
        #expect(mistakes(in: text) == [mistake])
    }

    @Test("names a key that is there twice with both lines, and all of them")
    func duplicates() {
        let text = """
            format: 1
            nodes:
              farm: {ipv6: hidden}
              "farm": {ipv4: hidden, ipv4: hidden}
              farm: {ipv4: hidden}
            'nodes': {}
            """
        let expected = [
            "4: ipv4 is in line 4 already; a key can be there once",
            "4: farm is in line 3 already; a key can be there once",
            "5: farm is in line 4 already; a key can be there once",
            "6: nodes is in line 2 already; a key can be there once",
        ]
        #expect(mistakes(in: text).sorted() == expected.sorted())
    }

    @Test("stops at many keys that are there twice") func manyDuplicates() {
        let few = (0..<16).map { "k\($0): {}\nk\($0): {}\n" }.joined()
        #expect(mistakes(in: few).filter { $0.contains("already") }.count == 16)
        #expect(mistakes(in: few + "x: 1\nx: 1\n").count == 1)
        // Three runs of the parser over six megabytes are too many.
        let large = "# " + String(repeating: "x", count: 6_000_000) + "\n"
        #expect(mistakes(in: large + "a: 1\na: 1\nb: 1\nb: 1\n").filter { $0.contains("already") }.count == 2)
        #expect(
            mistakes(in: large + "a: 1\na: 1\nb: 1\nb: 1\nc: 1\nc: 1\n") == ["6: c comes again below, and maybe others"]
        )
    }

    @Test("parses at most eight words that look like aliases") func aliasLimit() {
        let few = "format: 1\nnodes: {}\n# &not *counted\n" + String(repeating: "networks: {} # *a\n", count: 8)
        #expect(!mistakes(in: few).contains { $0.contains("anchors") })
        #expect(mistakes(in: few + "# end\nx: 1 # *a\n") == ["4: \(Self.aliases)"])
        #expect(!mistakes(in: "format: 1\r\n# \(String(repeating: "*a ", count: 9))\r\n").contains(Self.aliases))
    }

    @Test(
        "ends in time with aliases that stand for very much, also where only YAML sees the ends of lines",
        .timeLimit(.minutes(60)),
        arguments: ["\n", "\r", "\u{85}", "\u{2028}"]
    )
    func bomb(end: String) {
        var text = "# \(end)a: &a [\(String(repeating: "x,", count: 9))]\(end)"
        var last = "a"
        for name in ["b", "c", "d", "e", "f", "g", "h", "i", "j"] {
            text += "\(name): &\(name) [\(String(repeating: "*\(last),", count: 9))]\(end)"
            last = name
        }
        let line = end == "\n" ? 2 : 1
        #expect(mistakes(in: text + "? *\(last)\(end): 1\n") == ["\(line): \(Self.aliases)"])
    }

    @Test("reads at most sixteen values in each other", .timeLimit(.minutes(60))) func depth() {
        func nested(_ depth: Int) -> String {
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }
        let noTable = "1: the document is no table; the document has format, allocations, nodes and networks"
        #expect(mistakes(in: nested(16)) == [noTable])
        #expect(mistakes(in: nested(17)) == ["1: more than 16 values in each other", noTable])
        // The parser's own limit is a thousand.
        for depth in [999, 1001, 100_000] { #expect(mistakes(in: nested(depth)).count <= 2) }
        let blocks = (0..<2000).map { String(repeating: " ", count: $0) + "a:\n" }.joined()
        #expect(mistakes(in: blocks).count == 1)
        #expect(mistakes(in: String(repeating: "- ", count: 2000)).count == 1)
        #expect(mistakes(in: String(repeating: "? ", count: 2000)).count >= 1)
    }

    @Test("reads at most eight mebibytes") func size() {
        let head = Array("format: 1\n#".utf8)
        let most = head + [UInt8](repeating: UInt8(ascii: "x"), count: TenantFile.maximumSize - head.count)
        #expect(mistakes(in: most).isEmpty)
        #expect(mistakes(in: most + [UInt8(ascii: "x")]) == ["file of more than 8388608 bytes"])
        #expect(mistakes(in: [UInt8](repeating: UInt8(ascii: "a"), count: 10_000_000)).count == 1)
    }

    @Test("takes UTF-8 only, and shows nothing that a terminal obeys") func encoding() {
        #expect(mistakes(in: [0x66, 0xff]) == ["not UTF-8; save the file as UTF-8"])
        #expect(
            mistakes(in: "format: 1\n\"a\\e[2Jb\\n\\0\": 1\n") == [
                "2: unknown key a?[2Jb??; the document has format, allocations, nodes and networks"
            ]
        )
        let long = String(repeating: "x", count: 10_000)
        #expect(mistakes(in: "format: 1\n\(long): 1\n").allSatisfy { $0.utf8.count < 200 })
        #expect(mistakes(in: "format: \"\u{7}\"\n").count == 1)
    }
}
