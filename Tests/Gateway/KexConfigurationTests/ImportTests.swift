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
            weight: "0"
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

    @Test("A whole file becomes what kex-http understands, line by line; what has no counterpart is named")
    func whole() throws {
        let outcome = try convert(Self.whole)
        #expect(outcome.status == 0)
        let check = try checkConfiguration(outcome.output)
        #expect(check.errors == "")
        #expect(
            check.output == """
                [Gateway]
                Listen=[::]:10012
                HandlerSocket=/run/kex/handler.sock
                FleetSocket=/run/kex/fleet.sock
                ControlSocket=/run/kex/control.sock
                StateDirectory=/var/lib/kex
                ExternalName=gw04.ext.example.net

                [HTTP]
                Listen=[::]:5000

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
                Fdb=flood
                FloodAfter=first-frame
                MaximumPeers=1000
                StaleAfter=1h
                SweepInterval=15min

                [Domain ffwert_city]
                WireGuard=wg-city
                VXLAN=vx-city
                AddressProfile=ffmuc
                Fdb=flood
                FloodAfter=first-frame
                MaximumPeers=1000
                StaleAfter=1h
                SweepInterval=15min

                """
        )
        #expect(
            outcome.lines == [
                "17: mqtt.keepalive: no counterpart; kex has its own",
                "13: mqtt.tls: kex-mqtt speaks TLS, which the worker did not; port 1884 of the broker must speak TLS",
                "20: broker_listen: under systemd the port is that of kex-http.socket",
                "22: logging_config: no counterpart; the journal has what the programs say",
                "2: domain ffmuc_muc_cty: add LinkAddress=, the address of wg-muc_cty, for kex-http and the bus",
                "3: domain ffwert_city: add LinkAddress=, the address of wg-city, for kex-http and the bus",
                "\(passwordFile): has the password now, readable by root only; chown it to kex-mqtt",
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
        #expect(again.lines.last == "\(passwordFile): exists already, so the password was not written")
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
                Fdb=flood

                """
        )
        #expect(outcome.lines.contains("4: colour: no counterpart; unknown to this script"))
        #expect(outcome.lines.contains("5: workers.gw01.pop: no counterpart; unknown to this script"))
        #expect(!FileManager.default.fileExists(atPath: passwordFile))
    }

    /// A configuration as operators have them, and what it gives.
    struct Deployed: CustomTestStringConvertible, Sendable {
        let name: String
        let file: String
        /// Lines before the domains, blank ones left out.
        let lines: [String]
        var domains = ["ffmuc_city"]
        /// What is said, but for the lines on `LinkAddress=`.
        var notes: [String] = []
        var password: String?
        var testDescription: String { name }
    }

    private static let head = """
        domains: [ffmuc_city]
        domain_prefixes: [ffmuc_, ffumland_]

        """
    private static let anonymous = """
        mqtt:
          broker_url: mqtt.example.net
          username:
          password:

        """
    private static let bus = ["[Bus]", "Broker=mqtt.example.net:1883", "Name=gw04"]
    private static let listen = "broker_listen:\n  host: 0.0.0.0\n  port: 5000\n"
    private static let socketNote = "broker_listen: under systemd the port is that of kex-http.socket"
    private static let noBroker =
        "1: broker_listen: none, as on a machine without the broker; kex-http listens where its socket does"

    private static let deployed = [
        Deployed(
            name: "production: user and password with nothing behind them",
            file: head + anonymous + listen,
            lines: ["[HTTP]", "Listen=0.0.0.0:5000"] + bus,
            notes: ["8: \(socketNote)"]
        ),
        Deployed(
            name: "a worker: no broker_listen, no weights, its name outside",
            file: head + anonymous + "externalName: gw04.example.net\n",
            lines: ["[Gateway]", "ExternalName=gw04.example.net"] + bus,
            notes: [noBroker]
        ),
        Deployed(
            name: "a null for everything that may be one",
            file: """
                domains: [ffmuc_city]
                domain_prefixes: [ffmuc_]
                externalName: ~
                workers:
                broker_listen: null
                logging_config: null
                mqtt: {broker_url: mqtt.example.net, broker_port: null, username: ~, password: ~, tls: , keepalive: }
                """,
            lines: bus,
            notes: [
                "6: logging_config: no counterpart; the journal has what the programs say",
                "7: mqtt.keepalive: no counterpart; kex has its own",
            ]
        ),
        Deployed(
            name: "weights: null, none, 0, text, text 0, the empty text, a fraction, true",
            file: head + anonymous + listen + """
                workers:
                  gw01: {weight: null}
                  gw02: {}
                  gw03: {weight: 0}
                  gw04: {weight: "20"}
                  gw05: {weight: "0"}
                  gw06: {weight: ""}
                  gw07: {weight: 2.9}
                  gw08: {weight: true}
                  gw09.example.net:
                """,
            lines: ["[HTTP]", "Listen=0.0.0.0:5000"] + bus
                + ["1 1", "2 1", "3 1", "4 20", "5 0", "6 1", "7 2", "8 1", "9.example.net 1"].map { "Weight=gw0\($0)" },
            notes: ["8: \(socketNote)", "13: workers.gw03.weight: 0 means 1 to wgkex; Weight=gw03 0 would drain it"]
        ),
        Deployed(
            name: "TLS as a text, a port as a text, a user with a password",
            file: head + """
                mqtt:
                  broker_url: mqtt.example.net
                  broker_port: "8883"
                  username: gw
                  password: 'secret'
                  tls: "yes"
                """,
            lines: [
                "[Bus]", "Broker=mqtt.example.net:8883", "User=gw", "PasswordFile=PASSWORD",
                "CAFile=/etc/ssl/certs/ca-certificates.crt", "Name=gw04",
            ],
            notes: [
                "4: mqtt.tls: kex-mqtt speaks TLS, which the worker did not; port 8883 of the broker must speak TLS",
                noBroker, "PASSWORD: has the password now, readable by root only; chown it to kex-mqtt",
            ],
            password: "secret"
        ),
        Deployed(
            name: "TLS as a text that says no, which counts as yes",
            file: head + anonymous + "  tls: 'no'\n",
            lines: ["[Bus]", "Broker=mqtt.example.net:1883", "CAFile=/etc/ssl/certs/ca-certificates.crt", "Name=gw04"],
            notes: [
                "7: mqtt.tls: wgkex takes the text no for yes, so TLS is on",
                "4: mqtt.tls: kex-mqtt speaks TLS, which the worker did not; port 1883 of the broker must speak TLS",
                noBroker,
            ]
        ),
        Deployed(
            name: "TLS as the word off, which is no text",
            file: head + anonymous + "  tls: off\n",
            lines: bus,
            notes: [noBroker]
        ),
        Deployed(
            name: "a container: JSON, a broker that is an address, a password for nobody",
            file: """
                {"domains": ["ffmuc_city"], "domain_prefixes": ["ffmuc_"], "workers": {},
                 "mqtt": {"broker_url": "192.0.2.7", "broker_port": 1883, "username": "", "password": "x", "tls": false},
                 "broker_listen": {"host": "::", "port": "5000"}}
                """,
            lines: ["[HTTP]", "Listen=[::]:5000", "[Bus]", "Broker=192.0.2.7:1883", "Name=gw04"],
            notes: ["2: mqtt.password: no counterpart without a user", "3: \(socketNote)"]
        ),
        Deployed(
            name: "anchors and merges for what is the same",
            file: head + anonymous + """
                default: &default
                  weight: 7
                workers:
                  gw01: *default
                  gw02:
                    <<: *default
                  gw03:
                    weight: 9
                    <<: [*default, {weight: 5}]
                """,
            lines: bus + ["Weight=gw01 7", "Weight=gw02 7", "Weight=gw03 9"],
            notes: ["7: default: no counterpart; unknown to this script", noBroker]
        ),
        Deployed(
            name: "a key twice, where the last counts; a domain that nobody may ask for",
            file: head.replacing("[ffmuc_city]", with: "[ffwert_sea]") + anonymous + """
                domains:
                  - ffwert_sea
                  - ffumland_west
                """,
            lines: bus,
            domains: ["ffumland_west"],
            notes: [
                "7: the file: domains is given twice; this one counts, as in wgkex", noBroker,
                "8: domain ffwert_sea: left out; it begins with no prefix, so wgkex refuses its routers too",
            ]
        ),
        Deployed(
            name: "a broker of the branch with more in it",
            file: head + anonymous + listen + """
                workers: {gw01: {id: 1, pop: muc, weight: 30}}
                sticky_worker_tolerance: 10
                parker: {enabled: false}
                broker_signing_key: /etc/wgkex.key
                """,
            lines: ["[HTTP]", "Listen=0.0.0.0:5000"] + bus + ["Weight=gw01 30"],
            notes: [
                "8: \(socketNote)", "11: sticky_worker_tolerance: no counterpart; unknown to this script",
                "12: parker: no counterpart; unknown to this script",
                "13: broker_signing_key: no counterpart; unknown to this script",
                "10: workers.gw01.id: no counterpart; unknown to this script",
                "10: workers.gw01.pop: no counterpart; unknown to this script",
            ]
        ),
        Deployed(
            name: "a broker for a proxy on its own machine",
            file: head + anonymous + "broker_listen: {host: localhost, port: 5000}\n",
            lines: ["[HTTP]", "Listen=127.0.0.1:5000", "Listen=[::1]:5000"] + bus,
            notes: ["7: \(socketNote)"]
        ),
        Deployed(
            name: "a broker that listens on a name",
            file: head + anonymous + "broker_listen: {host: gw04.example.net, port: 5000}\n",
            lines: bus,
            notes: [
                "7: \(socketNote)", "7: broker_listen.host: gw04.example.net: kex does not look up names; left out",
            ]
        ),
        Deployed(
            name: "a broker without a port, which does not start there",
            file: head + anonymous + "broker_listen:\n  host: 127.0.0.1\n  port:\n",
            lines: bus,
            notes: ["8: broker_listen: without host and port no broker starts; left out"]
        ),
        Deployed(
            name: "a name that only its own machine knows, with a byte order mark and comments",
            file: "\u{feff}# gw04\n" + head + anonymous + "externalName: gw04 # short\n",
            lines: bus,
            notes: [
                "8: externalName: gw04: routers cannot find this name; left out, so add ExternalName=",
                noBroker.replacing("1:", with: "2:"),
            ]
        ),
        Deployed(
            name: "the address as the name outside, and a broker of IPv6",
            file: head + "externalName: 192.0.2.4\nmqtt: {broker_url: '2001:db8::7', username: '', password: ''}\n",
            lines: ["[Gateway]", "ExternalName=192.0.2.4", "[Bus]", "Broker=[2001:db8::7]:1883", "Name=gw04"],
            notes: [noBroker]
        ),
        Deployed(
            name: "many domains with prefixes of which one begins the other",
            file: head.replacing("[ffmuc_city]", with: "[ffmuc_city, ffmuc_welt, ffmuc_uml_north]")
                .replacing("[ffmuc_, ", with: "[ffmuc_uml_, ffmuc_, ") + anonymous,
            lines: bus,
            domains: ["ffmuc_city", "ffmuc_welt", "ffmuc_uml_north"],
            notes: [noBroker]
        ),
    ]

    @Test("Configurations that the broker and the worker take", arguments: deployed)
    func takes(_ deployed: Deployed) throws {
        let outcome = try convert(deployed.file)
        #expect(outcome.status == 0, "\(outcome.lines)")
        let output = outcome.output.split(separator: "\n").dropFirst().map(String.init)
        let sections = deployed.domains.flatMap { domain in
            let stem = domain.split(separator: "_").last!
            return [
                "[Domain \(domain)]", "WireGuard=wg-\(stem)", "VXLAN=vx-\(stem)", "AddressProfile=ffmuc", "Fdb=flood",
            ]
        }
        func named(_ line: String) -> String { line.replacing("PASSWORD", with: passwordFile) }
        #expect(output == deployed.lines.map(named) + sections)
        #expect(outcome.lines.filter { !$0.contains("LinkAddress") } == deployed.notes.map(named))
        #expect(deployed.password.map { "\($0)\n" } == (try? String(contentsOfFile: passwordFile, encoding: .utf8)))
        let check = try checkConfiguration(outcome.output)
        #expect(check.status == 0 && check.errors == "")
    }

    /// What kex-http, which reads all sections, says of a configuration that kex-handler can use.
    private func checkConfiguration(_ text: String) throws -> (status: Int32, output: String, errors: String) {
        let tests = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath().deletingLastPathComponent()
        let configuration = try folder.write(text)
        let handler = try run("\(tests.path)/kex-handler", ["--config", configuration, "--check-config"])
        #expect(handler.status == 0 && handler.errors == "")
        return try run("\(tests.path)/kex-http", ["--config", configuration, "--check-config"])
    }

    private static let domainName = "a name of at most 42 letters, digits, dots, hyphens and underscores"

    /// Each with the whole of what is said.
    private static let mistakes: [(text: String, lines: [String])] = [
        ("", ["the file is empty"]),
        ("- a\n", ["1: the file: expected keys and values"]),
        ("a: [\n", ["2: no YAML: while parsing a flow node, expected the node content, but found '<stream end>'"]),
        ("a: b: c\n", ["1: no YAML: mapping values are not allowed here"]),
        ("a: 1\n--- \nb: 1\n", ["2: no YAML: expected a single document in the stream, but found another document"]),
        (least.replacing("[ff_a]", with: "&x [*x]"), ["1: domains: expected \(domainName)"]),
        (least + "? [a]\n: b\n", ["4: the file: a key is not a word"]),
        ("a: " + String(repeating: "[", count: 10_000), ["1: more than 32 levels"]),
        ("a: " + String(repeating: "x", count: 1 << 20), ["file of more than 1048576 bytes"]),
        ("a: \u{0}\n", ["no YAML: bytes that are no text"]),
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
            [
                "1: domains: expected \(domainName); quote it", "1: domains: ff/b: expected \(domainName)",
                "1: domains: expected \(domainName)",
            ]
        ),
        (least.replacing("[ff_a]", with: "[fx_a]"), ["1: domains: none, so there is nothing to do"]),
        (
            least.replacing("[ff_a]", with: "[ff_, ff_abcdefghijkl, ff_abcdefghijklm]"),
            [
                "1: domain ff_: wg- is not an interface name (3 and 1 to 12 characters)",
                "1: domain ff_abcdefghijklm: wg-abcdefghijklm is not an interface name (3 and 1 to 12 characters)",
            ]
        ),
        (
            least.replacing("[ff_a]", with: "[ff_a, fx_a]").replacing("[ff_]", with: "[ff_, fx_]"),
            ["1: domain fx_a: wg-a is already the interface of domain ff_a"]
        ),
        (least.replacing("username: \"\", ", with: ""), ["3: mqtt.username is missing, which wgkex needs"]),
        (least.replacing("password: \"\"", with: "password: 1234"), ["3: mqtt.password: expected a text; quote it"]),
        (
            least.replacing("password: \"\"", with: "password: \"a\\nb\""), ["3: mqtt.password: it has a line break"]
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
            least.replacing("username", with: "broker_port: 0, tls: [1], username"),
            [
                "3: mqtt.broker_port: 0: expected a number from 1 to 65535", "3: mqtt.tls: expected true or false",
            ]
        ),
        (
            least
                + "workers: {a: {weight: 10001}, b: {weight: .inf}, c/d: {}, e: {weight: -1}, f: 7, g: {weight: x}}\n",
            [
                "4: workers.a.weight: 10001: expected a number from 0 to 10000",
                "4: workers.b.weight: .inf: expected a number from 0 to 10000", "4: workers: c/d: expected a host name",
                "4: workers.e.weight: -1: expected a number from 0 to 10000",
                "4: workers.f: expected keys and values",
                "4: workers.g.weight: x: expected a number from 0 to 10000",
            ]
        ),
        (
            least + "broker_listen: {host: 7, port: 65536}\n",
            [
                "4: broker_listen.host: expected a text; quote it",
                "4: broker_listen.port: 65536: expected a number from 1 to 65535",
            ]
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

    @Test("Little text that would be a million million words is read or refused in no time")
    func bomb() throws {
        func levels(_ line: (_ level: Int, _ aliases: String) -> String) -> String {
            "a0: &a0 {x: 1}\n"
                + (1...12).map {
                    line($0, [String](repeating: "*a\($0 - 1)", count: 10).joined(separator: ", ")) + "\n"
                }
                .joined()
        }
        // Nobody asks what these are.
        let lists = try convert(Self.least + levels { "a\($0): &a\($0) [\($1)]" })
        #expect(lists.status == 0 && lists.lines.count == 15)
        let merges = try convert(Self.least + levels { "a\($0): &a\($0) {<<: [\($1)]}" } + "workers: {<<: *a12}\n")
        #expect(merges.lines == ["4: workers.x: expected keys and values"])
        let chain = "workers:\n" + (1...40).map { "  w\($0): &w\($0) {<<: *w\($0 - 1)}\n" }.joined()
        let deep = try convert(Self.least + "w: &w0 {}\n" + chain + "  w41: {<<: *w40}\n")
        #expect(deep.status == 0, "each is read before the next asks for it")
        let wide = (1...400).map { "k\($0): 1" }.joined(separator: ", ")
        let many = try convert(Self.least + "k: &k {\(wide)}\nworkers:\n" + String(repeating: "  <<: *k\n", count: 300))
        #expect(many.lines == ["256: << brings more than 100000 keys along"])
        #expect(many.status == 65)
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
