internal import CommandLineOptions
internal import Glibc
internal import Logging
internal import NetworkAddresses
internal import Systemd

/// One call of the program.
struct Invocation {
    /// Why it cannot be done, in words, and what the program ends with.
    struct Failure: Error {
        let status: Int32
        let text: String

        init(_ status: ExitStatus, _ text: String) {
            self.status = status.rawValue
            self.text = text
        }
    }

    /// Source: `sysexits.h`.
    enum ExitStatus: Int32 {
        case usage = 64
        /// A file of wirelink that is not understood.
        case input = 65
        /// Nobody answers.
        case unavailable = 69
        /// The system refused.
        case system = 71
        /// Mistakes in the configuration.
        case configuration = 78
    }

    enum Command: String, CaseIterable {
        case run, check, status, `import`, clean
        /// For the keeper only.
        case member

        /// What stands behind its name.
        var operand: String {
            switch self {
            case .run, .clean: "IFACE"
            case .status: "[IFACE]"
            case .check: "FILE"
            case .import: "FILE"
            case .member: ""
            }
        }

        var help: String {
            switch self {
            case .run: "keep the links of a WireGuard interface, until told to end"
            case .check: "print a configuration as understood"
            case .status: "tell how traffic goes to each member"
            case .import: "print what wirelink's file (JSON, YAML, TOML) means here"
            case .clean: "take away the peers that a killed kex-link left behind"
            case .member: ""
            }
        }

        var options: [CommandLineOptions.Option] {
            let folder = CommandLineOptions.Option(
                "runtime-directory",
                "FOLDER",
                help: "where its files and sockets are (\(RuntimeFiles.usualFolder))"
            )
            let debug = CommandLineOptions.Option("debug", help: "log more")
            switch self {
            case .run:
                return [
                    CommandLineOptions.Option(
                        "config",
                        "FILE",
                        help: "of the interface (\(RuntimeFiles.configurationFolder)/IFACE.conf)"
                    ),
                    CommandLineOptions.Option("gateway-config", "FILE", help: "of a gateway (/etc/kex/kex.conf)"),
                    CommandLineOptions.Option("user", "NAME", help: "without rights, for the member (kex-link)"),
                    folder, debug,
                ]
            case .clean: return [folder, debug]
            case .status: return [CommandLineOptions.Option("json", help: "for programs"), folder]
            case .check, .import: return []
            case .member:
                return ["uid", "gid", "parent"].map { CommandLineOptions.Option($0, "NUMBER", help: "") } + [debug]
            }
        }
    }

    let command: Command
    let operand: String?
    let options: CommandLineOptions

    init(_ arguments: [String]) throws(Failure) {
        if arguments == ["--version"] {
            print("kex-link \(packageVersion)")
            exit(EXIT_SUCCESS)
        }
        guard let first = arguments.first, !arguments.contains("--help") else {
            print(Self.help)
            exit(arguments.isEmpty ? ExitStatus.usage.rawValue : EXIT_SUCCESS)
        }
        guard let command = Command(rawValue: first) else {
            throw Failure(.usage, "unknown command \(first); see kex-link --help")
        }
        var rest = Array(arguments.dropFirst())
        var operand: String?
        if !command.operand.isEmpty, let next = rest.first, !next.hasPrefix("--") {
            operand = next
            rest.removeFirst()
        }
        guard operand != nil || command.operand.isEmpty || command.operand.hasPrefix("[") else {
            throw Failure(.usage, "\(first) needs \(command.operand): kex-link \(first) \(command.operand)")
        }
        do throws(UsageError) {
            options = try CommandLineOptions(rest, known: command.options)
        } catch {
            throw Failure(.usage, "\(error); see kex-link --help")
        }
        self.command = command
        self.operand = operand
    }

    private static var help: String {
        let commands = Command.allCases.filter { !$0.help.isEmpty }
        let width = commands.map { $0.rawValue.count + $0.operand.count }.max() ?? 0
        var lines = [
            "Usage: kex-link COMMAND [OPTION]...", "Direct links between machines that share a WireGuard hub.",
        ]
        for command in commands {
            let name = "\(command.rawValue) \(command.operand)"
            lines.append("")
            lines.append("  \(name)\(String(repeating: " ", count: width + 1 - name.count))  \(command.help)")
            for option in command.options {
                lines.append("      --\(option.name)\(option.placeholder.map { " \($0)" } ?? ""): \(option.help)")
            }
        }
        lines.append("")
        lines.append(
            """
            Exit status: 0 done, 64 wrong usage, 65 a file that is not understood, 69 nobody answers, 71 the system \
            refused, 78 mistakes in the configuration.
            """
        )
        return lines.joined(separator: "\n")
    }

    /// Does it.
    ///
    /// - Returns: what the program ends with.
    func run() throws(Failure) -> Int32 {
        switch command {
        case .run: return try runKeeper()
        case .member: return try runMember()
        case .clean: return try clean()
        case .status: return try status()
        case .check: return try check()
        case .import: return try importFile()
        }
    }

    /// The interface that is the operand.
    func interface() throws(Failure) -> InterfaceName {
        guard let operand, let name = InterfaceName(operand) else {
            throw Failure(.usage, "\(operand ?? ""): expected an interface name of 1 to 15 bytes")
        }
        return name
    }

    var log: Logger {
        var log = Logger(label: "kex-link") { _ in ServiceLog(program: "kex-link") }
        if options.contains("debug") { log.logLevel = .debug }
        return log
    }

    var files: RuntimeFiles { RuntimeFiles(folder: options.value("runtime-directory") ?? RuntimeFiles.usualFolder) }

    /// A number that only the keeper gives.
    func number(_ option: String) throws(Failure) -> UInt32 {
        guard let number = options.value(option).flatMap({ UInt32($0) })
        else { throw Failure(.usage, "member is for kex-link run to start") }
        return number
    }
}

/// Tells the user on standard error, where it does not mix with results.
func say(_ text: String) {
    for line in text.split(separator: "\n") { write("kex-link: \(line)\n", to: STDERR_FILENO) }
}

/// Writes all of `text`. What cannot be written is lost: there is nowhere left to complain.
func write(_ text: String, to descriptor: Int32) {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
        let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
        if count < 0 && errno == EINTR { continue }
        guard count > 0 else { return }
        rest = rest.dropFirst(count)
    }
}
