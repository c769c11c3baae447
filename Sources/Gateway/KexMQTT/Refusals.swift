/// Which kinds of our topics the broker does not take, and what was said of it.
struct Refusals: Sendable {
    private struct Word: Sendable {
        var reason: UInt8
        /// No other word on this kind before this time.
        var next: Duration
    }

    private var words: [String: Word] = [:]

    /// Takes in the broker's answer to a publication.
    ///
    /// - Parameter reason: from 128 on a refusal.
    /// - Returns: what is to be said: a reason that was not said before, or that a kind is taken again.
    mutating func take(_ topic: String, _ reason: UInt8, at now: Duration) -> BusNotice? {
        if reason < 128, words.isEmpty { return nil }
        let kind = Self.kind(of: topic)
        let isRefused = reason >= 128
        guard let word = words[kind] else {
            guard isRefused else { return nil }
            words[kind] = Word(reason: reason, next: now + BusLimit.refusalInterval)
            return .refused(topic: topic, reason: reason)
        }
        guard isRefused ? word.reason != reason : true, word.next <= now else { return nil }
        words[kind] = isRefused ? Word(reason: reason, next: now + BusLimit.refusalInterval) : nil
        return isRefused ? .refused(topic: topic, reason: reason) : .accepted(topic: topic)
    }

    /// The topic without the router's key: what an account may do is hardly said for each of them. So there are as many kinds as
    /// this gateway has topics, some for each domain.
    private static func kind(of topic: String) -> String {
        let levels = topic.split(separator: "/")
        return levels.count == 4 && levels[2] == "router" ? levels.prefix(3).joined(separator: "/") : topic
    }
}
