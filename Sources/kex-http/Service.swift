internal import BusConfiguration
internal import ConfigurationFiles
internal import EventLoop
internal import GatewayEvents
internal import HTTPConfiguration
internal import KexConfiguration
internal import KexHTTP
internal import Logging
internal import NetworkAddresses
internal import ServiceProgram
internal import SystemCalls
internal import SystemPackage
internal import Systemd
internal import Time

/// Serves until a signal ends the process.
///
/// - Parameters:
///   - source: read again on SIGHUP, certificates included.
///   - listen: what the command line says, in place of the configuration.
///   - handler: the same for the handler's socket.
func serve(
    _ configuration: FrontDoorConfiguration,
    _ identity: TLSIdentity?,
    from source: ConfigurationSource<FrontDoorConfiguration, TLSIdentity?>,
    listen: [Endpoint],
    handler: String?,
    _ log: Logger
) throws {
    // Sockets of systemd are taken before anything else opens a descriptor: wrong numbers show only then.
    var passed: [(descriptor: FileDescriptor, isTLS: Bool)] = []
    try ListeningSocket.takeAll(of: .tcp) { socket in
        let isTLS = socket.name == tlsSocketName
        passed.append((socket.takeDescriptor().release(), isTLS))
    }
    guard identity != nil || !passed.contains(where: \.isTLS) else {
        throw Failure("systemd passed a socket for TLS, but [HTTP] has no Certificate=")
    }
    // Signals are blocked before the first thread starts.
    let signals = try SignalReceiver(for: [.hangup, .interrupt, .terminate])
    try raiseDescriptorLimit()
    let frontDoor = HTTPFrontDoor(
        try settings(of: configuration),
        handler: handler ?? configuration.gateway.handlerSocket,
        bus: configuration.bus?.socket,
        identity: identity,
        logger: log
    )
    var addresses: [String] = []
    func serve(on listener: consuming OwnedDescriptor, isTLS: Bool) throws {
        let address = try Socket.localAddress(of: listener.raw).endpoint.map { "\($0)" } ?? "an unknown address"
        addresses.append(isTLS ? "\(address) (TLS)" : address)
        try frontDoor.listen(on: listener, isTLS: isTLS)
    }
    for (descriptor, isTLS) in passed { try serve(on: OwnedDescriptor(adopting: descriptor), isTLS: isTLS) }
    // The units of systemd say where to listen. The configuration is for running without systemd.
    if passed.isEmpty {
        for endpoint in listen.isEmpty ? configuration.http.listen : listen {
            try serve(on: try Socket.listen(on: endpoint), isTLS: false)
        }
        for endpoint in configuration.http.tlsListen { try serve(on: try Socket.listen(on: endpoint), isTLS: true) }
    }
    let status = "listening on \(addresses.joined(separator: ", "))"
    log.log(.ready, .notice, status)
    ServiceState.ready(status: status)
    frontDoor.feedWatchdog()

    while true {
        _ = try Socket.wait(for: .readable, of: signals.descriptor, until: .now + .seconds(86400))
        guard let signal = try signals.next() else { continue }
        guard signal == .hangup else {
            log.log(.ending, .notice, "ending on signal \(signal)")
            ServiceState.stopping()
            return frontDoor.stop()
        }
        ServiceState.reloading()
        defer { ServiceState.ready(status: status) }
        do {
            let (new, identity) = try source.read()
            frontDoor.change(to: try settings(of: new), identity: identity)
            if new.http.listen != configuration.http.listen || new.http.tlsListen != configuration.http.tlsListen
                || new.gateway.handlerSocket != configuration.gateway.handlerSocket
            {
                let keys = "Listen=, TLSListen= and HandlerSocket="
                log.log(.restartNeeded, .warning, "\(keys) take effect at the next start")
            }
            log.log(.reloaded, .notice, "configuration read again, \(new.gateway.domains.count) domains")
        } catch {
            if let error = error as? ConfigurationError {
                error.log(to: log)
            } else {
                log.log(.reloadFailed, .error, "\(error)")
            }
            log.log(.reloadFailed, .error, "the configuration stays as it was")
        }
    }
}

/// `FileDescriptorName=` of `kex-https.socket`.
private let tlsSocketName = "https"

/// Why the service cannot start.
private struct Failure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

private func settings(of configuration: FrontDoorConfiguration) throws -> HTTPSettings {
    let (gateway, http) = (configuration.gateway, configuration.http)
    return HTTPSettings(
        domains: Dictionary(
            uniqueKeysWithValues: gateway.domains.map { ($0.name, $0.linkAddress) }
                + gateway.remoteDomains.map { ($0.name, nil) }
        ),
        remoteDomains: Set(gateway.remoteDomains.map(\.name)),
        externalName: try gateway.externalName ?? hostName(),
        nodeNames: http.nodeNameDomain.map { (http.nodeNamePath, $0) },
        unlimitedSources: gateway.unlimitedSources
    )
}

private func hostName() throws -> String {
    let name = machineName
    guard Configuration.isTellable(name) else {
        throw Failure("routers cannot reach this machine by its name: set ExternalName= in [Gateway]")
    }
    return name
}

/// The certificate and key of the configuration; `nil` if it names none.
func identity(of configuration: FrontDoorConfiguration) throws(ConfigurationError) -> TLSIdentity? {
    guard let certificate = configuration.http.certificate, let privateKey = configuration.http.privateKey
    else { return nil }
    do throws(TLSFailure) {
        return try TLSIdentity(certificate: certificate, privateKey: privateKey)
    } catch {
        let location = ConfigurationLocation(file: error.file, line: nil)
        throw ConfigurationError([ConfigurationMistake(at: location, error.reason)])
    }
}
