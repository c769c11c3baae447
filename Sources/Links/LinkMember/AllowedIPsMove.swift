internal import LinkMessages
internal import Time

/// Moves the allowed IPs of two members from the hub to their pair.
///
/// Allowed IPs are routing table and source filter at once, so what is on its way while they move is lost, whatever the
/// order (measured). So both sides hold back what they send to each other: each says through the hub that nothing more
/// comes that way, moves when it hears that of the other, and lets its packets go when the other has moved too.
///
/// ```
///     initiator                         responder
///     holds      ── move ────────────▶
///                ── drained, by hub ─▶  holds
///                ◀──────────── move ──
///                ◀─ drained, by hub ──
///     moves      ── moved ───────────▶  moves
///     lets go    ◀─────────── moved ──  lets go
///                ── settled ─────────▶
/// ```
///
/// All but `drained` goes through the pair's own tunnel. What is lost is said again. A side that cannot hold does
/// everything else in the same way. Nothing that the other one says or does not say makes a hold longer than
/// ``limit``.
struct AllowedIPsMove: Hashable, Sendable {
    /// Between repetitions, while packets are held and else.
    static let holdInterval = Duration.milliseconds(100)
    static let interval = Duration.milliseconds(300)
    /// How long it is waited for the keeper's hold.
    static let keeperPatience = Duration.milliseconds(300)
    /// How long it is waited for the other side's last word through the hub, which may be lost.
    static let drainTime = Duration.milliseconds(500)
    /// How long it is waited where no hub carries such a word: longer than one way through most hubs.
    static let blindDrainTime = Duration.milliseconds(200)
    /// A last word that was said so long before the switch counts: it may overtake the one that begins it.
    static let overtaking = Duration.milliseconds(300)
    /// Longest hold. The keeper has the same.
    static let limit = Duration.seconds(1)

    enum Stage: Hashable {
        case atHub
        /// The keeper is asked to hold.
        case asked
        /// The other side is told, and what is on its way through the hub arrives.
        case draining
        /// The device is to have the allowed IPs at the pair.
        case moving
        /// It has them, and the other side is told.
        case moved
        /// Both have.
        case settled
    }

    /// What is to be done, in this order.
    enum Step: Hashable {
        /// Hold what goes to the other side.
        case hold
        /// Say this through the pair.
        case say(LinkMessage.SwitchPhase)
        /// Say through the hub that nothing more comes that way.
        case sayDrained
        /// Let go what is held.
        case release
    }

    let isInitiator: Bool
    private(set) var stage = Stage.atHub
    /// Whether the keeper may be holding packets.
    private(set) var isHolding = false
    /// When the hold began.
    private var since = MonotonicTime.start
    private var drainingSince = MonotonicTime.start
    private var lastWord: MonotonicTime?
    /// When the other side's last word through the hub came.
    private var drainedAt: MonotonicTime?
    /// When it said that it is about to move, and that it has moved.
    private var agreedAt: MonotonicTime?
    private var otherMovedAt: MonotonicTime?
    /// What the other side is to hear at once.
    private var answer: LinkMessage.SwitchPhase?

    init(isInitiator: Bool) { self.isInitiator = isInitiator }

    /// Whether this side's allowed IPs are at the pair, or are about to be.
    var isMoved: Bool {
        switch stage {
        case .atHub, .asked, .draining: false
        case .moving, .moved, .settled: true
        }
    }

    /// Whether the other side should have answered: then nothing arrives, and it may have moved all the same.
    func isUnanswered(at now: MonotonicTime) -> Bool {
        stage == .draining && drainingSince + FailureWatch.patience <= now
    }

    // MARK: - What happens

    /// The other side said something through the pair, or its last word through the hub.
    mutating func take(_ phase: LinkMessage.SwitchPhase, at now: MonotonicTime) {
        switch phase {
        case .move:
            // One that has lost its own move begins it itself.
            guard stage != .atHub || !isInitiator else { return }
            if agreedAt == nil { agreedAt = now }
            if stage == .moved || stage == .settled { answer = .moved }
        case .drained: drainedAt = now
        case .moved, .settled:
            guard stage != .atHub else { return }
            if otherMovedAt == nil { otherMovedAt = now }
            if phase == .moved, stage == .moved || stage == .settled { answer = .settled }
        case .ready, .back: break
        }
    }

    /// The keeper holds, or it cannot.
    mutating func noteHold(_ isHeld: Bool, at now: MonotonicTime) {
        guard stage == .asked else { return }
        isHolding = isHeld
        drain(at: now)
    }

    private mutating func drain(at now: MonotonicTime) {
        stage = .draining
        drainingSince = now
        lastWord = nil
    }

    /// This side's allowed IPs are at the pair already.
    mutating func noteMoved() {
        guard !isMoved else { return }
        stage = .settled
    }

    /// This side's allowed IPs are at the hub again.
    mutating func goBack() { self = AllowedIPsMove(isInitiator: isInitiator) }

    // MARK: - What is due

    /// What is due at `now`, while both have a session that works.
    ///
    /// - Parameters:
    ///   - isDone: whether the device has made all changes of this pair.
    ///   - hasHub: whether a hub carries words between the two.
    mutating func due(isDone: Bool, hasHub: Bool, at now: MonotonicTime) -> [Step] {
        var steps: [Step] = []
        if stage == .atHub, isInitiator || agreedAt != nil {
            stage = .asked
            isHolding = true
            since = now
            if let time = drainedAt, time + Self.overtaking <= now { drainedAt = nil }
            steps.append(.hold)
        }
        if stage == .asked, since + Self.keeperPatience <= now { drain(at: now) }
        // The other side waits for these words, also if this one need not wait for its.
        if stage == .draining { steps += words(hasHub: hasHub, at: now) }
        if stage == .draining, isDrained(hasHub: hasHub, at: now) {
            stage = .moving
        } else if stage == .moving, isDone {
            stage = .moved
            lastWord = nil
        }
        // Who does not say that it has moved says that it is about to, and is answered.
        if stage == .moved, otherMovedAt != nil || since + Self.limit <= now {
            stage = .settled
            answer = answer ?? .moved
        }
        if isHolding, stage == .settled || since + Self.limit <= now {
            isHolding = false
            steps.append(.release)
        }
        steps += words(hasHub: hasHub, at: now)
        return steps
    }

    private func isDrained(hasHub: Bool, at now: MonotonicTime) -> Bool {
        // Without a sign that the other side takes part this side's packets would arrive nowhere.
        if drainedAt != nil { return true }
        guard let sign = agreedAt ?? otherMovedAt else { return false }
        return max(drainingSince, sign) + (hasHub ? Self.drainTime : Self.blindDrainTime) <= now
    }

    /// What is to be said now.
    private mutating func words(hasHub: Bool, at now: MonotonicTime) -> [Step] {
        if let phase = answer {
            answer = nil
            lastWord = now
            return [.say(phase)]
        }
        guard lastWord.map({ $0 + wordInterval <= now }) ?? true else { return [] }
        switch stage {
        case .draining:
            lastWord = now
            return hasHub ? [.say(.move), .sayDrained] : [.say(.move)]
        case .moved:
            lastWord = now
            return [.say(.moved)]
        case .atHub, .asked, .moving, .settled: return []
        }
    }

    private var wordInterval: Duration { isHolding ? Self.holdInterval : Self.interval }

    var nextDeadline: MonotonicTime? {
        var deadlines: [MonotonicTime] = []
        if isHolding { deadlines.append(since + Self.limit) }
        switch stage {
        case .asked: deadlines.append(since + Self.keeperPatience)
        case .draining:
            let start = max(drainingSince, agreedAt ?? otherMovedAt ?? .start)
            deadlines += [start + Self.blindDrainTime, start + Self.drainTime]
            if let lastWord { deadlines.append(lastWord + wordInterval) }
        case .moved: if let lastWord { deadlines.append(lastWord + wordInterval) }
        case .atHub, .moving, .settled: break
        }
        return deadlines.min()
    }
}
