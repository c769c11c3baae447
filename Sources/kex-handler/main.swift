internal import CommandLineOptions
internal import ConfigurationFiles
internal import GatewayState
internal import HandlerChannel
internal import KexConfiguration
internal import KexDomain
internal import PacketChannel
internal import ServiceProgram
internal import SystemCalls

let program = ServiceProgram<Configuration>(
    "kex-handler",
    summary: "Carries registrations out: the only program of kex that changes the kernel.",
    options: [
        CommandLineOptions.Option(
            "boot-id",
            "ID",
            help: "what this run of the machine is called, if /proc may not be read (%b of systemd)"
        )
    ]
)

program.run { configuration throws(ConfigurationError) in
    try KeyLists(of: configuration)
} doubts: { configuration in
    configuration.remoteDomains.map { domain in
        let reason = "no WireGuard= and no VXLAN=: this machine has no gateway in it"
        return ConfigurationMistake(
            at: ConfigurationLocation(file: "[Domain \(domain.name)]", line: nil),
            reason
        )
    }
} remarks: { configuration, keys in
    remarksOnPeers(configuration, keys)
} serve: { configuration, keys, source, options, log in
    Heap.keepSmall()
    try raiseDescriptorLimit()
    let bootID = try options.values("boot-id", expected: "1 to \(DeviceIdentity.maximumBootID) letters and digits") {
        DeviceIdentity.isBootID($0) ? $0 : nil
    }.first
    var listeners = try LocalSocketListener.passed()
    if listeners.isEmpty {
        listeners = [
            LocalSocketListener(socket: .front, listener: try PacketListener(path: configuration.handlerSocket)),
            LocalSocketListener(socket: .fleet, listener: try PacketListener(path: configuration.fleetSocket)),
            LocalSocketListener(socket: .control, listener: try PacketListener(path: configuration.controlSocket)),
        ]
    }
    var service = try HandlerService(
        configuration,
        keys: keys,
        source: source,
        bootID: bootID,
        listeners: listeners,
        log: log
    )
    try service.run()
}
