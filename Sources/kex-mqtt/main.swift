internal import CommandLineOptions
internal import ConfigurationFiles
internal import BusConfiguration
internal import KexConfiguration
internal import ServiceProgram
internal import TLSFiles

let program = ServiceProgram<MemberConfiguration>(
    "kex-mqtt",
    summary: "Shares routers with the other gateways over a message broker."
)

program.run { configuration throws(ConfigurationError) in
    try Membership(of: configuration)
} doubts: { configuration in
    let bus = configuration.bus
    return configuration.gateway.doubtAboutOwnName
        + [bus?.signingKey, bus?.passwordFile].flatMap { Doubt.secret(at: $0, of: "kex-mqtt") }
        + Doubt.secret(at: bus?.tls?.identity?.privateKey, of: "kex-mqtt", isForGroup: true)
} serve: { _, membership, source, _, log in
    var service = try Service(membership, source: source, log: log)
    try service.run()
}
