internal import EventLoop
internal import KexConfiguration
internal import KexServer
internal import Logging
internal import NetworkAddresses
internal import SystemCalls
internal import SystemPackage
internal import Systemd

/// Serves until the process is told to end.
///
/// - Parameter listen: what the command line says, in place of the configuration.
func serve(_ configuration: Configuration, listen: [Endpoint], _ log: Logger) throws(SystemCallError) {
    // Before anything else has a descriptor: whether the numbers of systemd are right shows only then.
    var passed: [FileDescriptor] = []
    try ListeningSocket.takeAll(of: .tcp) { socket in passed.append(socket.takeDescriptor().release()) }

    let signals = try SignalReceiver(for: [.terminate, .interrupt])
    try raiseDescriptorLimit()
    let settings = ServerSettings(
        domains: Set(configuration.domains.map(\.name)),
        handlerPath: configuration.handlerSocket
    )
    var server = try Server(settings, logger: log)
    var addresses: [String] = []
    for descriptor in passed {
        let listener = OwnedDescriptor(adopting: descriptor)
        addresses.append(try address(of: listener))
        try server.add(listener: listener)
    }
    // What systemd hands over is what its units say; the configuration is for running without it.
    let own = listen.isEmpty && passed.isEmpty ? configuration.listen : listen
    for endpoint in own {
        let listener = try Socket.listen(on: endpoint)
        addresses.append(try address(of: listener))
        try server.add(listener: listener)
    }
    log.notice("listening on \(addresses.joined(separator: ", "))")
    ServiceState.ready(status: "listening on \(addresses.joined(separator: ", "))")

    try server.run(untilReadable: signals.descriptor)
    log.notice("ended")
}

private func address(of listener: borrowing OwnedDescriptor) throws(SystemCallError) -> String {
    let address = try Socket.localAddress(of: listener.raw)
    return address.endpoint.map { "\($0)" } ?? "descriptor \(listener.raw.rawValue)"
}
