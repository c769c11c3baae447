import Foundation
import Testing

@Suite("kex-net init") struct InitTests {
    private static let key = "abxBRHoa8e5MKFNGhitWZpOKMTxd48Pvsm5CbmRxyAY="
    private static let other = "u8p9TxGBGTyOyKJHFvTMGXgKgSzYqdwmPK9ENB0dz1Q="

    @Test(
        "writes a document that is right once the keys are in it",
        arguments: [
            "farm=198.51.100.10,2001:db8::10", "farm=2001:db8::10", "farm=198.51.100.10",
        ],
        ["2a02:1807:1100::/48", "2a02:1807:1100:ab00::/56", "local"]
    )
    func keys(publicNode: String, allocation: String) throws {
        let place = try Workplace()
        let run = try place.run(
            "init",
            "--allocation",
            allocation,
            "--public",
            publicNode,
            "--hidden",
            "home",
            "--key",
            "farm=\(Self.key)",
            "--key",
            "home=\(Self.other)",
            "n.yaml"
        )
        #expect(run.status == 0, "\(run.errors)")
        let check = try place.run("check", "n.yaml")
        #expect(check.output.hasPrefix("1 network with 2 members on 2 nodes: no mistakes\n"), "\(check.errors)")
        #expect(check.status == 0)
    }

    @Test("asks three questions, again where the answer cannot be used, and says which keys are missing")
    func questions() throws {
        let place = try Workplace()
        let answers = "2a02:1807:1100::/64\n2a02:1807:1100::/48\nfarm\nfarm=198.51.100.10\nfarm\ncellar flat\n"
        let run = try place.run("init", "n.yaml", input: answers)
        #expect(run.status == 0)
        #expect(run.errors.split(separator: "\n").count { $0.contains("/3 ") } == 6)
        #expect(run.errors.split(separator: "\n").count { $0.contains("expected ") } == 3)
        let check = try place.run("check", "n.yaml")
        #expect(check.status == 78)
        let lines = check.errors.split(separator: "\n")
        #expect(lines.count == 3)
        #expect(lines.allSatisfy { $0.contains("has no key yet") })
        #expect(try place.text(of: "n.yaml").contains("2a02:1807:1100::/48"))
    }

    @Test("leaves a file that is there, and writes nothing where an answer is missing") func nothing() throws {
        let place = try Workplace()
        try place.write("mine\n", to: "n.yaml")
        let answers = ["--allocation", "local", "--public", "a=198.51.100.1", "--hidden", "b"]
        let there = try place.run(
            "init",
            answers[0],
            answers[1],
            answers[2],
            answers[3],
            answers[4],
            answers[5],
            "n.yaml"
        )
        #expect(there.status == 71)
        #expect(
            there.errors
                == "kex-net: cannot write n.yaml: File exists (errno 17); it stays as it is: name another file\n"
        )
        #expect(try place.text(of: "n.yaml") == "mine\n")
        #expect(try place.run("init", "m.yaml", input: "local\n").status == 65)
        #expect(try place.run("init", "--public", "a", "--allocation", "local", "m.yaml").status == 65)
        #expect(try place.run("init", "--key", "a=b", "m.yaml").status == 64)
        #expect(try place.run("init", "--network", "Mine", "m.yaml").status == 64)
        #expect(!place.exists("m.yaml"))
    }

    @Test("writes to standard output for a hyphen") func standardOutput() throws {
        let place = try Workplace()
        let run = try place.run("init", "--allocation", "local", "--public", "a=198.51.100.1", "--hidden", "b", "-")
        #expect(run.output.contains("\nformat: 1\n"))
        #expect(!place.exists("-"))
    }
}
