import Testing

@Suite("kex-client derive") struct DeriveTests {
    private static let key = "TfxZpULgWLLg63D0Y+JAnejlFdYKNJi6C3AukoiBcyw="
    private static let other = "o52Ge+Rpj4CUSitVag9mS7pSXUesNM0ESnvj/wwehkg="
    private static let lines = "mac 02:de:5d:b8:5b:59\naddress fe80::de:5dff:feb8:5b59\n"
    private static let otherLines = "mac 02:a6:8f:21:54:65\naddress fe80::a6:8fff:fe21:5465\n"

    @Test(
        "prints the two addresses that are published for a key, as each network derives them",
        arguments: [
            ([], lines),
            (["--profile", "eui64"], lines),
            (["--profile", "ffmuc"], "mac 02:de:5d:b8:5b:59\naddress fe80::2de:5dff:feb8:5b59\n"),
            (["--profile", "gluon"], "mac 02:4d:84:26:e7:20\naddress fe80::24d:84ff:fe26:e720\n"),
        ]
    )
    func profiles(options: [String], output: String) throws {
        let run = try Program.run(Program.clientPath, ["derive"] + options + [Self.key])
        #expect(run.output == output)
        #expect(run.errors == "")
        #expect(run.status == 0)
    }

    @Test(
        "reads keys from standard input, with or without a last line feed, and none at all",
        arguments: [
            ("\(key)\n\(other)\n", lines + otherLines),
            ("\(key)\n\(other)", lines + otherLines),
            ("", ""),
        ]
    )
    func standardInput(input: String, output: String) throws {
        let run = try Program.client("derive", "-", input: input)
        #expect(run.output == output)
        #expect(run.status == 0)
    }

    @Test(
        "ends with 65 and the number of the first bad line, and prints what came before",
        arguments: [
            "\(key)\n\n\(other)\n", "\(key)\n\(key)x\n", "\(key)\n \(key)\n", "\(key)\n\(key)\r\n",
        ]
    )
    func badLine(input: String) throws {
        let run = try Program.client("derive", "-", input: input)
        #expect(run.output == Self.lines)
        #expect(run.errors.contains("line 2: not a WireGuard public key"))
        #expect(run.status == 65)
    }

    @Test("a key may come in portions, as pipes bring them")
    func portions() throws {
        let parts = [Self.key.prefix(10), Self.key.dropFirst(10).prefix(10), Self.key.dropFirst(20)]
        let script = parts.map { "printf %s '\($0)'; sleep 0.1" }.joined(separator: "; ")
        let run = try Program.run("/bin/sh", ["-c", "{ \(script); } | \(Program.clientPath) derive -"])
        #expect(run.output == Self.lines)
        #expect(run.status == 0)
    }

    @Test("a line longer than any buffer is a bad line")
    func longLine() throws {
        let input = "\(Self.key)\n" + String(repeating: "A", count: 200_000) + "\n\(Self.other)\n"
        let run = try Program.client("derive", "-", input: input)
        #expect(run.output == Self.lines)
        #expect(run.errors.contains("line 2: not a WireGuard public key"))
        #expect(run.status == 65)
    }

    @Test("takes a key for what it is, and not for a relative of it", arguments: ["", "x", key + "=", "TfxZ"])
    func badKey(text: String) throws {
        let run = try Program.client("derive", text)
        #expect(run.output == "")
        #expect(run.errors.contains("wg pubkey"))
        #expect(run.status == 65)
    }

    @Test("streams: 100,000 keys give 200,000 lines")
    func many() throws {
        let input = String(repeating: "\(Self.key)\n\(Self.other)\n", count: 50_000)
        let run = try Program.client("derive", "-", input: input)
        // Compared outside of the macro, which would print both texts.
        let isRight = run.output == String(repeating: Self.lines + Self.otherLines, count: 50_000)
        #expect(isRight)
        #expect(run.status == 0)
    }

    @Test("wrong usage ends with 64", arguments: [["derive"], ["derive", "--profile", "eui65", key], ["dérive"]])
    func usage(arguments: [String]) throws {
        #expect(try Program.run(Program.clientPath, arguments).status == 64)
    }

    @Test("--version names the program, --help the exit statuses")
    func help() throws {
        let version = try Program.client("--version")
        #expect(version.output.hasPrefix("kex-client "))
        #expect(version.status == 0)
        let help = try Program.client("--help")
        for word in ["derive", "register", "up", "down", "65", "69", "71", "78"] {
            #expect(help.output.contains(word), "\(word)")
        }
        #expect(help.status == 0)
    }
}
