public import NetworkAddresses
public import SourceLimits
public import Time
public import WireGuardTypes

/// Finds out which of the places that another machine names reach it, and which is the best.
///
/// It does no I/O and knows no clock. Its owner sends what ``due(using:isAsked:at:)`` returns, waits no longer than
/// ``nextDeadline(isAsked:at:)``, and tells it of answers and requests that ``ProbeTable`` has read. Several may ask the same
/// machine: a counter belongs to one of them only.
public struct PathProber: Sendable {
    /// Most candidates of one machine. Those that never answered make place for new ones.
    public static let maximumCandidates = 16
    /// Time between the first two requests of a burst, which doubles, and how many requests it has: 3.1 s.
    public static let burstInterval = Duration.milliseconds(100)
    public static let burst = 6
    /// How many candidates may have a burst: 16 at once, and one more each 15 s. Others are asked slowly at once.
    public static let burstLimit = TokenBucket.Size(burst: 16, interval: .seconds(15))
    /// Time between requests to who does not answer, and the longest that it grows to for who never did.
    public static let retry = Duration.seconds(15)
    public static let longestRetry = Duration.seconds(60)
    /// Longest time between requests to who has answered once, so many times.
    public static let eagerRetry = Duration.seconds(3)
    public static let eagerRetries = 20
    /// Time until a path that has answered is asked again while somebody wants to know.
    public static let reproof = Duration.seconds(10)
    /// Time after which a path that has answered should have answered again.
    public static let impatience = Duration.seconds(1)
    /// So many requests in a row may stay without an answer.
    public static let mostMissed = 3
    /// An answer that takes longer is none.
    public static let patience = Duration.seconds(3)
    /// So long after its last answer a path is believed in.
    public static let proofLifetime = Duration.seconds(30)
    /// After a limit was reached.
    static let heldBack = Duration.milliseconds(250)
    /// Requests after the first answer that tell the round trip.
    static let firstSamples = 3

    /// A datagram for somebody.
    public struct Outgoing: Hashable, Sendable {
        public let datagram: [UInt8]
        public let destination: Endpoint
    }

    /// Who answers.
    public let other: PublicKey
    public private(set) var paths: [Path] = []
    private var offered: Set<Endpoint> = []
    private var bursts = TokenBucket()
    private var choice = PathChoice()

    public init(_ other: PublicKey) { self.other = other }

    /// The other machine names all places that it may be reached at now. What is proven stays a path, even if it is not
    /// among them.
    ///
    /// - Parameter candidates: the best first: those beyond ``maximumCandidates`` are left out.
    public mutating func offer(_ candidates: [PathCandidate], at now: MonotonicTime) {
        let candidates = candidates.prefix(Self.maximumCandidates)
        offered = Set(candidates.map(\.endpoint))
        for candidate in candidates {
            if let index = paths.firstIndex(where: { $0.candidate.endpoint == candidate.endpoint }) {
                paths[index].wake(at: now)
            } else {
                add(candidate, at: now)
            }
        }
    }

    /// An authentic request of the other machine came from there: a way that it did not know itself, or one that is
    /// open now.
    public mutating func heard(from source: PathCandidate, at now: MonotonicTime) {
        if let index = paths.firstIndex(where: { $0.candidate.endpoint == source.endpoint }) {
            paths[index].heard(at: now)
        } else {
            add(source, at: now)
        }
    }

    private mutating func add(_ candidate: PathCandidate, at now: MonotonicTime) {
        if paths.count >= Self.maximumCandidates {
            // The oldest that nobody names, or else that never answered.
            guard
                let index = paths.firstIndex(where: {
                    !offered.contains($0.candidate.endpoint) && !$0.isProven(at: now)
                })
                    ?? paths.firstIndex(where: { !$0.hasAnswered })
            else { return }
            paths.remove(at: index)
        }
        let hasBurst = bursts.take(Self.burstLimit, at: now.sinceStart)
        paths.append(Path(candidate, hasBurst: hasBurst, at: now))
    }

    /// The requests that are due now.
    ///
    /// - Parameter isAsked: whether somebody wants to know if proven paths still work. Others are asked in any case.
    public mutating func due(using table: inout ProbeTable, isAsked: Bool, at now: MonotonicTime) -> [Outgoing] {
        var outgoing: [Outgoing] = []
        for index in paths.indices where paths[index].isDue(isAsked: isAsked, at: now) {
            let hasAnswered = paths[index].hasAnswered
            let destination = paths[index].candidate.endpoint
            guard let request = table.request(to: other, at: hasAnswered ? nil : destination, now: now) else {
                // A limit is reached: a little later there may be room.
                paths[index].postpone(to: now + Self.heldBack)
                continue
            }
            paths[index].sent(request.counter, at: now)
            outgoing.append(Outgoing(datagram: request.datagram, destination: destination))
        }
        return outgoing
    }

    /// When ``due(using:isAsked:at:)`` has something next, `nil` if nothing is to be asked. Not before now.
    public func nextDeadline(isAsked: Bool, at now: MonotonicTime) -> MonotonicTime? {
        let next = paths.filter { $0.isDue(isAsked: isAsked, at: max($0.next, now)) }.map(\.next).min()
        return next.map { max($0, now) }
    }

    /// An answer came.
    ///
    /// - Returns: `false` if it is not to a request of this prober, or did not come from where that went: then another
    ///   way leads there, and the other machine's own requests will show it.
    public mutating func answered(
        _ counter: UInt64,
        from source: Endpoint,
        observed: Endpoint?,
        at now: MonotonicTime
    ) -> Bool {
        guard let index = paths.firstIndex(where: { $0.candidate.endpoint == source }) else { return false }
        return paths[index].answered(counter, observed: observed, at: now)
    }

    /// The best of the proven paths; `nil` if none is proven. The one that was the best stays it until another is
    /// clearly better.
    public mutating func best(at now: MonotonicTime) -> Path? { choice.choose(of: paths, at: now) }

    /// What travels this way does not arrive: the path is proven again only by an answer to a request from now on.
    public mutating func distrust(_ endpoint: Endpoint, at now: MonotonicTime) {
        guard let index = paths.firstIndex(where: { $0.candidate.endpoint == endpoint }) else { return }
        paths[index].distrust(at: now)
    }

    /// This machine has other addresses or other routes: all is to be proven again.
    public mutating func restart(at now: MonotonicTime) {
        for index in paths.indices {
            let hasBurst = bursts.take(Self.burstLimit, at: now.sinceStart)
            paths[index].restart(hasBurst: hasBurst, at: now)
        }
    }
}
