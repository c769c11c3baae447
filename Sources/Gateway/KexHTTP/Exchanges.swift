public import HandlerChannel
public import KexProtocol
public import NetworkAddresses
internal import SystemCalls
internal import WireGuardTypes

/// What must be done before a router is answered, and what the answer is.
public protocol Exchanges: Sendable {
    /// Has a router let in.
    ///
    /// - Parameter source: where its request comes from, IPv4 as a mapped address.
    func register(_ registration: Registration, from source: IPv6Address) async -> Admission

    /// The gateway that a router should use, after it was let in there.
    func gateway(for registration: Registration, letIn place: Admission.Place) async throws(NoGateway) -> ChosenGateway

    /// The gateway that a router would most likely get if it came now. The question changes nothing.
    func gateway(in domain: DomainName) async throws(NoGateway) -> ChosenGateway
}

/// What became of a registration.
public enum Admission: Hashable, Sendable {
    /// Where a router is let in.
    public enum Place: Hashable, Sendable {
        /// In the kernel of this gateway, and the other gateways know of it, if there are any.
        case everywhere
        /// In the kernel of this gateway. The other gateways hear of it later.
        case here
        /// Not here. The broker has it for the other gateways.
        case others
    }

    case accepted(Place)
    case refused(Refusal)
}

/// Why no gateway can be named.
public enum NoGateway: Error, Sendable {
    /// None is in service.
    case noneInService
    /// There is one, but its port, key or link address is not known.
    case noData
    /// The handler or `kex-mqtt` cannot be asked now.
    case unavailable
}

/// Exchanges with the gateway of this machine alone: a key is in when its kernel has it.
struct LocalExchanges: Exchanges {
    let handler: HandlerClient
    let settings: CurrentSettings

    func register(_ registration: Registration, from source: IPv6Address) async -> Admission {
        await handler.register(registration, from: source).map(Admission.refused) ?? .accepted(.everywhere)
    }

    func gateway(for registration: Registration, letIn place: Admission.Place) async throws(NoGateway) -> ChosenGateway
    { try await gateway(in: registration.domain) }

    func gateway(in domain: DomainName) async throws(NoGateway) -> ChosenGateway {
        guard let status = await handler.status(of: domain) else { throw .unavailable }
        guard status.isInService else { throw .noneInService }
        let settings = settings.value
        guard let port = status.listenPort, let key = status.publicKey,
            let linkAddress = settings.domains[domain] ?? nil
        else { throw .noData }
        return ChosenGateway(
            address: settings.externalName,
            port: port,
            publicKey: key,
            linkAddress: linkAddress
        )
    }
}

/// Exchanges with all gateways on the bus. A key is in when this gateway's kernel has it, and the broker too if it can
/// be reached. If there is no gateway here, or it is out of service, the broker is enough.
struct SharedExchanges: Exchanges {
    let local: LocalExchanges
    let bus: HandlerClient
    let newcomers: Newcomers

    /// Asks one after the other. What this gateway refuses, also by its limits of sources, is not passed on to the
    /// others.
    func register(_ registration: Registration, from source: IPv6Address) async -> Admission {
        if !local.settings.value.remoteDomains.contains(registration.domain) {
            switch await local.register(registration, from: source) {
            case .accepted:
                // This gateway serves the router even if the others do not hear of it now. `kex-mqtt` passes it on
                // later.
                return .accepted(await bus.register(registration, from: source) == nil ? .everywhere : .here)
            case .refused(.unavailable): break
            case .refused(let refusal): return .refused(refusal)
            }
        }
        // No handler has checked its limits for this key.
        guard newcomers.mayPass(registration, from: source, at: .now) else { return .refused(.rateLimited) }
        return await bus.register(registration, from: source).map(Admission.refused) ?? .accepted(.others)
    }

    func gateway(for registration: Registration, letIn place: Admission.Place) async throws(NoGateway) -> ChosenGateway
    {
        // This gateway has a key that the others do not know yet, and their choice is as old as the broker's last
        // message.
        if place == .here, let here = try? await local.gateway(in: registration.domain) { return here }
        return try await chosen(for: registration.key, in: registration.domain, isHere: place != .others)
    }

    func gateway(in domain: DomainName) async throws(NoGateway) -> ChosenGateway {
        try await chosen(for: nil, in: domain, isHere: !local.settings.value.remoteDomains.contains(domain))
    }

    /// - Parameter isHere: whether this gateway will do if `kex-mqtt` cannot be asked.
    private func chosen(for key: PublicKey?, in domain: DomainName, isHere: Bool) async throws(NoGateway)
        -> ChosenGateway
    {
        let chosen: ChosenGateway?
        do throws(NoGateway) {
            chosen = try await bus.choose(for: key, in: domain)
        } catch {
            guard isHere else { throw error }
            return try await local.gateway(in: domain)
        }
        guard let chosen else { throw .noneInService }
        return chosen
    }
}
