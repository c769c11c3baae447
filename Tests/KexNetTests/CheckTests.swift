import Checkout
import Foundation
import Testing

@Suite("kex-net check") struct CheckTests {
    private func example(_ name: String) -> String { Checkout.file("examples/tenants/\(name).yaml").path }

    @Test(
        "finds no mistake in the examples",
        arguments: [
            ("two-nodes", "1 network with 2 members on 2 nodes: no mistakes"),
            ("farm", "2 networks with 9 members on 5 nodes: no mistakes"),
            ("every-key", "2 networks with 6 members on 3 nodes: no mistakes"),
        ]
    )
    func examples(name: String, summary: String) throws {
        let run = try Workplace().run("check", example(name))
        let lines = run.output.split(separator: "\n")
        #expect(lines.first.map(String.init) == summary)
        #expect(lines.count == 2)
        #expect(lines.last?.contains("promised paths are there, both ways") ?? false)
        // Documentation's addresses, and members that have no prefix yet
        #expect(
            run.errors.split(separator: "\n").allSatisfy { $0.contains(": warning: ") || $0.contains("no prefix yet") }
        )
        #expect(run.status == 0)
    }

    @Test("prints a document that is read to the same", arguments: ["two-nodes", "farm", "every-key"])
    func printed(name: String) throws {
        let place = try Workplace()
        let first = try place.run("check", "--print", example(name))
        try place.write(first.output, to: "again.yaml")
        let second = try place.run("check", "--print", "again.yaml")
        #expect(first.output == second.output)
        #expect(second.status == 0)
    }

    @Test("ends with 78 and a line for each mistake, that begins with file and line") func mistakes() throws {
        let place = try Workplace()
        try place.write(
            "format: 1\nnodes:\n  a: {ipv6: public}\n  b: {ipv4: {public: 10.0.0.300}}\nnetwork: {}\n",
            to: "n.yaml"
        )
        let run = try place.run("check", "n.yaml")
        #expect(run.status == 78)
        #expect(run.output == "")
        #expect(
            run.errors == """
                n.yaml:3: ipv6: public is not hidden, {hidden: ADDRESS} or {public: ADDRESS}; a public node needs the \
                address that others speak to
                n.yaml:4: public: 10.0.0.300 is not an IPv4 address such as 198.51.100.10
                n.yaml:5: unknown key network; the document has format, allocations, nodes and networks

                """
        )
    }

    @Test("tells what only a plan knows together with the rest, and nothing twice") func plan() throws {
        let place = try Workplace()
        let text = """
            format: 1
            allocations: [{number: 0, prefix: "2a02:1807:1100::/48"}]
            nodes:
              farm: {ipv4: {public: 198.51.100.10}}
              home: {ipv4: hidden}
            networks:
              mine:
                version: 1
                members:
                  farm: {key: abxBRHoa8e5MKFNGhitWZpOKMTxd48Pvsm5CbmRxyAY=, port: 17000}
                  home: abxBRHoa8e5MKFNGhitWZpOKMTxd48Pvsm5CbmRxyAY=
                exit: farm
            """
        try place.write(text, to: "n.yaml")
        for command in ["check", "plan"] {
            let run = try place.run(command, "n.yaml")
            #expect(run.status == 78)
            #expect(
                run.errors == """
                    n.yaml:11: the key of home is at networks.mine.members.farm already; make a key for each network on \
                    each node: `wg genkey`
                    n.yaml:12: farm has no IPv6 outside; say `ipv6: none`, or name an interface

                    """
            )
        }
    }

    @Test("says of a file what is in the way") func files() throws {
        let place = try Workplace()
        let missing = try place.run("check", "none.yaml")
        #expect(
            missing.errors
                == "none.yaml: cannot read: No such file or directory (errno 2); `kex-net init` makes one\n"
        )
        #expect(missing.status == 78)
        try place.write(String(repeating: "a", count: 10_000_000), to: "large.yaml")
        let large = try place.run("check", "large.yaml")
        #expect(large.errors == "large.yaml: file of more than 8388608 bytes\n")
        #expect(large.status == 78)
        #expect(try place.run("check", ".").status == 78)
        #expect(try place.run("check").status == 64)
    }
}
