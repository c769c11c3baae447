internal import CommandLineOptions
internal import KexConfiguration
internal import NetworkAddresses

/// What the command line of kexd says.
struct Options {
    enum Action { case serve, checkConfiguration, help, version }

    static let known = [
        CommandLineOptions.Option(
            "listen",
            "ADDRESS:PORT",
            isRepeatable: true,
            help: "listen here, in place of what the configuration says; may be repeated"
        ),
        CommandLineOptions.Option("config", "FILE", help: "configuration file (\(Configuration.defaultPath))"),
        CommandLineOptions.Option("handler", "PATH", help: "socket of kex-handler, in place of the configured one"),
        CommandLineOptions.Option("debug", help: "log every exchange"),
        CommandLineOptions.Option("check-config", help: "print the configuration as understood, and exit"),
        CommandLineOptions.Option("help", help: "print this text, and exit"),
        CommandLineOptions.Option("version", help: "print the version, and exit"),
    ]

    static var help: String {
        let summary = "Takes key exchanges from routers over TCP and has kex-handler carry them out."
        return CommandLineOptions.help(program: "kexd", summary: summary, known: known)
    }

    let action: Action
    let listen: [Endpoint]
    let configuration: String
    let handler: String?
    let isDebugging: Bool

    init(_ arguments: some Sequence<String>) throws(UsageError) {
        let given = try CommandLineOptions(arguments, known: Self.known)
        listen = try given.values("listen", expected: "ADDRESS:PORT, IPv6 in brackets") { Endpoint($0) }
        configuration = given.value("config") ?? Configuration.defaultPath
        handler = given.value("handler")
        isDebugging = given.contains("debug")
        action =
            if given.contains("help") {
                .help
            } else if given.contains("version") {
                .version
            } else if given.contains("check-config") {
                .checkConfiguration
            } else {
                .serve
            }
    }
}
