internal import CommandLineOptions
internal import ConfigurationFiles
internal import HTTPConfiguration
internal import KexConfiguration
internal import KexHTTP
internal import NetworkAddresses
internal import ServiceProgram

let program = ServiceProgram<FrontDoorConfiguration>(
    "kex-http",
    summary: "Takes key exchanges from routers over HTTP and has kex-handler carry them out.",
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

program.run { configuration throws(ConfigurationError) in
    try identity(of: configuration)
} doubts: { configuration in
    configuration.gateway.doubtAboutOwnName
        + Doubt.secret(at: configuration.http.privateKey, of: "kex-http", isForGroup: true)
} serve: { configuration, identity, source, options, log in
    let listen = try options.values("listen", expected: "ADDRESS:PORT, IPv6 in brackets") {
        Endpoint($0, defaultPort: HTTPSection.defaultPort)
    }
    let handler = try options.values("handler", expected: "an absolute path") { $0.hasPrefix("/") ? $0 : nil }
    try serve(configuration, identity, from: source, listen: listen, handler: handler.first, log)
}
