internal import NetworkAddresses
internal import Time
internal import WireGuardTypes

/// The way to one member through the relay of a hub, as this machine sees it.
///
/// The hub says at which of its ports the other member is. Probes there open the own NAT and show the hub where this
/// machine is, and their answers prove the way to the hub. They say nothing about the other half.
struct RelayPath: Hashable, Sendable {
    /// After which an unanswered request for a port is made again.
    static let requestInterval = Duration.seconds(2)
    /// Between probes until one is answered: the first five, and later ones.
    static let firstInterval = Duration.milliseconds(100)
    static let laterInterval = Duration.seconds(1)
    static let fastProbes = 5
    /// After so many without an answer the hub is asked again: it may have given the port to somebody else.
    static let mostProbes = 30
    /// Between probes of an open way: less than the 30 s after which common NATs forget.
    static let keepOpenInterval = Duration.seconds(20)
    /// How long an answer proves the way.
    static let validity = Duration.seconds(50)
    /// After a refusal.
    static let refusalInterval = Duration.seconds(60)

    enum State: Hashable, Sendable {
        case unasked
        case asked(at: MonotonicTime)
        case refused(at: MonotonicTime)
        case granted(Endpoint)
    }

    private(set) var state = State.unasked
    private var lastProbe: MonotonicTime?
    private var probes = 0
    /// Requests for a port that were not answered.
    private(set) var requests = 0
    private var lastAnswer: MonotonicTime?

    enum Work: Hashable, Sendable {
        case ask
        case probe(Endpoint)
    }

    /// Where to send what is for the other member, once the hub has said so.
    var endpoint: Endpoint? {
        guard case .granted(let endpoint) = state else { return nil }
        return endpoint
    }

    /// The endpoint, if the way to the hub is proven.
    func proven(at now: MonotonicTime) -> Endpoint? {
        guard let lastAnswer, lastAnswer + Self.validity > now else { return nil }
        return endpoint
    }

    mutating func grant(_ endpoint: Endpoint) {
        guard self.endpoint != endpoint else { return }
        state = .granted(endpoint)
        (lastProbe, lastAnswer, probes, requests) = (nil, nil, 0, 0)
    }

    mutating func refuse(at now: MonotonicTime) {
        self = RelayPath()
        state = .refused(at: now)
    }

    /// A probe was answered.
    mutating func noteAnswer(at now: MonotonicTime) {
        lastAnswer = now
        probes = 0
    }

    /// The addresses of this machine changed: the hub must see the new ones.
    mutating func renew() { (lastProbe, probes) = (nil, 0) }

    /// Whether there is no answer, though it was asked often enough to say so.
    var isUnanswered: Bool { max(probes, requests) >= Self.fastProbes }

    /// What is due.
    mutating func work(at now: MonotonicTime) -> Work? {
        guard nextDeadline.map({ $0 <= now }) ?? false else { return nil }
        switch state {
        case .unasked, .asked, .refused:
            state = .asked(at: now)
            requests = min(requests + 1, Self.fastProbes)
            return .ask
        case .granted where probes >= Self.mostProbes:
            self = RelayPath()
            state = .asked(at: now)
            return .ask
        case .granted(let endpoint):
            lastProbe = now
            probes += 1
            return .probe(endpoint)
        }
    }

    var nextDeadline: MonotonicTime? {
        switch state {
        case .unasked: .start
        case .asked(let time): time + Self.requestInterval
        case .refused(let time): time + Self.refusalInterval
        case .granted:
            if let lastProbe {
                lastProbe
                    + (probes == 0
                        ? Self.keepOpenInterval : probes < Self.fastProbes ? Self.firstInterval : Self.laterInterval)
            } else {
                .start
            }
        }
    }
}
