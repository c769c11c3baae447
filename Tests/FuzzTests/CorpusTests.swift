import Checkout
import Foundation
import FuzzTargets
import Testing

@Suite("Inputs that were found by fuzzing") struct CorpusTests {
    private static let folder = Checkout.file("Fuzz")

    @Test("are read without a trap, every one", arguments: FuzzTarget.allCases)
    func corpus(target: FuzzTarget) throws {
        let text = try Data(contentsOf: Self.folder.appending(path: "Corpus/\(target.rawValue).txt"))
        let inputs = try CorpusText.inputs(in: Array(text))
        #expect(inputs.count >= 10)
        for input in inputs { target.run(input) }
        target.run([])
    }

    @Test("are read without a trap that once ended in one")
    func crashers() throws {
        let folders = try FileManager.default.contentsOfDirectory(
            at: Self.folder.appending(path: "Crashers"),
            includingPropertiesForKeys: nil
        )
        #expect(!folders.isEmpty)
        for folder in folders {
            let target = try #require(FuzzTarget(rawValue: folder.lastPathComponent))
            let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
            for file in files { target.run(Array(try Data(contentsOf: file))) }
        }
    }
}

@Suite("The text of a corpus") struct CorpusTextTests {
    @Test("gives back every input, whatever bytes are in it")
    func roundTrip() throws {
        let all = (UInt8.min...UInt8.max).map { [$0] }
        let inputs =
            all + [Array(UInt8.min...UInt8.max), Array("# no comment".utf8), Array(" a b ".utf8), Array("\\x41".utf8)]
        let text = CorpusText.text(of: inputs)
        #expect(Set(try CorpusText.inputs(in: text)) == Set(inputs))
        #expect(text.allSatisfy { $0 == UInt8(ascii: "\n") || (0x20...0x7e).contains($0) })
    }

    @Test("is the same for inputs in another order, or twice, and leaves the empty one out")
    func order() {
        let inputs: [[UInt8]] = [[2], [1, 2], [1], []]
        #expect(CorpusText.text(of: inputs) == CorpusText.text(of: inputs.reversed() + inputs))
        #expect(CorpusText.text(of: inputs) == Array("\\x01\n\\x01\\x02\n\\x02\n".utf8))
    }

    @Test("has comments and empty lines")
    func comments() throws {
        #expect(try CorpusText.inputs(in: Array("# what they are\n\na\n".utf8)) == [[UInt8(ascii: "a")]])
    }

    @Test(
        "is refused with the line that is no input",
        arguments: ["\\", "\\q", "\\x4", "\\xg0", "\u{7f}", "ä", "a\tb"]
    )
    func malformed(line: String) {
        #expect(throws: CorpusText.MalformedLine(number: 2)) { try CorpusText.inputs(in: Array("a\n\(line)\n".utf8)) }
    }
}
