import Foundation
import Testing

/// A document of two networks whose members come from the same sixteen prefixes.
private enum Sample {
    /// Each member has a key of its own.
    static func document(acme: [String], other: [String]) -> String {
        func network(_ name: String, _ members: [String]) -> String {
            let lines = members.map { "      \($0): \(key("\(name)/\($0)"))\n" }.joined()
            return "  \(name):\n    version: 1\n    members:\n\(lines)    exit: farm\n"
        }
        let nodes = Set(acme + other).subtracting(["farm"]).sorted().map { "  \($0): {ipv6: hidden}\n" }.joined()
        return """
            format: 1
            allocations:
              - {number: 0, prefix: "2a02:1807:0:10::/60"}
            nodes:
              farm: {ipv6: {public: "2001:db8::10"}}
            \(nodes)networks:
            \(network("acme", acme))\(network("other", other))
            """
    }

    private static func key(_ name: String) -> String {
        Data((name + String(repeating: ".", count: 32)).utf8.prefix(32)).base64EncodedString()
    }
}

@Suite("kex-net allocate") struct AllocateTests {
    @Test("gives every member a prefix and a port beside the document, and says what is new")
    func allocate() throws {
        let place = try Workplace()
        try place.write(Sample.document(acme: ["farm", "cellar"], other: ["farm"]), to: "net.yaml")
        let first = try place.run("allocate", "net.yaml")
        #expect(first.status == 0 && first.errors == "")
        let lines = first.output.split(separator: "\n")
        #expect(lines.count == 6)
        #expect(lines.first?.hasPrefix("prefix acme farm 2a02:1807:0:1") == true)
        let ledger = try place.text(of: "net.ledger")
        #expect(ledger.split(separator: "\n").count == 7)
        let second = try place.run("allocate", "net.yaml")
        #expect(second.output == "nothing new: every member has what it needs\n" && second.status == 0)
        #expect(try place.text(of: "net.ledger") == ledger)
        #expect(try place.run("allocate", "--ledger", "shared", "net.yaml").output == first.output)
        #expect(try place.text(of: "net.yaml") == Sample.document(acme: ["farm", "cellar"], other: ["farm"]))
    }

    @Test("names what is left over, and release gives it back")
    func release() throws {
        let place = try Workplace()
        try place.write(Sample.document(acme: ["farm", "cellar"], other: ["farm"]), to: "net.yaml")
        let first = try place.run("allocate", "net.yaml")
        let cellar = first.output.split(separator: "\n").filter { $0.contains(" cellar ") }.map(String.init)
        let refused = try place.run("release", "net.yaml", "acme/cellar")
        #expect(refused.status == 65)
        #expect(refused.errors.hasSuffix("acme/cellar is still in net.yaml; take it out first\n"))
        try place.write(Sample.document(acme: ["farm"], other: ["farm"]), to: "net.yaml")
        let left = try place.run("allocate", "net.yaml")
        #expect(left.status == 0)
        #expect(
            left.errors.split(separator: "\n").map(String.init)
                == zip(cellar, [4, 5]).map {
                    "net.ledger:\($1): \($0) is no longer needed by net.yaml, and stays taken; kex-net release gives it back"
                }
        )
        let released = try place.run("release", "net.yaml", "acme/cellar")
        #expect(released.status == 0)
        let lines = released.output.split(separator: "\n")
        #expect(
            lines.count == 2
                && zip(lines, cellar).allSatisfy { $0.hasPrefix("in quarantine until ") && $0.hasSuffix($1) }
        )
        #expect(try place.run("allocate", "net.yaml").errors == "")
        #expect(try place.run("release", "net.yaml", "acme/cellar").status == 65)
        let free = try place.run("release", "--now", "net.yaml", "acme/cellar")
        #expect(free.output == cellar.map { "free: \($0)\n" }.joined())
    }

    @Test("writes nothing when one member can have nothing, or the document has mistakes")
    func nothingWritten() throws {
        let place = try Workplace()
        try place.write(
            Sample.document(acme: ["farm"] + (0..<14).map { "node\($0)" }, other: ["farm"]),
            to: "net.yaml"
        )
        let run = try place.run("allocate", "net.yaml")
        #expect(run.status == 78 && run.output == "")
        #expect(run.errors.split(separator: "\n").count == 2)
        #expect(
            run.errors.contains(
                "net.ledger: other/farm: no prefix is left: of 14 in 2a02:1807:0:10::/60 14 are taken, 0 in"
            )
        )
        try place.write("format: 2\n", to: "net.yaml")
        #expect(try place.run("allocate", "net.yaml").status == 78)
        #expect(!place.exists("net.ledger"))
    }

    @Test("tells a damaged ledger with its line, and writes nothing")
    func damaged() throws {
        let place = try Workplace()
        try place.write(Sample.document(acme: ["farm"], other: ["farm"]), to: "net.yaml")
        _ = try place.run("allocate", "net.yaml")
        let damaged = try place.text(of: "net.ledger").replacing("other", with: "othar", maxReplacements: 1)
        try place.write(damaged, to: "net.ledger")
        let run = try place.run("allocate", "net.yaml")
        #expect(run.status == 78)
        #expect(run.errors == "net.ledger:4: damaged: it does not fit the check at its end\n")
        #expect(try place.text(of: "net.ledger") == damaged)
    }

    @Test("writes lines that sha256sum checks")
    func checkedByHand() throws {
        let place = try Workplace()
        try place.write(Sample.document(acme: ["farm"], other: ["farm"]), to: "net.yaml")
        _ = try place.run("allocate", "net.yaml")
        // As in docs/TENANTS.md.
        let script = """
            while read -r line; do
                [ "$(printf %s "${line% *}" | sha256sum | cut -c1-32)" = "${line##* }" ] || echo "wrong: $line"
            done <net.ledger
            """
        #expect(try place.shell(script) == "")
        try place.write(
            try place.text(of: "net.ledger").replacing("port", with: "part", maxReplacements: 1),
            to: "net.ledger"
        )
        #expect(try place.shell(script).hasPrefix("wrong: "))
    }
}

@Suite("A ledger in git") struct LedgerInGitTests {
    /// Two clones of one repository, each with a member that the other has not, and with the same prefix for both: the
    /// names `acme/barn` and `other/attic` begin to look at the same place.
    private func clones(union: Bool, begun: Bool = true, same: Bool = true) throws -> Workplace {
        let place = try Workplace()
        let base = Sample.document(acme: ["farm"], other: ["farm"])
        try place.write(base, to: "net.yaml")
        let attributes = union ? "echo '*.ledger merge=union' >.gitattributes" : "true"
        try place.shell(
            """
            export GIT_CONFIG_GLOBAL=$PWD/gitconfig GIT_CONFIG_SYSTEM=/dev/null
            git config --global user.name test; git config --global user.email test@example.org
            git config --global init.defaultBranch main; git config --global pull.rebase false
            git init -q --bare hub
            git clone -q hub one 2>/dev/null && mv net.yaml one && cd one
            \(attributes); echo '*.ledger.lock' >.gitignore
            git add . && git commit -qm document
            """
        )
        if begun { try allocate(place, "one") }
        try place.shell("\(Self.git) cd one && git push -q origin main && cd .. && git clone -q hub two")
        try place.write(Sample.document(acme: ["farm", "barn"], other: ["farm"]), to: "one/net.yaml")
        let second = same ? "attic" : "cellar"
        try place.write(Sample.document(acme: ["farm"], other: ["farm", second]), to: "two/net.yaml")
        try allocate(place, "one")
        try allocate(place, "two")
        try place.shell("\(Self.git) cd one && git push -q")
        // The nodes' table is the same place of the document, and is not what this is about.
        try place.write(
            Sample.document(acme: ["farm", "barn"], other: ["farm", second]),
            to: "merged.yaml"
        )
        return place
    }

    private static let git = "export GIT_CONFIG_GLOBAL=$PWD/gitconfig GIT_CONFIG_SYSTEM=/dev/null GIT_EDITOR=true;"

    /// Allocates, and commits what that gave.
    private func allocate(_ place: Workplace, _ clone: String, _ options: String...) throws {
        let run = try place.run(arguments: ["allocate"] + options + ["\(clone)/net.yaml"])
        try #require(run.status == 0, "\(run.errors)")
        try place.shell(
            "\(Self.git) cd \(clone) && git add . && (git diff --cached --quiet || git commit -qm allocations)"
        )
    }

    private func members(_ place: Workplace, _ clone: String) throws -> [String: String] {
        // Who asks again is told nothing new, so another ledger tells what is held: the lines that take and do not give.
        var held: [String: String] = [:]
        for line in try place.text(of: "\(clone)/net.ledger").split(separator: "\n") {
            let words = line.split(separator: " ").map(String.init)
            guard words.count > 5, words[2] == "prefix" else { continue }
            let member = "\(words[3])/\(words[4])"
            if words[1] == "take" { held[member] = words[5] } else if held[member] == words[5] { held[member] = nil }
        }
        return held
    }

    @Test("of two clones without a double allocation needs no command at all")
    func noConflict() throws {
        let place = try clones(union: true, same: false)
        try pull(place, "two", "")
        let run = try place.run("allocate", "two/net.yaml")
        #expect(run.status == 0 && run.output == "nothing new: every member has what it needs\n")
        #expect(Set(try members(place, "two").values).count == 4)
    }

    @Test("settles a double allocation, whether git pulls by a merge or by a rebase", arguments: ["", "--rebase"])
    func union(option: String) throws {
        let place = try clones(union: true)
        let before = try members(place, "one").merging(members(place, "two")) { one, _ in one }
        #expect(before["acme/barn"] == before["other/attic"])
        try pull(place, "two", option)
        let refused = try place.run("allocate", "two/net.yaml")
        #expect(refused.status == 78)
        #expect(refused.errors.contains("net.ledger: lines "))
        #expect(refused.errors.contains(" are a double allocation: prefix "))
        #expect(refused.errors.hasSuffix("; kex-net allocate --rebase resolves it\n"))
        try allocate(place, "two", "--rebase")
        try place.shell("\(Self.git) cd two && git push -q && cd ../one && git pull -q")
        #expect(try place.run("allocate", "one/net.yaml").output == "nothing new: every member has what it needs\n")
        let after = try members(place, "one")
        #expect(Set(after.values).count == 4)
        // Only the later one of the two has another.
        #expect(after.filter { before[$0.key] != $0.value }.count == 1)
        #expect(after["acme/farm"] == before["acme/farm"] && after["other/farm"] == before["other/farm"])
    }

    @Test("is merged where git left its marks", arguments: [true, false])
    func marks(begun: Bool) throws {
        let place = try clones(union: false, begun: begun)
        try pull(place, "two", "")
        let refused = try place.run("allocate", "two/net.yaml")
        #expect(refused.status == 78)
        #expect(
            refused.errors.contains("a merge is not finished; kex-net allocate --rebase takes the lines of both sides")
        )
        try allocate(place, "two", "--rebase")
        try place.shell("\(Self.git) cd two && git push -q && cd ../one && git pull -q")
        #expect(try place.run("allocate", "one/net.yaml").output == "nothing new: every member has what it needs\n")
        #expect(Set(try members(place, "one").values).count == 4)
    }

    @Test("is the same after both clones have settled it apart")
    func bothSettle() throws {
        let place = try clones(union: true)
        try place.shell("\(Self.git) cd two && git push -q origin main:two")
        try pull(place, "two", "")
        try allocate(place, "two", "--rebase")
        try pull(place, "one", "origin two")
        try allocate(place, "one", "--rebase")
        let (one, two) = (try members(place, "one"), try members(place, "two"))
        #expect(one == two && Set(one.values).count == 4)
        try place.shell("\(Self.git) cd one && git push -q")
        try pull(place, "two", "")
        try allocate(place, "two", "--rebase")
        #expect(try members(place, "two") == one)
    }

    /// Pulls, and takes the document that has the members of both.
    private func pull(_ place: Workplace, _ clone: String, _ options: String) throws {
        try place.shell(
            """
            \(Self.git) cd \(clone)
            git pull -q --no-edit \(options) >/dev/null 2>&1 || true
            cp ../merged.yaml net.yaml && git add net.yaml
            if git status | grep -q 'rebase in progress'; then git rebase --continue >/dev/null 2>&1
            elif ! git ls-files -u | grep -q ledger; then git commit -qm merged || true
            fi
            true
            """
        )
    }
}

extension Workplace {
    /// Runs a script in the folder, which must succeed.
    @discardableResult
    func shell(_ script: String) throws -> String {
        let process = Process()
        process.executableURL = URL(filePath: "/bin/bash")
        process.arguments = ["-e", "-c", script]
        process.currentDirectoryURL = folder
        let output = Pipe()
        (process.standardOutput, process.standardError) = (output, output)
        try process.run()
        let text = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        process.waitUntilExit()
        try #require(process.terminationStatus == 0, "\(script): \(text)")
        return text
    }
}
