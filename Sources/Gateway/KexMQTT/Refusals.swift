/// Which kinds of our topics the broker refuses, and what was reported of that.
struct Refusals: Sendable {
    private struct Report: Sendable {
        var reason: UInt8
        /// No other report on this kind before this time.
        var next: Duration
    }

    private var reports: [String: Report] = [:]

    /// Takes in the broker's answer to a publication.
    ///
    /// - Parameter reason: from 128 on a refusal.
    /// - Returns: what is to be reported: a new reason, or that a kind is accepted again.
    mutating func take(_ topic: String, _ reason: UInt8, at now: Duration) -> BusNotice? {
        if reason < 128, reports.isEmpty { return nil }
        let kind = Self.kind(of: topic)
        let isRefused = reason >= 128
        guard let report = reports[kind] else {
            guard isRefused else { return nil }
            reports[kind] = Report(reason: reason, next: now + BusLimit.refusalInterval)
            return .refused(topic: topic, reason: reason)
        }
        guard isRefused ? report.reason != reason : true, report.next <= now else { return nil }
        reports[kind] = isRefused ? Report(reason: reason, next: now + BusLimit.refusalInterval) : nil
        return isRefused ? .refused(topic: topic, reason: reason) : .accepted(topic: topic)
    }

    /// The topic without a router's key, because hardly any broker grants rights for each key. So there are a few kinds
    /// for each domain.
    private static func kind(of topic: String) -> String {
        let levels = topic.split(separator: "/")
        return levels.count == 4 && levels[2] == "router" ? levels.prefix(3).joined(separator: "/") : topic
    }
}
