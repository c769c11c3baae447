import CommandLineOptions
import Testing

private let known = [
    CommandLineOptions.Option("listen", "ADDRESS", isRepeatable: true, help: "where"),
    CommandLineOptions.Option("config", "FILE", help: "which"),
    CommandLineOptions.Option("help", help: "this"),
]

@Suite("Options of a program") struct CommandLineOptionsTests {
    @Test("have their value behind them or behind an equals sign", arguments: [["--config", "a=b"], ["--config=a=b"]])
    func value(arguments: [String]) throws {
        let options = try CommandLineOptions(arguments, known: known)
        #expect(options.value("config") == "a=b")
        #expect(options.contains("config"))
        #expect(!options.contains("help"))
        #expect(options.value("listen") == nil)
    }

    @Test("may be repeated where it says so, and keep their order")
    func repeated() throws {
        let options = try CommandLineOptions(["--listen", "1", "--help", "--listen=2"], known: known)
        #expect(try options.values("listen", expected: "a number") { Int($0) } == [1, 2])
        #expect(options.contains("help"))
    }

    @Test(
        "are refused by name",
        arguments: [
            (["x"], .unexpectedArgument("x")),
            (["-h"], .unexpectedArgument("-h")),
            (["--"], .unknownOption("")),
            (["--bogus"], .unknownOption("bogus")),
            (["--bogus=1"], .unknownOption("bogus")),
            (["--config", "a", "--config", "b"], .repeated("config")),
            (["--help", "--help"], .repeated("help")),
            (["--config"], .missingValue("config", "FILE")),
            (["--config="], .missingValue("config", "FILE")),
            (["--config", ""], .missingValue("config", "FILE")),
            (["--help=1"], .unexpectedValue("help")),
        ] as [([String], UsageError)]
    )
    func refused(arguments: [String], error: UsageError) {
        #expect(throws: error) { try CommandLineOptions(arguments, known: known) }
    }

    @Test("are refused for a value that cannot be read, with what was expected")
    func invalidValue() throws {
        let options = try CommandLineOptions(["--listen", "1", "--listen", "x"], known: known)
        let error = UsageError.invalidValue("listen", "x", expected: "a number")
        #expect(throws: error) { try options.values("listen", expected: "a number") { Int($0) } }
        #expect("\(error)" == "option --listen x: expected a number")
    }

    @Test("are listed in the help, in columns")
    func help() {
        let help = CommandLineOptions.help(program: "kexd", summary: "Does it.", known: known)
        #expect(
            help == """
                Usage: kexd [OPTION]...
                Does it.

                Options:
                  --listen ADDRESS  where
                  --config FILE     which
                  --help            this

                """
        )
    }

    @Test("that are wrong end a program with the status of sysexits.h") func status() {
        #expect(UsageError.exitStatus == 64)
    }
}
