internal import NetworkAddresses
internal import PathProbe
internal import Time
internal import WireGuardTypes

// What people are told about a pair.
extension Pair {
    /// How traffic goes now.
    func currentWay(_ surroundings: Surroundings) -> MemberStatus.Way {
        guard hasSession, move.isMoved, let endpoint else { return .throughHub(surroundings.hub?.key) }
        if endpoint != relay.endpoint { return .direct(endpoint) }
        return surroundings.hub.map { .relayed(by: $0.key) } ?? .throughHub(nil)
    }

    mutating func noteWay(_ surroundings: Surroundings, _ outbox: inout Outbox, at now: MonotonicTime) {
        let new = currentWay(surroundings)
        guard new != way else { return }
        let wasThroughHub: Bool
        if case .throughHub = way { wasThroughHub = true } else { wasThroughHub = false }
        way = new
        wayedSince = now
        switch new {
        case .direct(let endpoint):
            outbox.notices.append(LinkNotice(.linkDirect, .info, other, "direct link, endpoint = \(endpoint)"))
        case .relayed:
            outbox.notices.append(LinkNotice(.linkRelayed, .info, other, "relayed by the hub, which sees nothing"))
        case .throughHub where !wasThroughHub:
            outbox.notices.append(LinkNotice(.linkThroughHub, .notice, other, "traffic goes through the hub"))
        case .throughHub, .hub, .peer: break
        }
    }

    /// What was tried, and why it failed. Each line is what is known, and not what is likely.
    func attempts(_ surroundings: Surroundings, at now: MonotonicTime) -> [String] {
        if isAsleep(surroundings.idleTime, at: now) { return ["no traffic: there is a link when there is some"] }
        var lines: [String] = []
        switch kind {
        case .plain: lines.append("kex-link does not run there, says the hub: no probes, no relay")
        case .unknown: lines.append("has not answered yet")
        case .ours where !isDirect: lines += relayAttempts(surroundings, at: now)
        case .ours: break
        }
        if surroundings.mapping == .forEachDestination, hasChangingPort, !isDirect {
            lines.append("both NATs give each destination another port: over IPv4 only the hub remains")
        }
        let failed = failed.flatMap { $0.until > now ? $0 : nil }
        for path in prober.paths where !path.isProven(at: now) && path.candidate.endpoint != failed?.endpoint {
            if let reason = reason(path) { lines.append("\(path.candidate.endpoint): \(reason)") }
        }
        if let failed {
            lines.append("\(failed.endpoint): failed, tried again in \((failed.until - now).components.seconds + 1) s")
        }
        return lines
    }

    private func reason(_ path: Path) -> String? {
        // Without traffic nobody asks whether it still works.
        if path.isBelieved { return path.candidate.endpoint == endpoint ? nil : "has answered, not asked since" }
        if path.hasAnswered { return "has answered, does no longer" }
        return path.wasAsked ? "no answer" : "not asked yet"
    }

    /// Why there is no relay.
    private func relayAttempts(_ surroundings: Surroundings, at now: MonotonicTime) -> [String] {
        guard surroundings.hub != nil else { return ["no hub that both have runs kex-link: no relay"] }
        switch relay.state {
        case .refused: return ["the hub has no port of its relay for it"]
        case .granted(let endpoint) where relay.proven(at: now) == nil && relay.isUnanswered:
            return ["relay at \(endpoint): no answer"]
        case .asked where relay.isUnanswered: return ["the hub does not answer: no relay"]
        case .unasked, .asked, .granted: return []
        }
    }

    var measuredRoundTrip: Duration? {
        guard let endpoint, endpoint != relay.endpoint else { return roundTrip }
        return prober.path(to: endpoint)?.roundTrip ?? roundTrip
    }
}

extension PathProber {
    func path(to endpoint: Endpoint?) -> Path? { paths.first { $0.candidate.endpoint == endpoint } }
}
