internal import LinkFacts
internal import Time
internal import WireGuardTypes

/// What one machine of the field has been told, or one of which nothing is known yet. It acknowledges nothing, so all is
/// told again from time to time, and what is new is told twice.
struct PlainRounds: Sendable {
    /// Groups in one round, so that bursts stay modest: 27 kB.
    private static let groupsInRound = 24

    /// What is told: everything behind `cursor`, and once more what is between these two.
    private var cursor: UInt64 = 0
    private var repeated: UInt64 = 0
    private var beganAt: MonotonicTime?
    /// Whether all is told again, so that it is not repeated.
    private var isRefresh = false
    private var aliveAt: MonotonicTime?
    private var tries = 0
    private(set) var nextRound: MonotonicTime = .start

    /// The receiver has begun anew and knows nothing.
    mutating func restart(at now: MonotonicTime) {
        let next = nextRound
        self = PlainRounds()
        // Whoever begins anew all the time gets no more than a round a second.
        nextRound = min(max(now, next), now + .seconds(1))
    }

    /// The receiver is asked to answer, by a packet that makes WireGuard look for it.
    mutating func ping(at now: MonotonicTime) {
        aliveAt = nil
        nextRound = now
    }

    /// The groups of this round, as they are on the wire.
    mutating func send(
        to receiver: PublicKey,
        alive: Fact,
        isPingOnly: Bool,
        isHeard: Bool,
        from journal: Journal,
        at now: MonotonicTime
    ) -> [[UInt8]] {
        nextRound = now + FactTimes.round
        var groups = FactGroups()
        if isPingOnly {
            // Should more be told later, it is told from the beginning.
            (cursor, repeated, beganAt, isRefresh) = (0, 0, nil, false)
        } else {
            if let began = beganAt, now - began >= FactTimes.refresh, cursor == journal.last {
                (cursor, beganAt, isRefresh) = (0, now, true)
            }
            if beganAt == nil { beganAt = now }
            let told = cursor
            Self.add(to: &groups, for: receiver, from: journal, &cursor, through: journal.last)
            if isRefresh {
                repeated = cursor
                isRefresh = cursor < journal.last
            } else {
                Self.add(to: &groups, for: receiver, from: journal, &repeated, through: told)
            }
        }
        let isEager = !isHeard && tries < FactTimes.eagerTries
        tries = isHeard ? 0 : min(tries + 1, FactTimes.eagerTries)
        let pause = isEager ? FactTimes.eagerAlive : FactTimes.alive
        if aliveAt.map({ now - $0 >= pause }) ?? true {
            groups.append(alive)
            aliveAt = now
        } else if groups.appendIfRoom(alive) {
            // It costs nothing.
            aliveAt = now
        }
        return groups.groups
    }

    /// Adds what is between two places of the journal, as far as there is room, and moves the first.
    private static func add(
        to groups: inout FactGroups,
        for receiver: PublicKey,
        from journal: Journal,
        _ place: inout UInt64,
        through end: UInt64
    ) {
        for entry in journal.entries(after: place) {
            guard entry.version <= end else { break }
            if entry.isPlain, entry.isFor(receiver) {
                guard groups.groups.count < groupsInRound else { return }
                var fact = entry.fact
                fact.timeToLive = .usual
                groups.append(fact)
            }
            place = entry.version
        }
        place = end
    }
}

extension Journal.Entry {
    /// Whether the field understands it. Nothing can be withdrawn there, and only a machine itself says that it runs.
    var isPlain: Bool {
        if case .alive = statement { return false }
        return !isWithdrawn
    }
}
