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

    /// What was tried, and why it failed.
    func attempts(_ surroundings: Surroundings, at now: MonotonicTime) -> [String] {
        var lines: [String] = []
        switch kind {
        case .plain: lines.append("runs wirelink: no probes, no relay")
        case .unknown: lines.append("has not answered yet")
        case .ours: break
        }
        if surroundings.mapping == .forEachDestination, hasChangingPort, !isDirect {
            lines.append("both NATs give each destination another port: only the hub remains")
        }
        for path in prober.paths where !path.isProven(at: now) {
            let reason = path.hasAnswered ? "answered once, no longer" : "no answer"
            lines.append("\(path.candidate.endpoint): \(reason)")
        }
        if let failed, failed.until > now {
            lines.append("\(failed.endpoint): failed, tried again in \((failed.until - now).components.seconds + 1) s")
        }
        return lines
    }

    var measuredRoundTrip: Duration? {
        guard let endpoint, endpoint != relay.endpoint else { return roundTrip }
        return prober.path(to: endpoint)?.roundTrip ?? roundTrip
    }
}

extension PathProber {
    func path(to endpoint: Endpoint?) -> Path? { paths.first { $0.candidate.endpoint == endpoint } }
}
