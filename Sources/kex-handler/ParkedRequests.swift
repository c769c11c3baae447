internal import KexProtocol
internal import SystemCalls
internal import Time

/// Registrations that are tried again in a moment, because their domain is being refreshed or has to make room first.
/// The router waits meanwhile. That is better than a refusal, after which routers try again a minute later.
struct ParkedRequests {
    struct Request {
        /// Of the connection that it came over.
        let token: UInt64
        let request: Arrival
        /// When it is answered, whatever the answer is then.
        let deadline: MonotonicTime
    }

    /// Longest wait. Front doors give the handler five seconds.
    static let patience = Duration.seconds(2)
    /// Most that wait in all domains together.
    static let limit = 4096

    private var requests: [DomainName: [Request]] = [:]
    private var count = 0

    /// The earliest deadline; `nil` if nobody waits.
    var nextDeadline: MonotonicTime? { requests.values.lazy.compactMap(\.first?.deadline).min() }

    var domains: [DomainName] { Array(requests.keys) }

    /// - Parameter deadline: of a request that has waited before; `nil` for a new one.
    /// - Returns: whether there is room.
    mutating func park(_ request: Arrival, from token: UInt64, until deadline: MonotonicTime?) -> Bool {
        let deadline = deadline ?? .now + Self.patience
        guard count < Self.limit, .now < deadline else { return false }
        requests[request.registration.domain, default: []].append(
            Request(token: token, request: request, deadline: deadline)
        )
        count += 1
        return true
    }

    /// Those of one domain, the oldest first.
    mutating func take(_ name: DomainName) -> [Request] {
        let taken = requests.removeValue(forKey: name) ?? []
        count -= taken.count
        return taken
    }

    /// Whether a deadline of the domain's has come.
    func isOverdue(_ name: DomainName) -> Bool { requests[name]?.first.map { $0.deadline <= .now } ?? false }
}
