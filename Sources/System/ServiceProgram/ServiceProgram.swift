public import CommandLineOptions
public import ConfigurationFiles
internal import Glibc
public import Logging
internal import SystemCalls
internal import SystemPackage
internal import Systemd
internal import Time

/// What services have in common from the first argument to the first work: the options that every service has, the
/// configuration, the log, and the exit statuses.
public struct ServiceProgram<Configuration: ServiceConfiguration> {
    /// Also the name in the log.
    public let name: String
    private let summary: String
    private let known: [CommandLineOptions.Option]

    /// - Parameters:
    ///   - summary: what the program does, one line.
    ///   - options: beside those that every service has.
    public init(_ name: String, summary: String, options: [CommandLineOptions.Option] = []) {
        self.name = name
        self.summary = summary
        known =
            options + [
                CommandLineOptions.Option("config", "FILE", help: "configuration file (\(Configuration.defaultPath))"),
                CommandLineOptions.Option("check-config", help: "print the configuration as understood, and exit"),
                CommandLineOptions.Option("debug", help: "log more"),
                CommandLineOptions.Option("help", help: "print this text, and exit"),
                CommandLineOptions.Option("version", help: "print the version, and exit"),
            ]
    }

    /// Does what the arguments of this process ask for.
    ///
    /// - Parameters:
    ///   - check: looks at files that the configuration names, so that `--check-config` finds what is wrong with them.
    ///   - doubts: what can be used and will hardly do what is meant; it is logged each time when the configuration is
    ///     read.
    ///   - remarks: what `--check-config` says besides, a line each: what is not wrong, and worth knowing.
    ///   - serve: does the service's work until it is told to end. It gets the source for reading the configuration
    ///     again.
    /// - Returns: never; the process ends with 0, 64 for wrong usage, 78 for a configuration that cannot be used
    ///   (EX_USAGE and EX_CONFIG of `sysexits.h`), or 1 if `serve` fails.
    public func run<Checked>(
        check: @escaping (Configuration) throws(ConfigurationError) -> Checked,
        doubts: @escaping (Configuration) -> [ConfigurationMistake] = { _ in [] },
        remarks: (Configuration, Checked) -> [String] = { _, _ in [] },
        serve: (Configuration, Checked, ConfigurationSource<Configuration, Checked>, CommandLineOptions, Logger) throws
            -> Void
    ) -> Never {
        openStandardDescriptors()
        var log = Logger(label: name) { [name] _ in ServiceLog(program: name) }
        var isForService = true
        do {
            let options = try CommandLineOptions(CommandLine.arguments.dropFirst(), known: known)
            if options.contains("help") {
                print(CommandLineOptions.help(program: name, summary: summary, known: known))
                print("Exit status: 0 told to end, 1 cannot serve, 64 wrong usage, 78 mistakes in the configuration.")
                exit(EXIT_SUCCESS)
            }
            if options.contains("version") {
                print("\(name) \(packageVersion)")
                exit(EXIT_SUCCESS)
            }
            if options.contains("debug") { log.logLevel = .debug }
            isForService = !options.contains("check-config")
            let path = options.value("config") ?? Configuration.defaultPath
            let source = ConfigurationSource(path: path, check: check, doubts: doubts, log: log)
            let (configuration, checked) = try source.read()
            if !isForService {
                print(configuration)
                // Comments, so that what is printed can be read as a configuration.
                for remark in remarks(configuration, checked) { print("# \(remark)") }
                exit(EXIT_SUCCESS)
            }
            try serve(configuration, checked, source, options, log)
            exit(EXIT_SUCCESS)
        } catch let error as UsageError {
            log.log(.wrongUsage, .error, "\(error); see \(name) --help")
            exit(UsageError.exitStatus)
        } catch let error as ConfigurationError {
            error.log(to: log)
            if isForService { waitForManager(error) }
            exit(78)
        } catch {
            log.log(.cannotServe, .critical, "\(error)\(Self.advice(for: error))")
            exit(EXIT_FAILURE)
        }
    }

    /// Waits if the service manager would start the program again at once. SIGTERM still ends it, because nothing
    /// handles that signal yet.
    private func waitForManager(_ error: ConfigurationError) {
        guard ServiceState.hasManager else { return }
        ServiceState.status("\(error.mistakes.count) mistakes in the configuration, see the log; trying again")
        (MonotonicTime.now + pauseAfterMistakes).sleep()
    }

    /// What to do about the errors that operators meet at the start.
    private static func advice(for error: any Error) -> String {
        switch (error as? SystemCallError)?.errno {
        case .addressInUse: "; another process has it, see ss -lntxp, or it was given twice"
        case .noSuchFileOrDirectory: "; is its folder there? systemd-tmpfiles --create kex.conf makes /run/kex"
        case .socketIsConnected:
            "; its socket unit has Accept=yes: set Accept=no there (systemctl edit), and restart it"
        case .permissionDenied: "; run it as root, or by its systemd unit"
        default: ""
        }
    }
}

/// How long a service with mistakes in its configuration waits under systemd before it ends. Its units start it again
/// at once, because clients wait; this keeps the same mistakes from filling the log and a processor.
private let pauseAfterMistakes = Duration.seconds(5)

extension ConfigurationError {
    /// Writes a line for each mistake.
    public func log(to log: Logger) {
        for mistake in mistakes { log.log(.mistake, .error, "\(mistake)") }
    }
}

/// Opens whatever is closed of standard input, output and error. Otherwise the next socket would get its number, and a
/// stranger might read the log.
public func openStandardDescriptors() {
    for number in STDIN_FILENO...STDERR_FILENO where fcntl(number, F_GETFD) == -1 {
        // The lowest free number is this one, since those below are open.
        let opened = unsafe open("/dev/null", O_RDWR)
        precondition(opened == number, "/dev/null cannot be opened")
    }
}
