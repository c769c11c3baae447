internal import ConfigurationFiles
internal import KexProtocol
internal import CommandLineOptions
internal import KexConfiguration
internal import NetworkAddresses
internal import ServiceProgram

let program = ServiceProgram<Configuration>(
    "kexd",
    summary: "Takes key exchanges from routers over TCP and has kex-handler carry them out.",
    options: [
        CommandLineOptions.Option(
            "listen",
            "ADDRESS[:PORT]",
            isRepeatable: true,
            help: "listen here, in place of what the configuration says; may be repeated"
        ),
        CommandLineOptions.Option("handler", "PATH", help: "socket of kex-handler, in place of the configured one"),
    ]
)

program.run { _ throws(ConfigurationError) in
} serve: { configuration, _, source, options, log in
    let listen = try options.values("listen", expected: "ADDRESS:PORT, IPv6 in brackets") {
        Endpoint($0, defaultPort: ProtocolLimit.port)
    }
    let handler = try options.values("handler", expected: "an absolute path") { $0.hasPrefix("/") ? $0 : nil }
    try serve(configuration, from: source, listen: listen, handler: handler.first, log)
}
