internal import Time

/// Tells a link that is dead from one that only loses packets.
///
/// WireGuard shows no error when a path is dead. What shows it is traffic that goes, and nothing that comes. That alone
/// happens in healthy one-way traffic too, because the other side only sends an empty packet each 10 s (measured). So a
/// suspicion is followed by questions that must be answered, and only ``patience`` without any sign is proof. With 30 %
/// loss each way the longest suspicion lasted 0.91 s, with 50 % 2.0 s (measured).
struct FailureWatch: Hashable, Sendable {
    /// How long nothing may come while questions are asked.
    static let patience = Duration.milliseconds(2500)
    /// Between questions.
    static let questionInterval = Duration.milliseconds(100)
    /// How often counters are compared.
    static let tick = Duration.seconds(1)
    /// A link that carries traffic, and from which nothing came for so long, is asked also if nothing was sent: the other
    /// side may have left it without a word. Longer than the 10 s after which WireGuard itself answers traffic.
    static let quiet = Duration.seconds(20)
    /// Bytes of one question or answer in the tunnel: 67 of the message, 48 of UDP and IPv6, padded to 16, 32 of
    /// WireGuard. As measured on the counter of a peer.
    static let questionBytes: UInt64 = 160

    enum Verdict: Hashable, Sendable {
        case alive, suspect, dead
    }

    private(set) var verdict = Verdict.alive
    /// When something last came.
    private(set) var lastSign: MonotonicTime
    private var suspectedSince: MonotonicTime?
    private var lastQuestion: MonotonicTime?
    private var received: UInt64
    private var sent: UInt64
    /// Bytes of our own since the last comparison, which are no traffic.
    private var ownBytes: UInt64 = 0
    private var lastComparison: MonotonicTime
    /// When traffic was last seen, in either direction.
    private(set) var lastTraffic: MonotonicTime?
    /// When there were bytes last that may have been traffic.
    private var lastBytes: MonotonicTime?

    /// From one sign of traffic to the next, at most.
    static let again = Duration.seconds(10)

    init(received: UInt64, sent: UInt64, at now: MonotonicTime) {
        (self.received, self.sent) = (received, sent)
        (lastSign, lastComparison) = (now, now)
    }

    /// Compares the counters of the peer. Counters that went back are of a peer that was made anew.
    mutating func note(received: UInt64, sent: UInt64, at now: MonotonicTime) {
        if received > self.received { noteSign(at: now) }
        let isDue = lastComparison + Self.tick <= now
        // An empty packet of WireGuard has 32 bytes.
        if received > self.received + 32 + ownBytes { noteTraffic(at: now) }
        let hasReceived = received != self.received
        self.received = received
        guard isDue || sent < self.sent else { return }
        lastComparison = now
        // An empty packet keeps a NAT open.
        let wasSent = sent > self.sent + 32 + ownBytes
        self.sent = sent
        ownBytes = 0
        if wasSent { noteTraffic(at: now) }
        if wasSent, !hasReceived, lastSign + Self.tick <= now { suspect(at: now) }
    }

    /// A handshake, each two minutes, looks like traffic too. What comes again soon is some.
    private mutating func noteTraffic(at now: MonotonicTime) {
        if let lastBytes, lastBytes < now, now - lastBytes <= Self.again { lastTraffic = now }
        lastBytes = now
    }

    /// Something came from the other side.
    mutating func noteSign(at now: MonotonicTime) {
        lastSign = now
        suspectedSince = nil
        if verdict == .suspect { verdict = .alive }
    }

    /// There is reason to ask.
    mutating func suspect(at now: MonotonicTime) {
        guard verdict == .alive else { return }
        verdict = .suspect
        suspectedSince = now
        lastQuestion = nil
    }

    /// Begins anew on another path.
    mutating func restart(at now: MonotonicTime) {
        verdict = .alive
        lastSign = now
        suspectedSince = nil
    }

    /// A question or an answer of ours went through the tunnel.
    mutating func noteOwn() { ownBytes += Self.questionBytes }

    /// A datagram of facts went through the tunnel, or came, with so many bytes of payload.
    mutating func noteFacts(_ payload: Int) { ownBytes += UInt64((48 + payload + 15) / 16 * 16 + 32) }

    /// Whether a question is due.
    mutating func asks(at now: MonotonicTime) -> Bool {
        guard verdict == .suspect, let suspectedSince else { return false }
        guard suspectedSince + Self.patience > now else {
            verdict = .dead
            return false
        }
        guard lastQuestion.map({ $0 + Self.questionInterval <= now }) ?? true else { return false }
        lastQuestion = now
        return true
    }

    var nextDeadline: MonotonicTime? {
        guard verdict == .suspect, let suspectedSince else { return nil }
        let next = lastQuestion.map { $0 + Self.questionInterval } ?? suspectedSince
        return min(next, suspectedSince + Self.patience)
    }
}

extension FailureWatch {
    /// How long traffic counts after it was seen.
    static let recent = Duration.seconds(30)

    /// How long a link is looked after once a while after it had traffic.
    static let remembered = Duration.seconds(300)

    func wasUsed(at now: MonotonicTime) -> Bool { lastTraffic.map { $0 + Self.remembered > now } ?? false }

    func hasTraffic(at now: MonotonicTime) -> Bool {
        verdict == .suspect || lastTraffic.map { $0 + Self.recent > now } ?? false
    }
}
