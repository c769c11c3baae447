internal import SourceLimits
internal import Time
internal import WireGuardTypes

/// Lines for the log, as many as a person can read, however much others send.
struct NoticeLog: Sendable {
    private var waiting: [LinkNotice] = []
    private var bucket = TokenBucket()
    /// Of what is wrong, so that members who come and go do not keep it out.
    private var warnings = TokenBucket()
    private var dropped = 0
    /// Who had something refused, so that it is said once.
    private var refused: Set<PublicKey> = []

    init() {}

    mutating func add(_ notice: LinkNotice, at now: MonotonicTime) {
        let isWarning = notice.level == .warning
        let isInTime =
            isWarning
            ? warnings.take(FactLimits.notices, at: now.sinceStart)
            : bucket.take(FactLimits.notices, at: now.sinceStart)
        guard isInTime else {
            dropped += 1
            return
        }
        if dropped > 0 {
            waiting.append(LinkNotice(.refused, .warning, nil, "lines left out, count = \(dropped)"))
            dropped = 0
        }
        waiting.append(notice)
    }

    /// A machine has sent too much of something. It is said once for each start of that machine.
    mutating func refused(_ source: PublicKey, _ text: String, at now: MonotonicTime) {
        guard refused.insert(source).inserted else { return }
        add(LinkNotice(.refused, .warning, source, text), at: now)
    }

    mutating func forgive(_ source: PublicKey) { refused.remove(source) }

    mutating func take() -> [LinkNotice] {
        defer { waiting = [] }
        return waiting
    }
}
