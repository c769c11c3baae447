internal import KexProtocol
internal import NetworkAddresses
internal import SystemCalls
internal import Time

/// Asks gateways, one after the other and again, until one lets the router in.
struct Registrar {
    let registration: Registration
    /// When to give up, whatever is under way.
    let deadline: MonotonicTime
    /// Most rounds through all gateways; `nil` for as many as there is time for.
    let maximumRounds: Int?

    /// Time for one name, so that one dead name server leaves time for the other gateways.
    static let lookupTime = Duration.seconds(5)
    /// Mean pause after the first round; it doubles with each round.
    static let firstPause = Duration.seconds(1)
    static let longestPause = Duration.seconds(8)

    /// Tries the gateways in the order given. One that refuses is not asked again, but the others are. Says once what
    /// is the matter with each, and again when that changes.
    ///
    /// - Returns: the place of the gateway in `gateways`, and the address at which it answered.
    /// - Throws: ``ExitStatus/refused`` if a gateway said no and no other said yes; ``ExitStatus/unreachable`` if all
    ///   are silent.
    func register(with gateways: [HostPort]) throws(Failure) -> (index: Int, endpoint: Endpoint) {
        var troubles: [Int: String] = [:]
        var refusing: Set<Int> = []
        var pause = Self.firstPause
        var round = 0
        while true {
            round += 1
            for (index, gateway) in gateways.enumerated() where !refusing.contains(index) && .now < deadline {
                let trouble: String
                switch attempt(gateway) {
                case .accepted(let endpoint): return (index, endpoint)
                case .refused(let reason):
                    trouble = reason
                    refusing.insert(index)
                case .unreachable(let reason): trouble = reason
                }
                if troubles.updateValue(trouble, forKey: index) != trouble { say("\(gateway): \(trouble)") }
            }
            // A random part, so that routers that lost their gateway in the same second do not come back in the same
            // second.
            let next = MonotonicTime.now + pause * Double.random(in: 0.5...1.5)
            if refusing.count == gateways.count || round == maximumRounds || next >= deadline { break }
            next.sleep()
            pause = min(pause * 2, Self.longestPause)
        }
        guard refusing.isEmpty else {
            throw Failure(.refused, "not registered: key \(registration.key) was refused for \(registration.domain)")
        }
        throw Failure(
            .unreachable,
            """
            not registered: no gateway answered as it should, asked \(round == 1 ? "once" : "\(round) times")
            see above for each gateway; if none could be connected to, check that this machine is online, and their \
            names and ports
            """
        )
    }

    private enum Answer {
        case accepted(Endpoint)
        /// In words, with what to do next.
        case refused(String)
        case unreachable(String)
    }

    /// Tries all addresses of one gateway until one answers yes or no.
    private func attempt(_ gateway: HostPort) -> Answer {
        let endpoints: [Endpoint]
        do throws(HostLookupError) {
            let limit = min(deadline, .now + Self.lookupTime)
            endpoints = try HostLookup.endpoints(ofHost: gateway.host, port: gateway.port, until: limit)
        } catch {
            return .unreachable("\(error)")
        }
        var troubles: [String] = []
        for endpoint in endpoints where .now < deadline {
            switch Exchange.run(registration, with: endpoint, until: deadline) {
            case .done: return .accepted(endpoint)
            case .refused(let refusal): return .refused("\(refusal.code): \(refusal.advice)")
            case .refusedForUnknownReason(let code):
                return .refused("\(code): a newer kex-client may know what this means; else ask the operator")
            case .unreachable(let trouble):
                troubles.append("\(endpoint)" == "\(gateway)" ? trouble : "\(endpoint): \(trouble)")
            }
        }
        return .unreachable(troubles.isEmpty ? "no time left for it" : troubles.joined(separator: ", "))
    }
}

extension HostPort {
    /// Itself, and where it was found if that says more.
    func place(_ endpoint: Endpoint) -> String { "\(endpoint)" == "\(self)" ? "\(self)" : "\(self) at \(endpoint)" }
}
