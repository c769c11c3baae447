import Foundation
import Testing

/// `scripts/import-wgkex`, which makes a configuration from one of the Python broker and worker.
@Suite("Import from wgkex") final class ImportTests {
    private let folder: Folder
    init() throws { folder = try Folder() }

    private struct Outcome {
        let status: Int32
        let output: String
        /// In their order, without the name of the file.
        let lines: [String]
    }

    private func run(_ program: String, _ arguments: [String]) throws -> (status: Int32, output: String, errors: String)
    {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        // Files and not pipes: nothing can fill up.
        let (output, errors) = (try folder.write("", to: "output"), try folder.write("", to: "errors"))
        process.standardOutput = FileHandle(forWritingAtPath: output)
        process.standardError = FileHandle(forWritingAtPath: errors)
        try process.run()
        process.waitUntilExit()
        func content(of path: String) throws -> String { try String(contentsOfFile: path, encoding: .utf8) }
        return (process.terminationStatus, try content(of: output), try content(of: errors))
    }

    private var passwordFile: String { "\(folder.path)/password" }

    private func convert(_ text: String) throws -> Outcome {
        let path = try folder.write(text, to: "wgkex.yaml")
        let options = ["--name", "gw04", "--password-file", passwordFile]
        let result = try run(repository("scripts/import-wgkex"), options + [path])
        let lines = result.errors.split(separator: "\n").map { String($0).replacing("\(path):", with: "") }
        return Outcome(status: result.status, output: result.output, lines: lines)
    }

    private static let whole = """
        domains:
          - ffmuc_muc_cty
          - ffwert_city
        domain_prefixes: [ffmuc_, ffwert_]
        workers:
          gw04:
            weight: 30
          gw05:
            weight: 0
          gw06:
        externalName: gw04.ext.example.net
        mqtt:
          broker_url: broker.example.net
          broker_port: 1884
          username: wgkex
          password: "p4:ss ;w#rd"
          keepalive: 5
          tls: True
        broker_listen:
          host: "::"
          port: 5000
        logging_config:
          version: 1

        """

    @Test("A whole file becomes what kex-handler understands, line by line; what has no counterpart is named")
    func whole() throws {
        let outcome = try convert(Self.whole)
        #expect(outcome.status == 0)
        let configuration = try folder.write(outcome.output)
        let tests = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath().deletingLastPathComponent()
        let check = try run("\(tests.path)/kex-handler", ["--config", configuration, "--check-config"])
        #expect(check.errors == "")
        #expect(
            check.output == """
                [Gateway]
                Listen=[::]:10012
                HandlerSocket=/run/kex/handler.sock
                ControlSocket=/run/kex/control.sock
                StateDirectory=/var/lib/kex
                ExternalName=gw04.ext.example.net

                [HTTP]
                Listen=[::]:5000
                NodeNamePath=/api/add_key

                [Bus]
                Broker=broker.example.net:1884
                User=wgkex
                PasswordFile=\(passwordFile)
                CAFile=/etc/ssl/certs/ca-certificates.crt
                Name=gw04
                Socket=/run/kex/bus.sock
                Weight=gw04 30
                Weight=gw05 0
                Weight=gw06 1

                [Domain ffmuc_muc_cty]
                WireGuard=wg-muc_cty
                VXLAN=vx-muc_cty
                AddressProfile=ffmuc
                Fdb=mac flood
                FloodAfter=first-frame
                MaximumPeers=1000
                StaleAfter=1h
                SweepInterval=15min

                [Domain ffwert_city]
                WireGuard=wg-city
                VXLAN=vx-city
                AddressProfile=ffmuc
                Fdb=mac flood
                FloodAfter=first-frame
                MaximumPeers=1000
                StaleAfter=1h
                SweepInterval=15min

                """
        )
        #expect(
            outcome.lines == [
                "17: mqtt.keepalive: no counterpart; kex has its own",
                "20: broker_listen: under systemd the port is that of kex-http.socket",
                "22: logging_config: no counterpart; the journal has what the programs say",
                "2: domain ffmuc_muc_cty: add LinkAddress=, the address of wg-muc_cty, for kex-http and the bus",
                "3: domain ffwert_city: add LinkAddress=, the address of wg-city, for kex-http and the bus",
                "\(passwordFile): has the password now, for root alone; chown it to kex-mqtt",
            ]
        )
        // The password is in its file, which nobody else can read, and nowhere else.
        #expect(try String(contentsOfFile: passwordFile, encoding: .utf8) == "p4:ss ;w#rd\n")
        let mode = try FileManager.default.attributesOfItem(atPath: passwordFile)[.posixPermissions] as? NSNumber
        #expect(mode == 0o600)
        #expect(!outcome.output.contains("p4:ss") && !outcome.lines.contains { $0.contains("p4:ss") })
        // A file that is there is left alone.
        let again = try convert(Self.whole.replacing("p4:ss", with: "other"))
        #expect(again.output == outcome.output)
        #expect(again.lines.last == "\(passwordFile): is there already, so the password was not written")
        #expect(try String(contentsOfFile: passwordFile, encoding: .utf8) == "p4:ss ;w#rd\n")
    }

    private static let least = """
        domains: [ff_a]
        domain_prefixes: [ff_]
        mqtt: {broker_url: "2001:db8::1", username: "", password: ""}

        """

    @Test("The least that there may be, and keys that nobody knows")
    func unknown() throws {
        let outcome = try convert(Self.least + "colour: blue\nworkers: {gw01: {weight: 2, pop: muc}}\n")
        #expect(outcome.status == 0)
        #expect(
            outcome.output == """
                # Made from wgkex.yaml of wgkex by import-wgkex.

                [Bus]
                Broker=[2001:db8::1]:1883
                Name=gw04
                Weight=gw01 2

                [Domain ff_a]
                WireGuard=wg-a
                VXLAN=vx-a
                AddressProfile=ffmuc

                """
        )
        #expect(outcome.lines.contains("4: colour: no counterpart; unknown to this script"))
        #expect(outcome.lines.contains("5: workers.gw01.pop: no counterpart; unknown to this script"))
        #expect(!FileManager.default.fileExists(atPath: passwordFile))
    }

    /// Each with the whole of what is said.
    private static let mistakes: [(text: String, lines: [String])] = [
        ("", ["nothing in it"]),
        ("- a\n", ["1: the file: expected keys and values"]),
        ("a: [\n", ["2: no YAML: while parsing a flow node, expected the node content, but found '<stream end>'"]),
        ("a: b: c\n", ["1: no YAML: mapping values are not allowed here"]),
        ("a: 1\n--- \nb: 1\n", ["2: no YAML: expected a single document in the stream, but found another document"]),
        ("a: &x [1]\nb: *x\n", ["2: *x: aliases are not read; write it out"]),
        ("a: " + String(repeating: "[", count: 10_000), ["1: more than 32 levels"]),
        ("a: " + String(repeating: "x", count: 1 << 20), ["file of more than 1048576 bytes"]),
        ("a: \u{0}\n", ["no YAML: bytes that are no text"]),
        (least + "domains: [ff_b]\n", ["4: the file: domains is given twice"]),
        (least + "? [a]\n: b\n", ["4: the file: a key that is no word"]),
        (
            "workers: {}\n",
            [
                "1: domains is missing, which wgkex needs", "1: domain_prefixes is missing, which wgkex needs",
                "1: mqtt is missing, which wgkex needs",
            ]
        ),
        (least.replacing("[ff_a]", with: "ff_a"), ["1: domains: expected a list"]),
        (least.replacing("[ff_a]", with: "[]"), ["1: domains: none, so there is nothing to do"]),
        (
            least.replacing("[ff_a]", with: "[ff_a, 7, ff/b, {x: y}]"),
            ["7", "ff/b", ""].map { word in
                let value = word == "ff/b" ? "ff/b: " : ""
                return
                    "1: domains: \(value)expected a name of at most 42 letters, digits, dots, hyphens and underscores"
            }
        ),
        (
            least.replacing("[ff_a]", with: "[fx_a]"),
            ["1: domain fx_a begins with no prefix of domain_prefixes, so wgkex refuses it"]
        ),
        (
            least.replacing("[ff_a]", with: "[ff_, ff_abcdefghijkl, ff_abcdefghijklm]"),
            [
                "1: domain ff_: wg- is no name of an interface (3 and 1 to 12 characters)",
                "1: domain ff_abcdefghijklm: wg-abcdefghijklm is no name of an interface (3 and 1 to 12 characters)",
            ]
        ),
        (
            least.replacing("[ff_a]", with: "[ff_a, fx_a]").replacing("[ff_]", with: "[ff_, fx_]"),
            ["1: domain fx_a: wg-a is the interface of domain ff_a already"]
        ),
        (least.replacing("username: \"\", ", with: ""), ["3: mqtt.username is missing, which wgkex needs"]),
        (least.replacing("password: \"\"", with: "password: 1234"), ["3: mqtt.password: expected a text; quote it"]),
        (
            least.replacing("password: \"\"", with: "password: \"a\\nb\""), ["3: mqtt.password: a line break in it"]
        ),
        (
            least.replacing("username: \"\"", with: "username: \"a ; b\""),
            ["3: mqtt.username: a ; b: expected a name without blanks and semicolons"]
        ),
        (
            least.replacing("2001:db8::1", with: "mqtt://b"),
            ["3: mqtt.broker_url: mqtt://b: expected the host name or address of a broker"]
        ),
        (
            least.replacing("username", with: "broker_port: 0, tls: 1, username"),
            [
                "3: mqtt.broker_port: 0: expected a number from 1 to 65535", "3: mqtt.tls: expected true or false",
            ]
        ),
        (
            least + "workers: {a: {weight: 10001}, b: {weight: 1.5}, c/d: {}, e: {weight: 017}, f: 7}\n",
            [
                "4: workers.a.weight: 10001: expected a number from 0 to 10000",
                "4: workers.b.weight: expected a number from 0 to 10000", "4: workers: c/d: expected a host name",
                "4: workers.e.weight: 017: expected a number from 0 to 10000",
                "4: workers.f: expected keys and values",
            ]
        ),
        (
            least + "broker_listen: {host: localhost, port: 65536}\n",
            [
                "4: broker_listen.host: localhost: expected an address, kex looks up no name",
                "4: broker_listen.port: 65536: expected a number from 1 to 65535",
            ]
        ),
        (
            least + "broker_listen: {host: \"::\"}\n",
            ["4: broker_listen needs host and port; wgkex does not start without"]
        ),
        (
            least + "externalName: \"a\\e[31m b\"\n",
            ["4: externalName: a?[31m b: expected a host name of letters, digits, dots and hyphens"]
        ),
        (
            least + "externalName: !!python/object/apply:os.system [reboot]\n",
            ["4: externalName: expected a host name of letters, digits, dots and hyphens"]
        ),
    ]

    @Test("Each mistake is one clear line; then nothing is printed and no file is written", arguments: mistakes)
    func mistake(text: String, lines: [String]) throws {
        let outcome = try convert(text)
        let told = outcome.lines.map { $0.hasPrefix(" ") ? String($0.dropFirst()) : $0 }
        #expect(told == lines)
        #expect(outcome.status == 65)
        #expect(outcome.output == "")
        #expect(!FileManager.default.fileExists(atPath: passwordFile))
    }

    @Test("A thousand anchors that would be a million million words are refused at the first alias")
    func bomb() throws {
        var text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        for level in 1...12 {
            let alias = "*a\(level - 1)"
            text += "a\(level): &a\(level) [\([String](repeating: alias, count: 10).joined(separator: ", "))]\n"
        }
        let outcome = try convert(text)
        #expect(outcome.lines == ["2: *a0: aliases are not read; write it out"])
        #expect(outcome.status == 65)
    }

    @Test("Wrong calls, a file that is not there, a folder that is not there")
    func calls() throws {
        let script = repository("scripts/import-wgkex")
        for arguments in [[], ["a", "b"], ["--help"], ["--name", "a/b", "x"], ["--password-file", "relative", "x"]] {
            let result = try run(script, arguments)
            #expect(result.status == 64 && result.output == "")
            #expect(result.errors.hasPrefix("usage: import-wgkex "))
        }
        let missing = try run(script, ["/nonexistent/wgkex.yaml"])
        #expect(missing.status == 65)
        #expect(missing.errors == "/nonexistent/wgkex.yaml: cannot read: No such file or directory\n")
        let file = try folder.write(Self.whole, to: "wgkex.yaml")
        let unwritable = try run(script, ["--password-file", "/nonexistent/password", file])
        #expect(unwritable.status == 73 && unwritable.output == "")
        #expect(unwritable.errors == "/nonexistent/password: cannot write: No such file or directory\n")
    }
}
