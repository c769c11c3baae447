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

    /// The gateway that a router should use which has been let in there.
    func gateway(for registration: Registration, letIn place: Admission.Place) async throws(NoGateway) -> ChosenGateway

    /// The gateway that a router would most likely get if it came now. Nothing is changed by the question.
    func gateway(in domain: DomainName) async throws(NoGateway) -> ChosenGateway
}

/// What became of a registration.
public enum Admission: Hashable, Sendable {
    /// Where a router is let in.
    public enum Place: Hashable, Sendable {
        /// In the kernel of this gateway, and whoever else there is knows of it.
        case everywhere
        /// In the kernel of this gateway. The others hear of it later.
        case here
        /// The broker has it for the others. Here it is not.
        case others
    }

    case accepted(Place)
    case refused(Refusal)
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

/// Exchanges with all gateways on the bus: a key is in when this gateway's kernel has it, and the broker has taken it if it can;
/// or the broker alone, if this gateway cannot, or there is none.
struct SharedExchanges: Exchanges {
    let local: LocalExchanges
    let bus: HandlerClient
    let newcomers: Newcomers

    /// One after the other: what this gateway refuses, by its limits of sources as well, is not passed on to the others.
    func register(_ registration: Registration, from source: IPv6Address) async -> Admission {
        if !local.settings.value.remoteDomains.contains(registration.domain) {
            switch await local.register(registration, from: source) {
            case .accepted:
                // A router that this gateway serves is not kept out because others do not hear of it now: `kex-mqtt` tells
                // them later.
                return .accepted(await bus.register(registration, from: source) == nil ? .everywhere : .here)
            case .refused(.unavailable): break
            case .refused(let refusal): return .refused(refusal)
            }
        }
        // Nobody here has looked at the limits that a handler keeps.
        guard newcomers.mayPass(registration, from: source, at: .now) else { return .refused(.rateLimited) }
        return await bus.register(registration, from: source).map(Admission.refused) ?? .accepted(.others)
    }

    func gateway(for registration: Registration, letIn place: Admission.Place) async throws(NoGateway) -> ChosenGateway
    {
        // What the others do not know yet, this gateway has; and whom they would choose is as old as the broker's last word.
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
