internal import CommandLineOptions
internal import KexConfiguration
internal import ServiceProgram

let program = ServiceProgram(
    "kex-mqtt",
    summary: "Shares routers with the other gateways over a message broker."
)

program.run { configuration throws(ConfigurationError) in
    try Membership(of: configuration)
} serve: { _, membership, source, _, log in
    var service = try Service(membership, source: source, log: log)
    try service.run()
}
