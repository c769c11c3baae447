/// What the operator is to hear, and the counts of messages that were ignored.
struct Notices: Sendable {
    /// Why a message was ignored.
    enum Reason {
        case malformed
        /// Too old, or from the future.
        case untimely
        case untrusted
    }

    private var all: [BusNotice] = []
    private var malformed = 0
    private var untimely = 0
    private var untrusted = 0
    /// How many dropped ones the log has counted.
    private var reportedDropped = 0
    /// When the counts go to the log; `nil` if all are zero.
    private(set) var due: Duration?
    private var earliest = Duration.zero

    mutating func add(_ notice: BusNotice) {
        // The owner takes them each round. What is more than this in one round comes again, or was said already.
        if all.count < BusLimit.notices { all.append(notice) }
    }

    mutating func take() -> [BusNotice] {
        defer { all.removeAll() }
        return all
    }

    /// A message was ignored.
    mutating func count(_ reason: Reason, at now: Duration) {
        switch reason {
        case .malformed: malformed += 1
        case .untimely: untimely += 1
        case .untrusted: untrusted += 1
        }
        schedule(at: now)
    }

    /// - Parameter dropped: how many there were no places for, ever.
    mutating func note(dropped: Int, at now: Duration) { if dropped > reportedDropped { schedule(at: now) } }

    /// The first counts come soon, all that follow an hour later.
    private mutating func schedule(at now: Duration) {
        guard due == nil else { return }
        due = max(now + BusLimit.noticeDelay, earliest)
    }

    /// Adds the counts if it is time.
    ///
    /// - Parameter dropped: how many there were no places for, ever.
    mutating func advance(to now: Duration, dropped: Int) {
        guard let due, due <= now else { return }
        let new = dropped - reportedDropped
        if malformed + untimely + untrusted + new > 0 {
            add(.ignored(malformed: malformed, untimely: untimely, untrusted: untrusted, dropped: new))
        }
        malformed = 0
        untimely = 0
        untrusted = 0
        reportedDropped = dropped
        self.due = nil
        earliest = now + BusLimit.noticeInterval
    }
}
