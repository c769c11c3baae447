import Checkout
import Foundation
import Testing

@Suite("kex-net member add") struct MemberTests {
    private static let key = "FZUMGs3OlHtDWk2rD9nbKHoo5J3jTYLvqQ2ZG+xQ3Gk="
    private static let name = "router-15950c1a"
    private static let line = "\(name): {key: \(key), device: true}"

    private func add(_ place: Workplace, _ options: String..., file: String = "net.yaml", key: String = key) throws
        -> Workplace.Run
    {
        try place.run(arguments: ["member", "add", file, "--network", "acme", "--router", key] + options)
    }

    private static func farm() throws -> String {
        try String(contentsOf: Checkout.file("examples/tenants/farm.yaml"), encoding: .utf8)
    }

    /// Two members, and what stands around them.
    private static func document(
        version: String = "    version: 7",
        members: String,
        behind: String = "    exit: farm\n",
        other: String = ""
    ) -> String {
        """
        format: 1
        allocations:
          - {number: 0, prefix: "2001:db8:1100::/48"}
        nodes:
          farm: {ipv4: {public: 198.51.100.10}, ipv6: {public: "2001:db8::10"}}
          cellar: {ipv4: hidden}
        networks:
          acme:
        \(version)
            members:
        \(members)
        \(behind)\(other)
        """
    }

    private static let farmKey = "/Dd9HQFyQC7ten0k4lFgdOgUehQbEUgSmOIhLVMUjgU="
    private static let cellarKey = "F6ucHE5IFSNg+iAVYpeEV3oekQpm1Fxc1wz2th6oVF4="

    @Test("puts one line behind the last member, gives it a prefix, and its file can be exported")
    func example() throws {
        let place = try Workplace()
        let before = try Self.farm()
        try place.write(before, to: "net.yaml")
        try place.shell("chmod 640 net.yaml")
        let run = try add(place)
        #expect(run.status == 0 && run.errors == "", "\(run.errors)")
        let van = "      van: {key: W/I1i5eGVdjIgQ8yOdphMS2/z6dRU1uBaQxJO98+d0k=, device: true}\n"
        let after = before.replacing("    version: 1\n", with: "    version: 2\n", maxReplacements: 1)
            .replacing(van, with: "\(van)      \(Self.line)\n")
        #expect(try place.text(of: "net.yaml") == after)
        #expect(try place.shell("stat -c %a net.yaml; ls") == "640\nnet.ledger\nnet.ledger.lock\nnet.yaml\n")
        // Nobody else gets anything.
        let told = run.output.split(separator: "\n")
        #expect(told.count == 3)
        #expect(told.first == "net.yaml:46: acme/\(Self.name) is a member now")
        #expect(told.dropFirst().first?.hasPrefix("prefix acme \(Self.name) 2001:db8:1100:") == true)
        #expect(try place.text(of: "net.ledger").split(separator: "\n").count == 3)
        #expect(try place.run("allocate", "net.yaml").status == 0)
        #expect(try place.run("check", "net.yaml").status == 0)
        let file = try place.run("export", "net.yaml", "acme/\(Self.name)", "--format", "openwrt")
        #expect(file.status == 0 && file.output.contains("2001:db8:1100:"))
    }

    @Test("changes nothing for a key that is a member already, whatever name it is to have")
    func again() throws {
        let place = try Workplace()
        try place.write(try Self.farm(), to: "net.yaml")
        #expect(try add(place, "--name", "attic").status == 0)
        let files = try place.shell("cat net.yaml net.ledger; stat -c %i net.yaml")
        for options in [[], ["--name", "attic"], ["--name", "other"]] {
            let run = try place.run(
                arguments: ["member", "add", "net.yaml", "--network", "acme", "--router", Self.key] + options
            )
            #expect(run.status == 0 && run.errors == "")
            #expect(run.output == "net.yaml:46: acme/attic is a member already, with this key\n")
            #expect(try place.shell("cat net.yaml net.ledger; stat -c %i net.yaml") == files)
        }
    }

    /// Lines of members, and how many of them are in front of the new one.
    private static let forms: [(name: String, members: [String], front: Int)] = [
        ("keys alone", ["      farm: \(farmKey)", "      cellar: \(cellarKey)"], 2),
        ("deeper", ["          farm: \(farmKey)", "          cellar: \(cellarKey)"], 2),
        (
            "a table in lines",
            ["      farm: \(farmKey)", "      cellar:", "        key: \(cellarKey)", "        port: 51820"], 4
        ),
        (
            "a table with comments",
            ["      farm: \(farmKey)", "      cellar:  # below", "        key: \(cellarKey)", "        # port: 1", ""],
            4
        ),
        (
            "a table with a gap",
            ["      farm: \(farmKey)", "      cellar:", "", "        # its key", "        key: \(cellarKey)  # new"], 5
        ),
        (
            "braces over lines",
            ["      farm: \(farmKey)", "      cellar: {key: \(cellarKey),", "               port: 51820}"], 3
        ),
        ("quotes", ["      \"farm\": '\(farmKey)'", "      'cellar': \"\(cellarKey)\""], 2),
        (
            "comments behind them",
            [
                "      farm: \(farmKey)", "      cellar: \(cellarKey)", "      # version: 7, as agreed", "",
                "        # until May",
            ], 2
        ),
        (
            "a gap and a deeper comment",
            ["      farm: \(farmKey)", "      cellar: \(cellarKey)", "", "        # until May"], 2
        ),
        ("carriage returns", ["      farm: \(farmKey)\r", "      cellar: \(cellarKey)\r"], 2),
    ]

    @Test("leaves every other byte as it is", arguments: forms.indices)
    func bytes(index: Int) throws {
        let form = Self.forms[index]
        let place = try Workplace()
        try place.write(Self.document(members: form.members.joined(separator: "\n")), to: "net.yaml")
        let run = try add(place)
        #expect(run.status == 0 && run.errors == "", "\(form.name): \(run.errors)")
        var members = form.members
        let indentation = members[0].prefix { $0 == " " }
        members.insert(indentation + Self.line + (members[0].last == "\r" ? "\r" : ""), at: form.front)
        let after = Self.document(version: "    version: 8", members: members.joined(separator: "\n"))
        #expect(try place.text(of: "net.yaml") == after, "\(form.name)")
    }

    @Test("finds the members and the version wherever they are")
    func places() throws {
        let place = try Workplace()
        let members = "      farm: \(Self.farmKey)\n      cellar: \(Self.cellarKey)"
        // The last line of the file, without a line feed, behind a version with a comment and a mark of the order of bytes
        let open = Self.document(version: "    version: 9 # version: 9", members: members, behind: "")
            .trimmingCharacters(in: .newlines)
        let ordered = open.replacing("    members:", with: "    exit: farm\n    members:")
        try place.write("\u{feff}" + ordered, to: "net.yaml")
        #expect(try add(place).status == 0)
        let wanted = ordered.replacing("version: 9 # version: 9", with: "version: 10 # version: 9")
        // Foundation reads without the mark.
        #expect(
            try Data(contentsOf: place.folder.appending(path: "net.yaml"))
                == Data("\u{feff}\(wanted)\n      \(Self.line)".utf8)
        )
        // The version behind the members, and a link to the document
        let late = Self.document(
            version: "    ipv4: true",
            members: members,
            behind: "    \"version\" :  41\n    exit: farm\n"
        )
        try place.write(late, to: "real.yaml")
        try place.shell("ln -s real.yaml link.yaml")
        #expect(try add(place, "--name", "a", file: "link.yaml").status == 0)
        let line = "      a: {key: \(Self.key), device: true}\n"
        #expect(
            try place.text(of: "real.yaml")
                == late.replacing(":  41", with: ":  42").replacing(
                    "\(Self.cellarKey)\n",
                    with: "\(Self.cellarKey)\n\(line)"
                )
        )
        #expect(try place.shell("readlink link.yaml") == "real.yaml\n")
    }

    @Test("says the line where it does not know the place for it, and writes nothing")
    func byHand() throws {
        let usual = "      farm: \(Self.farmKey)\n      cellar: \(Self.cellarKey)"
        let documents = [
            Self.document(members: usual).replacing(
                "members:\n\(usual)",
                with: "members: {farm: \(Self.farmKey), cellar: \(Self.cellarKey)}"
            ),
            Self.document(members: usual).replacing(
                "members:\n\(usual)",
                with: "members: {\n      farm: \(Self.farmKey),\n      cellar: \(Self.cellarKey)\n    }"
            ),
            Self.document(
                members: "      farm: \(Self.farmKey)\n      cellar: {key: \(Self.cellarKey),\n  port: 51820}"
            ),
            Self.document(version: "    version:\n      7", members: usual),
            Self.document(version: "    version: 4294967295", members: usual),
            Self.document(members: usual).replacing(
                "members:\n",
                with: "members:\n      ? farm\n      : \(Self.farmKey)\n"
            )
            .replacing(
                "      farm: \(Self.farmKey)\n      cellar: \(Self.cellarKey)",
                with: "      ? cellar\n      : \(Self.cellarKey)"
            ),
            // To YAML a line ends at these characters too, so what it calls acme's lines are birch's by line feeds.
            "# \(String(repeating: "\u{2028}", count: 6))\n"
                + Self.document(
                    members: usual,
                    other: """
                          birch:
                            version: 7
                            members:
                              farm: \(Self.made(1))
                              cellar: \(Self.made(2))
                            exit: farm

                        """
                ),
        ]
        for document in documents {
            let place = try Workplace()
            try place.write(document, to: "net.yaml")
            try #require(try place.run("check", "net.yaml").status == 0, "\(document)")
            let run = try add(place)
            #expect(run.status == 78 && run.output == "", "\(document)")
            #expect(run.errors.hasPrefix("net.yaml: ") && run.errors.hasSuffix(":\n\(Self.line)\n"), "\(run.errors)")
            #expect(try place.shell("cat net.yaml; ls") == document + "net.yaml\n")
        }
    }

    @Test("has one clear line for what cannot be, and writes nothing")
    func refusals() throws {
        let place = try Workplace()
        let document = try Self.farm()
        try place.write(document, to: "net.yaml")
        let van = "W/I1i5eGVdjIgQ8yOdphMS2/z6dRU1uBaQxJO98+d0k="
        let cases: [(options: [String], status: Int32, says: String)] = [
            (["--network", "acme", "--router", "short"], 64, "--router: expected a public key of WireGuard"),
            (["--network", "acme", "--router", String(repeating: "A", count: 43) + "="], 64, "--router: expected"),
            (["--network", "Acme", "--router", Self.key], 64, "--network: "),
            (["--network", "acme", "--router", Self.key, "--name", "Van"], 64, "--name: "),
            (
                ["--network", "none", "--router", Self.key], 65,
                "there is no network none in net.yaml; these are: acme, birch"
            ),
            (
                ["--network", "birch", "--router", van], 65,
                "\(van) is the key of acme/van; a device needs another key in each network"
            ),
            (
                ["--network", "acme", "--router", Self.key, "--name", "van"], 65,
                "acme/van is a member already, with another key"
            ),
            (
                ["--network", "acme", "--router", Self.key, "--name", "rented"], 65,
                "rented is a node in net.yaml, and a device needs a name of its own"
            ),
        ]
        for (options, status, says) in cases {
            let run = try place.run(arguments: ["member", "add", "net.yaml"] + options)
            #expect(run.status == status && run.output == "", "\(options)")
            #expect(run.errors.contains(says), "\(options): \(run.errors)")
            if status == 65 { #expect(run.errors == says + "\n") }
            #expect(try place.shell("cat net.yaml; ls") == document + "net.yaml\n")
        }
        // A mistake of the document, of what it would be, and a document that is not there
        let mistaken = document.replacing("ipv4: hidden", with: "ipv4: hiden")
        try place.write(mistaken, to: "net.yaml")
        let mistake = try add(place)
        #expect(mistake.status == 78 && mistake.errors.split(separator: "\n").count == 1)
        let apart = Self.document(members: "      farm: \(Self.farmKey)", behind: "").replacing(
            "{public: 198.51.100.10}, ipv6: {public: \"2001:db8::10\"}",
            with: "hidden"
        )
        try place.write(apart, to: "net.yaml")
        let unreachable = try add(place)
        #expect(unreachable.status == 78 && unreachable.errors.contains("net.yaml:12: "), "\(unreachable.errors)")
        #expect(try place.shell("cat net.yaml; ls") == apart + "net.yaml\n")
        #expect(try add(place, file: "other.yaml").status == 78)
        #expect(try place.shell("ls") == "net.yaml\n")
    }

    @Test("writes nothing when no prefix is left but one in quarantine")
    func exhausted() throws {
        let place = try Workplace()
        let devices = (0..<12).map { "      device-\($0): {key: \(Self.made($0)), device: true}\n" }
        func document(_ devices: some Sequence<String>) -> String {
            Self.document(members: "      farm: \(Self.farmKey)\n      cellar: \(Self.cellarKey)\n\(devices.joined())")
                .replacing("1100::/48", with: "1100::/60")
        }
        try place.write(document(devices), to: "net.yaml")
        try #require(try place.run("allocate", "net.yaml").status == 0)
        let full = try add(place)
        #expect(full.status == 78 && full.output == "" && full.errors.contains("no prefix is left"), "\(full.errors)")
        try place.write(document(devices.dropFirst()), to: "net.yaml")
        try #require(try place.run("release", "net.yaml", "acme/device-0").status == 0)
        let ledger = try place.text(of: "net.ledger")
        let run = try add(place)
        #expect(run.status == 78 && run.output == "" && run.errors.contains("1 in quarantine"), "\(run.errors)")
        #expect(try place.shell("cat net.yaml net.ledger") == document(devices.dropFirst()) + ledger)
    }

    @Test("tells a damaged ledger with its line, and writes nothing")
    func damaged() throws {
        let place = try Workplace()
        try place.write(try Self.farm(), to: "net.yaml")
        try #require(try place.run("allocate", "net.yaml").status == 0)
        try place.write(
            try place.text(of: "net.ledger").replacing("cellar", with: "cellor", maxReplacements: 1),
            to: "net.ledger"
        )
        let files = try place.shell("cat net.yaml net.ledger")
        let run = try add(place)
        #expect(run.status == 78 && run.output == "")
        #expect(
            run.errors.wholeMatch(of: #/net\.ledger:\d+: damaged: it does not fit the check at its end\n/#) != nil,
            "\(run.errors)"
        )
        #expect(try place.shell("cat net.yaml net.ledger") == files)
    }

    @Test("takes no more members than a document may have")
    func limit() throws {
        let place = try Workplace()
        let devices = (0..<998).map { "      device-\($0): {key: \(Self.made($0)), device: true}\n" }.joined()
        let document = Self.document(
            members: "      farm: \(Self.farmKey)\n      cellar: \(Self.cellarKey)\n\(devices)"
        )
        try place.write(document, to: "net.yaml")
        let run = try add(place)
        #expect(run.status == 65 && run.errors == "acme has 1000 members, and at most as many are taken\n")
        #expect(try place.shell("cat net.yaml; ls") == document + "net.yaml\n")
    }

    @Test("stopped behind the document, is finished by the same command")
    func stopped() throws {
        let place = try Workplace()
        let document = Self.document(members: "      farm: \(Self.farmKey)\n      cellar: \(Self.cellarKey)")
        try place.write(document, to: "net.yaml")
        try #require(try place.run("allocate", "net.yaml").status == 0)
        // Files of at most 1024 bytes: the document has room for a line, and the ledger has not.
        let size = try #require(Int(try place.shell("stat -c %s net.yaml").trimmingCharacters(in: .newlines)))
        try #require(size < 900)
        while try place.text(of: "net.ledger").utf8.count < 1024 {
            try place.shell("sed 's/acme:/filler:/; s/version: 7/version: 1/' net.yaml >filler.yaml")
            try #require(try place.run("allocate", "--ledger", "net.ledger", "filler.yaml").status == 0)
        }
        let ledger = try place.text(of: "net.ledger")
        let program = Workplace.program.path
        let output = try place.shell(
            "ulimit -f 1; \(program) member add net.yaml --network acme --router \(Self.key) 2>&1 || echo status $?"
        )
        #expect(
            output == """
                cannot write to net.ledger: File too large (errno 27)
                acme/\(Self.name) is in net.yaml already; this command again gives it its prefix
                status 71

                """
        )
        #expect(try place.text(of: "net.yaml").contains("      \(Self.line)\n"))
        #expect(try place.text(of: "net.ledger") == ledger)
        let run = try add(place)
        #expect(
            run.status == 0 && run.output.contains("is a member already")
                && run.output.contains("\nprefix acme \(Self.name) ")
        )
        #expect(try place.text(of: "net.yaml").contains("version: 8\n"))
        #expect(try add(place).output.split(separator: "\n").count == 1)
    }

    @Test("of many at once loses none")
    func atOnce() throws {
        let place = try Workplace()
        try place.write(
            Self.document(members: "      farm: \(Self.farmKey)\n      cellar: \(Self.cellarKey)"),
            to: "net.yaml"
        )
        let program = Workplace.program.path
        let commands = (0..<8).map {
            "\(program) member add net.yaml --network acme --router \(Self.made($0)) >/dev/null &\n"
        }
        try place.shell(commands.joined() + "wait")
        let text = try place.text(of: "net.yaml")
        #expect(text.contains("version: 15\n"))
        #expect((0..<8).allSatisfy { text.contains(Self.made($0)) })
        #expect(try place.text(of: "net.ledger").matches(of: #/ take prefix acme /#).count == 8)
    }

    @Test("takes more of the key into the name where less is taken")
    func longerName() throws {
        let place = try Workplace()
        let taken = "\(Self.name): {key: \(Self.made(1)), device: true}"
        try place.write(Self.document(members: "      farm: \(Self.farmKey)\n      \(taken)"), to: "net.yaml")
        let run = try add(place)
        #expect(run.output.contains(" acme/\(Self.name)cd is a member now\n"), "\(run.errors)")
    }

    /// Some key.
    private static func made(_ number: Int) -> String {
        Data("\(number + 1000)".utf8 + [UInt8](repeating: 0x2e, count: 28)).base64EncodedString()
    }
}
