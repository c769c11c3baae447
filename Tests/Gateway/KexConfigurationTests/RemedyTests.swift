import Foundation
import Testing

/// What the programs say is to be done about a mistake: it is done, and then the mistake is gone.
@Suite("Remedies") final class RemedyTests {
    private let folder: Folder
    init() throws { folder = try Folder() }

    private static let key = KeyFileTests.key
    private static let domain = "[Domain a]\nWireGuard=wgnone\nVXLAN=vxnone\n"

    /// What a program says of a configuration.
    private func check(_ program: String, _ configuration: String) throws -> (
        status: Int32, output: String, errors: String
    ) {
        let tests = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath().deletingLastPathComponent()
        let path = try folder.write(configuration)
        return try run("\(tests.path)/\(program)", ["--config", path, "--check-config"])
    }

    private func run(_ program: String, _ arguments: [String]) throws -> (status: Int32, output: String, errors: String)
    {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        let (output, errors) = (try folder.write("", to: "output"), try folder.write("", to: "errors"))
        process.standardOutput = FileHandle(forWritingAtPath: output)
        process.standardError = FileHandle(forWritingAtPath: errors)
        try process.run()
        process.waitUntilExit()
        func content(of path: String) throws -> String { try String(contentsOfFile: path, encoding: .utf8) }
        return (process.terminationStatus, try content(of: output), try content(of: errors))
    }

    private func shell(_ script: some StringProtocol) throws {
        let result = try run("/bin/sh", ["-c", String(script)])
        #expect(result.status == 0, "\(script): \(result.errors)")
    }

    @Test("A list of prohibited keys that is missing: an empty one is made by the command")
    func prohibitedKeys() throws {
        let file = "\(folder.path)/prohibited"
        let configuration = "[Gateway]\nProhibitedKeys=\(file)\n\(Self.domain)"
        let before = try check("kex-handler", configuration)
        #expect(before.status == 78)
        let command = try #require(before.errors.firstMatch(of: #/prohibits nothing: (.*)\n/#)?.1)
        try shell(command)
        #expect(try check("kex-handler", configuration).status == 0)
        // Nothing of the kind is said of a file that is there.
        try folder.write("no key\n", to: "prohibited")
        #expect(
            try check("kex-handler", configuration).errors == "kex-handler: \(file):1: not a WireGuard public key\n"
        )
    }

    @Test(
        "A list of allowed keys that is missing, or empty, is never advised to be empty: that would take everybody out"
    )
    func allowedKeys() throws {
        let file = "\(folder.path)/allowed"
        let configuration = "\(Self.domain)AllowedKeys=\(file)\n"
        let missing = try check("kex-handler", configuration)
        #expect(missing.status == 78)
        let command = "wg show wgnone peers > \(file)"
        #expect(
            missing.errors == "kex-handler: \(file): cannot read: No such file or directory (errno 2); AllowedKeys= of "
                + "domain a says who may register; the present ones: \(command)\n"
        )
        for empty in ["", "\n", "# nobody\n", "\u{feff}"] {
            try folder.write(empty, to: "allowed")
            let result = try check("kex-handler", configuration)
            #expect(result.status == 78)
            #expect(
                result.errors == "kex-handler: \(file): no key in it, so domain a would remove all its routers; "
                    + "the present ones: \(command)\n"
            )
        }
        // As the command does it for an interface with a router.
        try folder.write("\(Self.key)\n", to: "allowed")
        #expect(try check("kex-handler", configuration).status == 0)
    }

    @Test("A key in both lists is named")
    func bothLists() throws {
        let prohibited = try folder.write("\(Self.key)\n", to: "prohibited")
        let allowed = try folder.write("\(Self.key) Anna\n", to: "allowed")
        let result = try check(
            "kex-handler",
            "[Gateway]\nProhibitedKeys=\(prohibited)\n\(Self.domain)AllowedKeys=\(allowed)\n"
        )
        #expect(result.status == 78)
        #expect(
            result.errors
                == "kex-handler: \(allowed): \(Self.key) is in ProhibitedKeys= as well: remove it from one\n"
        )
    }

    private static let bus = "\(domain)[Gateway]\nExternalName=gw.example.net\n[Bus]\nBroker=192.0.2.1\n"

    @Test("A signing key or a password that others can read: the command is run, and nothing more is said")
    func secrets() throws {
        let key = try folder.write("\(Self.key)\n", to: "signing")
        let password = try folder.write("secret\n", to: "password")
        let configuration = "\(Self.bus)SigningKey=\(key)\nUser=u\nPasswordFile=\(password)\n"
        for (mode, group, readers) in [
            (0o644, 0, "everybody can read it"), (0o604, 65534, "everybody can read it"),
            (0o640, 65534, "its group can read it, and front doors that strangers talk to may be in that"),
            (0o640, 0, nil), (0o600, 65534, nil), (0o400, 0, nil),
        ] as [(mode: Int, group: UInt32, readers: String?)] {
            for file in [key, password] {
                try shell("chown 0:\(group) \(file) && chmod \(String(mode, radix: 8)) \(file)")
            }
            let result = try check("kex-mqtt", configuration)
            #expect(result.status == 0)
            let expected = readers.map { readers in
                [key, password].map { "kex-mqtt: \($0): \(readers): chown kex-mqtt \($0) && chmod 400 \($0)\n" }
                    .joined()
            }
            #expect(result.errors == expected ?? "")
            guard readers != nil else { continue }
            for match in result.errors.matches(of: #/: (chown .*)\n/#) {
                // Where there is no such user, root is him.
                try shell(match.1.replacing("chown kex-mqtt", with: "chown root"))
            }
            #expect(try check("kex-mqtt", configuration).errors == "")
        }
    }

    @Test("Secrets may have a byte order mark and the line ends of other systems; two lines and none are mistakes")
    func secretTexts() throws {
        let key = try folder.write("\u{feff}\(Self.key)\r\n", to: "signing")
        let trusted = try folder.write("\u{feff}\(Self.key) gw01 # ours\r\n", to: "trusted")
        let password = try folder.write("\u{feff}secret\r\n", to: "password")
        for file in [key, password] { try shell("chmod 400 \(file)") }
        let configuration = "\(Self.bus)SigningKey=\(key)\nTrustedKeys=\(trusted)\nUser=u\nPasswordFile=\(password)\n"
        #expect(try check("kex-mqtt", configuration).status == 0)
        for (text, reason) in [
            ("", "the file holds no password"), ("\n", "the file holds no password"),
            ("a\nb\n", "the file holds more than one line"),
        ] {
            try folder.write(text, to: "password")
            try shell("chmod 400 \(password)")
            let result = try check("kex-mqtt", configuration)
            #expect(result.status == 78)
            #expect(result.errors == "kex-mqtt: \(password): \(reason)\n")
        }
        try folder.write("secret", to: "password")
        try shell("chmod 400 \(password)")
        // A key that is none: the command makes one.
        try folder.write("secret\n", to: "signing")
        let wrong = try check("kex-mqtt", configuration)
        let command = try #require(wrong.errors.firstMatch(of: #/must trust anew: (.*)\n/#)?.1)
        // Where there is no such user, root is him.
        try shell(command.replacing("-o kex-mqtt", with: "-o root"))
        let made = try check("kex-mqtt", configuration)
        #expect(made.status == 0 && made.errors == "")
    }

    @Test("A machine whose own name routers cannot look up, and that tells it to them, is told so")
    func ownName() throws {
        let told = "\(Self.domain)LinkAddress=fe80::1\n"
        for program in ["kex-http", "kex-mqtt"] {
            let bus = program == "kex-mqtt" ? "[Bus]\nBroker=192.0.2.1\n" : ""
            let tests = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath()
                .deletingLastPathComponent()
            func named(_ text: String) throws -> String {
                let path = try folder.write(text + bus)
                let command = "hostname gw01 && exec \(tests.path)/\(program) --config \(path) --check-config"
                let result = try run("/usr/bin/unshare", ["--uts", "sh", "-c", command])
                #expect(result.status == 0)
                return result.errors
            }
            let reason =
                "routers are told this machine's name, gw01, which they cannot look up: set ExternalName="
            #expect(try named(told) == "\(program): [Gateway]: \(reason)\n")
            #expect(try named(told + "[Gateway]\nExternalName=gw01.example.net\n") == "")
            #expect(try named(Self.domain) == "", "nobody is told")
        }
    }
}
