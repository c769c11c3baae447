import Checkout
import Foundation
import Testing

/// What the pages say of files and functions is so.
@Suite("Documents") struct DocumentsTests {
    private static let pages: [String] = {
        let folders = ["", "docs", "docs/decisions"]
        return folders.flatMap { folder in
            let names = (try? FileManager.default.contentsOfDirectory(atPath: Checkout.file(folder).path)) ?? []
            return names.filter { $0.hasSuffix(".md") }.sorted().map { folder.isEmpty ? $0 : "\(folder)/\($0)" }
        }
    }()

    private func text(_ path: String) throws -> String {
        try String(contentsOf: Checkout.file(path), encoding: .utf8)
    }

    @Test("There are pages") func found() { #expect(Self.pages.count > 20, "\(Self.pages)") }

    @Test("A link to a file of ours leads to one, and its fragment to a heading", arguments: pages)
    func links(page: String) throws {
        for match in try text(page).matches(of: #/\]\(([^)\s]+)\)/#) where !match.1.contains("://") {
            let parts = match.1.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            let folder = Checkout.file(page).deletingLastPathComponent()
            let file = parts[0].isEmpty ? Checkout.file(page) : folder.appending(path: parts[0]).standardized
            #expect(FileManager.default.fileExists(atPath: file.path), "\(match.1)")
            guard parts.count == 2, let target = try? String(contentsOf: file, encoding: .utf8) else { continue }
            let headings = target.split(separator: "\n").filter { $0.hasPrefix("#") }.map { line in
                line.drop { $0 == "#" }.trimmingCharacters(in: .whitespaces).lowercased()
                    .filter { $0.isLetter || $0.isNumber || " -_".contains($0) }.replacing(" ", with: "-")
            }
            #expect(headings.contains(parts[1]), "\(match.1) is none of \(headings)")
        }
    }

    @Test("The walk of a key names functions that there are, in files that there are")
    func walk() throws {
        let page = try text("docs/ARCHITECTURE.md")
        let start = try #require(page.range(of: "## The walk of a key\n"))
        let block = page[start.upperBound...].split(separator: "```", omittingEmptySubsequences: false)[1]
        var count = 0
        for line in block.split(separator: "\n") {
            let words = line.split(separator: " ")
            let source = try text("Sources/\(words[0])")
            for name in words.dropFirst() where name != "→" {
                #expect(source.contains("func \(name)("), "\(words[0]) has no \(name)")
                count += 1
            }
        }
        #expect(count > 20)
    }

    @Test("A path of Sources, Tests or scripts that a page names is there", arguments: pages)
    func paths(page: String) throws {
        for match in try text(page).matches(
            of: #/`((?:Sources|Tests|scripts|systemd|examples|Fuzz|Benchmarks)\/[\w.@+\/-]+)/#
        ) {
            #expect(FileManager.default.fileExists(atPath: Checkout.file(String(match.1)).path), "\(match.1)")
        }
    }
}
