internal import LinkFacts
internal import LinkMessages
internal import SourceLimits
internal import Time
internal import WireGuardTypes

/// What one machine of ours has been told, in deltas that it acknowledges.
///
/// Deltas may overtake each other, so a fact does not stand in two that are under way.
struct DeltaStream: Sendable {
    /// A delta without an answer.
    private struct Flight {
        let delta: FactDelta
        let sentAt: MonotonicTime
        var retryAt: MonotonicTime
        var wait = DeltaTimes.firstRetry
        var tries = 1
    }

    /// Datagrams without a pause, and in the long run: less than a receiver takes.
    private static let pace = TokenBucket.Size(burst: 64, interval: .milliseconds(10))

    /// Whether only the alive fact is told.
    let isPingOnly: Bool
    private var next: UInt32
    /// Whether the receiver has not yet taken the first delta.
    private var isFirst = true
    private var cursor: UInt64 = 0
    /// Withdrawals up to here are of facts that the receiver was never told.
    private let base: UInt64
    private var flights: [Flight] = []
    private var keysInFlight: Set<Fact.Key> = []
    /// Whether the next fact is in flight.
    private var isBlocked = false
    private var hasGivenUp = false
    private var aliveAt: MonotonicTime?
    private var notBefore: MonotonicTime = .start
    private var bucket = TokenBucket()

    /// - Parameter sequence: by chance, so that answers to deltas of another stream fit to none of this one.
    init(sequence: UInt32, isPingOnly: Bool, in journal: Journal) {
        next = sequence
        self.isPingOnly = isPingOnly
        base = journal.last
    }

    /// Whether the receiver cannot be brought up to date, so that a new stream is needed.
    func isBroken(in journal: Journal) -> Bool {
        hasGivenUp || !isPingOnly && max(cursor, base) < journal.oldestComplete
    }

    /// The receiver has a delta.
    mutating func acknowledge(_ sequence: UInt32) {
        guard let index = flights.firstIndex(where: { $0.delta.sequence == sequence }) else { return }
        let flight = flights.remove(at: index)
        for fact in flight.delta.facts { keysInFlight.remove(fact.key) }
        if flight.delta.isFirst { isFirst = false }
        isBlocked = false
    }

    /// When there is something to send.
    func nextDue(in journal: Journal) -> MonotonicTime {
        guard let aliveAt else { return .start }
        let room = flights.count < window
        var due = flights.map(\.retryAt).min()
        func consider(_ time: MonotonicTime) { due = due.map { min($0, time) } ?? time }
        if room { consider(max(aliveAt + DeltaTimes.alive, notBefore)) }
        if room, !isPingOnly, !isBlocked, cursor < journal.last { consider(notBefore) }
        return due ?? aliveAt + DeltaTimes.alive
    }

    /// The first delta goes alone, for without it the others mean nothing.
    private var window: Int { isFirst ? 1 : DeltaTimes.window }

    /// The deltas that are to be sent now.
    ///
    /// - Parameters:
    ///   - alive: of this machine.
    ///   - heardAt: when the receiver was heard last.
    ///   - gathering: changes that come sooner after this wait.
    mutating func send(
        to receiver: PublicKey,
        heardAt: MonotonicTime?,
        alive: Fact,
        gathering: Duration,
        from journal: Journal,
        at now: MonotonicTime
    ) -> [FactDelta] {
        var deltas: [FactDelta] = []
        for index in flights.indices where flights[index].retryAt <= now {
            // Who is not heard either has a bad line, and will know what it was told.
            let isHeard = heardAt.map { $0 - flights[index].sentAt > DeltaTimes.longestRetry } ?? false
            guard flights[index].tries < DeltaTimes.tries || !isHeard else {
                hasGivenUp = true
                return deltas
            }
            guard bucket.take(Self.pace, at: now.sinceStart) else {
                flights[index].retryAt = now + Self.pace.interval
                continue
            }
            flights[index].tries += 1
            flights[index].wait = min(flights[index].wait * 2, DeltaTimes.longestRetry)
            flights[index].retryAt = now + flights[index].wait
            deltas.append(flights[index].delta)
        }
        guard now >= notBefore else { return deltas }
        while flights.count < window {
            let aliveIsDue = aliveAt.map { now >= $0 + DeltaTimes.alive } ?? true
            let (facts, end) = nextFacts(receiver, aliveIsDue ? alive : nil, from: journal)
            guard !facts.isEmpty else {
                isBlocked = end < journal.last
                cursor = end
                break
            }
            guard bucket.take(Self.pace, at: now.sinceStart) else {
                notBefore = now + Self.pace.interval
                return deltas
            }
            cursor = end
            if aliveIsDue { aliveAt = now }
            let delta = FactDelta(sequence: next, isFirst: isFirst, facts: facts)
            next &+= 1
            keysInFlight.formUnion(facts.map(\.key))
            flights.append(Flight(delta: delta, sentAt: now, retryAt: now + DeltaTimes.firstRetry))
            deltas.append(delta)
            if !isPingOnly, cursor == journal.last { notBefore = now + gathering }
        }
        return deltas
    }

    /// What goes into the next delta, and the place in the journal behind it.
    private func nextFacts(_ receiver: PublicKey, _ alive: Fact?, from journal: Journal) -> ([Fact], UInt64) {
        var facts: [Fact] = []
        var room = WireFormat.maximumGroup
        if let alive {
            facts.append(alive)
            room -= alive.encodedLength
        }
        var end = cursor
        guard !isPingOnly else { return (facts, end) }
        for entry in journal.entries(after: cursor) {
            var fact = entry.fact
            fact.timeToLive = entry.isWithdrawn ? .none : TimeToLive(lasting: entry.origin)
            let isOld = entry.isWithdrawn && entry.version <= base
            guard !isOld, entry.isFor(receiver), fact.encodedLength <= WireFormat.maximumGroup else {
                end = entry.version
                continue
            }
            guard fact.encodedLength <= room, !keysInFlight.contains(fact.key) else { return (facts, end) }
            facts.append(fact)
            room -= fact.encodedLength
            end = entry.version
        }
        return (facts, journal.last)
    }
}

extension Journal.Entry {
    /// Nobody is told about itself, but that it is a member.
    func isFor(_ receiver: PublicKey) -> Bool { subject != receiver || statement.isMembership }
}
