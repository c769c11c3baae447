public import NetworkAddresses
public import Time

/// A place that another machine may be reached at.
public struct PathCandidate: Hashable, Sendable {
    public let endpoint: Endpoint
    /// Whether it is in a network that this machine has an address in.
    public let isNear: Bool

    public init(_ endpoint: Endpoint, isNear: Bool) {
        self.endpoint = endpoint
        self.isNear = isNear
    }
}

/// What is known of one candidate.
public struct Path: Hashable, Sendable {
    public let candidate: PathCandidate
    /// Whether it has ever answered.
    public var hasAnswered: Bool { lastAnswer != nil }
    /// Whether it was ever asked.
    public var wasAsked: Bool { lastSent != nil }
    /// When the last answer came.
    public private(set) var lastAnswer: MonotonicTime?
    /// The shortest of the last round trips; `nil` if there was no answer.
    public var roundTrip: Duration? { roundTrips.min() }
    /// Where the other machine sees this one, as it said last.
    public private(set) var observed: Endpoint?

    /// The last ones, at most ``Self/samples``.
    private var roundTrips: [Duration] = []
    /// Requests without an answer yet, the oldest first, at most ``Self/mostOutstanding``.
    private var outstanding: [(counter: UInt64, sent: MonotonicTime)] = []
    /// Requests of the first burst that are still to be sent.
    private var burst: Int
    /// Requests to be sent for the sake of the round trip alone.
    private var wantedSamples = 0
    /// Requests in a row that were not answered, since the last answer or since the burst.
    private var missed = 0
    /// When the next request is due.
    private(set) var next: MonotonicTime
    private var lastSent: MonotonicTime?
    /// Whether it has not answered when it should have.
    private var isLost = false

    static let samples = 8
    static let mostOutstanding = 32

    init(_ candidate: PathCandidate, hasBurst: Bool, at now: MonotonicTime) {
        self.candidate = candidate
        burst = hasBurst ? PathProber.burst : 0
        next = now
    }

    public static func == (left: Path, right: Path) -> Bool {
        left.candidate == right.candidate && left.lastAnswer == right.lastAnswer && left.next == right.next
            && left.observed == right.observed
    }

    public func hash(into hasher: inout Hasher) { hasher.combine(candidate) }

    /// Whether it has answered not long ago, and nothing has shown since that it does no longer.
    public func isProven(at now: MonotonicTime) -> Bool {
        guard let lastAnswer, !isLost else { return false }
        return now - lastAnswer <= PathProber.proofLifetime
    }

    /// Whether it has answered, however long ago, and nothing has shown since that it does no longer.
    public var isBelieved: Bool { hasAnswered && !isLost }

    /// Whether a request is due. A path that is believed in and not asked about waits.
    func isDue(isAsked: Bool, at now: MonotonicTime) -> Bool {
        next <= now && (isAsked || wantedSamples > 0 || !isBelieved)
    }

    /// A request was sent.
    mutating func sent(_ counter: UInt64, at now: MonotonicTime) {
        outstanding.removeAll { now - $0.sent > PathProber.patience }
        if outstanding.count >= Self.mostOutstanding { outstanding.removeFirst() }
        outstanding.append((counter, now))
        lastSent = now
        if burst > 0 {
            burst -= 1
            let pause = PathProber.burstInterval * (1 << (PathProber.burst - 1 - burst))
            next = now + (burst > 0 ? pause : PathProber.retry)
        } else if isBelieved {
            if wantedSamples > 0 { wantedSamples -= 1 }
            missed += 1
            // One request waits for its answer: only then it is known whether it is the first that is missed.
            isLost = missed > PathProber.mostMissed
            next = now + (wantedSamples > 0 ? PathProber.burstInterval : PathProber.impatience)
        } else {
            missed = min(missed + 1, PathProber.eagerRetries)
            next = now + retryDelay
        }
    }

    /// Nothing could be sent.
    mutating func postpone(to time: MonotonicTime) { next = time }

    /// Who was lost may come back soon, and is asked often for the first minute. Who never answered is asked four times a
    /// minute at most.
    private var retryDelay: Duration {
        guard hasAnswered else {
            return min(PathProber.retry * (1 << max(min(missed, 16) - 1, 0)), PathProber.longestRetry)
        }
        guard missed < PathProber.eagerRetries else { return PathProber.retry }
        return min(PathProber.impatience * (1 << min(missed, 16)), PathProber.eagerRetry)
    }

    /// An answer came.
    ///
    /// - Returns: `false` if it is not to a request to this path.
    mutating func answered(_ counter: UInt64, observed: Endpoint?, at now: MonotonicTime) -> Bool {
        guard let index = outstanding.firstIndex(where: { $0.counter == counter }) else { return false }
        let request = outstanding.remove(at: index)
        let roundTrip = max(now - request.sent, .zero)
        guard roundTrip <= PathProber.patience else { return false }
        if roundTrips.count >= Self.samples { roundTrips.removeFirst() }
        roundTrips.append(roundTrip)
        if !isProven(at: now) { wantedSamples = PathProber.firstSamples }
        burst = 0
        missed = 0
        isLost = false
        lastAnswer = now
        if let observed { self.observed = observed }
        next = now + (wantedSamples > 0 ? PathProber.burstInterval : PathProber.reproof)
        return true
    }

    /// A request of the other machine came this way: whatever was in the way may have gone.
    mutating func heard(at now: MonotonicTime) {
        guard !isProven(at: now) else { return }
        next = min(next, (lastSent.map { $0 + PathProber.burstInterval } ?? now))
    }

    /// Asks again soon; who was lost is believed only after a new answer.
    mutating func wake(at now: MonotonicTime) { heard(at: now) }

    /// What was asked before says nothing any more.
    mutating func distrust(at now: MonotonicTime) {
        outstanding = []
        isLost = true
        missed = 0
        wantedSamples = 0
        next = now
    }

    /// Where this machine is seen, and how far the other one is, may have changed.
    mutating func restart(hasBurst: Bool, at now: MonotonicTime) {
        distrust(at: now)
        roundTrips = []
        if hasBurst { burst = PathProber.burst }
    }
}
