public import HandlerChannel
public import KexProtocol
public import NetworkAddresses
internal import WireGuardTypes

/// What has to be true before a router is answered, and what it is told then.
public protocol Exchanges: Sendable {
    /// Has a router let in.
    ///
    /// - Parameter source: where its request comes from, IPv4 as a mapped address.
    /// - Returns: `nil` when its key is wherever it must be, or why it is not.
    func register(_ registration: Registration, from source: IPv6Address) async -> Refusal?

    /// The gateway that a router should use which has been let in.
    func gateway(for registration: Registration) async throws(NoGateway) -> ChosenGateway
}

/// Why no gateway can be named.
public enum NoGateway: Error, Sendable {
    /// None is in service.
    case noneInService
    /// There is one, and its port, key or link address is not known.
    case noData
    /// It cannot be found out now.
    case unavailable
}

/// Exchanges with the gateway of this machine alone: a key is in when its kernel has it.
struct LocalExchanges: Exchanges {
    let handler: HandlerClient
    let settings: CurrentSettings

    func register(_ registration: Registration, from source: IPv6Address) async -> Refusal? {
        await handler.register(registration, from: source)
    }

    func gateway(for registration: Registration) async throws(NoGateway) -> ChosenGateway {
        guard let status = await handler.status(of: registration.domain) else { throw .unavailable }
        guard status.isInService else { throw .noneInService }
        let settings = settings.value
        guard let port = status.listenPort, let key = status.publicKey,
            let linkAddress = settings.domains[registration.domain] ?? nil
        else { throw .noData }
        return ChosenGateway(
            address: settings.externalName,
            port: port,
            publicKey: key,
            linkAddress: linkAddress
        )
    }
}

/// Exchanges with all gateways on the bus: a key is in when this gateway's kernel has it, and the broker has taken it.
struct SharedExchanges: Exchanges {
    let handler: HandlerClient
    let bus: HandlerClient

    /// One after the other: what this gateway refuses, by its limits of sources as well, is not passed on to the others.
    func register(_ registration: Registration, from source: IPv6Address) async -> Refusal? {
        if let refusal = await handler.register(registration, from: source) { return refusal }
        return await bus.register(registration, from: source)
    }

    func gateway(for registration: Registration) async throws(NoGateway) -> ChosenGateway {
        guard let chosen = try await bus.choose(for: registration) else { throw .noneInService }
        return chosen
    }
}
