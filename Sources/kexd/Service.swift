internal import ConfigurationFiles
internal import EventLoop
internal import GatewayEvents
internal import KexConfiguration
internal import KexServer
internal import Logging
internal import NetworkAddresses
internal import ServiceProgram
internal import SystemCalls
internal import SystemPackage
internal import Systemd

/// Serves until a signal ends the process.
///
/// - Parameters:
///   - source: read again on SIGHUP.
///   - listen: what the command line says, in place of the configuration.
///   - handler: the same for the handler's socket.
func serve(
    _ configuration: Configuration,
    from source: ConfigurationSource<Configuration, Void>,
    listen: [Endpoint],
    handler: String?,
    _ log: Logger
) throws(SystemCallError) {
    // Sockets of systemd are taken before anything else opens a descriptor: wrong numbers show only then.
    var passed: [FileDescriptor] = []
    try ListeningSocket.takeAll(of: .tcp) { socket in passed.append(socket.takeDescriptor().release()) }

    let signals = try SignalReceiver(for: [.hangup, .interrupt, .terminate])
    try raiseDescriptorLimit()
    let settings = ServerSettings(
        domains: Set(configuration.domains.map(\.name)),
        handlerPath: handler ?? configuration.handlerSocket,
        unlimitedSources: configuration.unlimitedSources
    )
    var server = try Server(settings, logger: log)
    var addresses: [String] = []
    for descriptor in passed {
        let listener = OwnedDescriptor(adopting: descriptor)
        addresses.append(try address(of: listener))
        try server.add(listener: listener)
    }
    // The units of systemd say where to listen. The configuration is for running without systemd.
    let own = listen.isEmpty && passed.isEmpty ? configuration.listen : listen
    for endpoint in own {
        let listener = try Socket.listen(on: endpoint)
        addresses.append(try address(of: listener))
        try server.add(listener: listener)
    }
    let status = "listening on \(addresses.joined(separator: ", "))"
    log.log(.ready, .notice, status)
    ServiceState.ready(status: status)

    try server.run(orders: signals.descriptor) { () throws(SystemCallError) in
        guard let signal = try signals.next() else { return nil }
        guard signal == .hangup else {
            log.log(.ending, .notice, "ending on signal \(signal)")
            ServiceState.stopping()
            return .stop
        }
        ServiceState.reloading()
        defer { ServiceState.ready(status: status) }
        do throws(ConfigurationError) {
            let (new, _) = try source.read()
            if new.listen != configuration.listen || new.handlerSocket != configuration.handlerSocket {
                log.log(.restartNeeded, .warning, "Listen= and HandlerSocket= take effect at the next start")
            }
            log.log(.reloaded, .notice, "configuration read again, \(new.domains.count) domains")
            return .serve(Set(new.domains.map(\.name)), unlimitedSources: new.unlimitedSources)
        } catch {
            error.log(to: log)
            log.log(.reloadFailed, .error, "the configuration stays as it was")
            return nil
        }
    }
}

private func address(of listener: borrowing OwnedDescriptor) throws(SystemCallError) -> String {
    let address = try Socket.localAddress(of: listener.raw)
    return address.endpoint.map { "\($0)" } ?? "descriptor \(listener.raw.rawValue)"
}
