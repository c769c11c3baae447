internal import GatewayEvents
internal import HTTPTypes
internal import HummingbirdCore
internal import KexProtocol
internal import Logging
internal import NIOCore
internal import NetworkAddresses
internal import Synchronization
internal import Systemd

/// Answers requests.
final class ExchangeResponder: Sendable {
    private let exchanges: any Exchanges
    private let settings: CurrentSettings
    private let limits: HTTPLimits
    private let log: Logger
    /// For lines that strangers cause.
    private let budget = Mutex(LineBudget())

    init(_ exchanges: any Exchanges, settings: CurrentSettings, limits: HTTPLimits, log: Logger) {
        self.exchanges = exchanges
        self.settings = settings
        self.limits = limits
        self.log = log
    }

    /// What can be asked for.
    private enum Resource {
        case frontPage
        /// An exchange whose answer is only success or failure.
        case exchange
        /// An exchange whose answer names a gateway.
        case exchangeWithGateway
        /// An exchange of a router that names itself but no domain.
        case nodeExchange(DomainName)
        /// A question for a gateway, without an exchange.
        case gateway

        init?(path: String, _ settings: HTTPSettings) {
            switch path {
            case "/": self = .frontPage
            case "/api/v1/wg/key/exchange": self = .exchange
            case "/api/v2/wg/key/exchange": self = .exchangeWithGateway
            case "/api/v2/wg/gateway/best": self = .gateway
            default:
                guard let nodes = settings.nodeNames, path == nodes.path else { return nil }
                self = .nodeExchange(nodes.domain)
            }
        }

        var namesGateway: Bool { if case .exchangeWithGateway = self { true } else { false } }

        var methods: String {
            if case .frontPage = self { "GET, HEAD, OPTIONS" } else { "POST, OPTIONS" }
        }
    }

    /// - Parameters:
    ///   - source: IPv4 as a mapped address.
    ///   - isInTime: whether the source may ask now.
    /// - Throws: if the connection breaks, or its bytes are no HTTP.
    func respond(to request: Request, from source: IPv6Address, isInTime: Bool) async throws -> Response {
        let answer = try await answer(request, source, isInTime)
        return answer.response(isHead: request.method == .head)
    }

    private func answer(_ request: Request, _ source: IPv6Address, _ isInTime: Bool) async throws -> Answer {
        guard isInTime else {
            note(source, nil, "RATE_LIMITED")
            return .tooFast
        }
        let settings = settings.value
        let path = RequestPath(target: request.head.path ?? "")
        guard let resource = Resource(path: path.text, settings) else { return .notFound }
        switch (request.method, resource) {
        case (.get, .frontPage), (.head, .frontPage): return .frontPage
        case (.options, _): return .options(resource.methods)
        case (.post, .exchange), (.post, .exchangeWithGateway), (.post, .nodeExchange), (.post, .gateway): break
        default: return .wrongMethod(resource.methods)
        }
        let body: [UInt8]
        do {
            body = Array(buffer: try await request.body.collect(upTo: limits.body))
        } catch is NIOTooManyBytesError {
            note(source, nil, "more than \(limits.body) bytes")
            return .tooLong
        }
        if case .gateway = resource {
            guard let domain = ExchangeBody.domain(in: body, domains: settings.domains.keys) else {
                note(source, nil, "it names no known domain")
                return .malformed
            }
            do throws(NoGateway) {
                return .accepted(try await exchanges.gateway(in: domain))
            } catch {
                return .noGateway(error)
            }
        }
        let registration =
            if case .nodeExchange(let domain) = resource {
                ExchangeBody.registration(in: body, ofNodeIn: domain)
            } else {
                ExchangeBody.registration(in: body, domains: settings.domains.keys)
            }
        guard let registration else {
            note(source, nil, "it names no known domain and key")
            return .malformed
        }
        return await answer(registration, source, namesGateway: resource.namesGateway)
    }

    private func answer(_ registration: Registration, _ source: IPv6Address, namesGateway: Bool) async -> Answer {
        // The handler logs its own refusals.
        let admission = await exchanges.register(registration, from: source)
        log.log(.exchange, .debug, "exchange from \(source.sourceDescription): \(admission)")
        switch admission {
        case .refused(let refusal): return .refusal(refusal)
        case .accepted(let place):
            guard namesGateway else { return .accepted }
            do throws(NoGateway) {
                return .accepted(try await exchanges.gateway(for: registration, letIn: place))
            } catch {
                note(source, registration, "no gateway can be named: \(error)")
                return .noGateway(error)
            }
        }
    }

    private func note(_ source: IPv6Address, _ registration: Registration?, _ reason: String) {
        budget.withLock { budget in
            budget.log(
                .refused,
                .info,
                domain: registration?.domain.text,
                key: registration.map { "\($0.key)" },
                "refused a request from \(source.sourceDescription): \(reason)",
                to: log
            )
        }
    }
}
