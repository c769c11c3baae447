public import Keys
public import NetworkAddresses
public import SourceLimits
public import Time
public import WireGuardTypes

/// Makes and reads the probes of this machine with all others that it has a secret with.
///
/// What a stranger's datagram costs: one short hash if he does not know this machine's public key; else one for each
/// pair, so often a second as ``strangerLimit`` says. A datagram from where a pair was heard before is tried with that
/// pair first, so a stranger does not keep known ones out.
public struct ProbeTable: Sendable {
    /// Most pairs.
    public static let maximumPairs = 4096
    /// Most places that pairs were heard at which are remembered.
    public static let maximumSources = 8192
    /// How many datagrams that pass the gate and are of no pair are looked at: 100 at once, and 100 a second.
    public static let strangerLimit = TokenBucket.Size(burst: 100, interval: .milliseconds(10))
    /// How many requests of one pair are answered: 20 at once, and 20 a second.
    public static let answerLimit = TokenBucket.Size(burst: 20, interval: .milliseconds(50))
    /// How many requests this machine sends to places that are not proven, all pairs together: 500 at once, and 200 a
    /// second, which is 24 kB. Whoever names places for it to probe can aim no more than that at somebody else.
    /// ``firstRequests`` of each pair are counted apart, with the same limit.
    public static let unprovenLimit = TokenBucket.Size(burst: 500, interval: .milliseconds(5))
    /// How many of these are for one pair: 128 at once, so that 16 candidates have their burst, and 2 a second.
    public static let pairLimit = TokenBucket.Size(burst: 128, interval: .milliseconds(500))
    public static let firstRequests = 96

    /// What was read.
    public enum Event: Hashable, Sendable {
        /// The datagram is to go back to where the request came from; `nil` if there were more than ``answerLimit``.
        case request(from: PublicKey, answer: [UInt8]?)
        /// For ``PathProber/answered(_:from:observed:at:)``.
        case answer(from: PublicKey, counter: UInt64, observed: Endpoint?)
    }

    /// A request to be sent.
    public struct Request: Hashable, Sendable {
        /// What the answer will repeat.
        public let counter: UInt64
        public let datagram: [UInt8]
    }

    private struct Pair {
        let keys: ProbeKeys
        var awaited: AwaitedAnswers
        /// To places that are not proven.
        var unproven = TokenBucket()
        var unprovenCount = 0
        var requests = ReplayGuard()
        var answers = TokenBucket()
    }

    public let own: PublicKey
    /// Of this start of this machine.
    public let boot: UInt64
    private var pairs: [Pair] = []
    private var places: [PublicKey: Int] = [:]
    private var sources = KnownSources()
    private var strangers = TokenBucket()
    private var unproven = TokenBucket()
    private var first = TokenBucket()
    /// Highest counter of the pairs that were taken out: one that comes back goes on behind it.
    private var lastCounter: UInt64 = 0
    private var destinations = Destinations()

    /// - Parameter boot: random, another with each start.
    public init(own: PublicKey, boot: UInt64) {
        self.own = own
        self.boot = boot
    }

    /// The machines that there are pairs with.
    public var members: some Collection<PublicKey> { places.keys }

    /// Takes up a pair with `other`; nothing changes if there is one.
    ///
    /// - Returns: `false` if there are ``maximumPairs``.
    public mutating func add(_ other: PublicKey, secret: SharedSecret) -> Bool {
        guard places[other] == nil else { return true }
        guard pairs.count < Self.maximumPairs else { return false }
        places[other] = pairs.count
        let keys = ProbeKeys(own: own, other: other, secret: secret)
        pairs.append(Pair(keys: keys, awaited: AwaitedAnswers(after: lastCounter)))
        return true
    }

    /// Takes a pair out. If it comes back, what it sent before it was taken out is taken once more.
    public mutating func remove(_ other: PublicKey) {
        guard let place = places.removeValue(forKey: other) else { return }
        lastCounter = max(lastCounter, pairs[place].awaited.last)
        let last = pairs.removeLast()
        guard place < pairs.count else { return }
        pairs[place] = last
        places[last.keys.other] = place
    }

    /// Makes a request.
    ///
    /// - Parameter unproven: where it goes, unless that has ever answered.
    /// - Returns: `nil` if there is no such pair, or a limit of such places is reached.
    public mutating func request(to other: PublicKey, at unproven: Endpoint?, now: MonotonicTime) -> Request? {
        guard let place = places[other] else { return nil }
        if let unproven {
            guard mayAsk(place, at: unproven, now) else { return nil }
        }
        let probe = Probe(kind: .request, boot: boot, counter: pairs[place].awaited.next())
        return Request(counter: probe.counter, datagram: pairs[place].keys.datagram(of: probe))
    }

    /// Whether a pair may ask at a place that is not proven. One that has asked a lot already does not keep others out
    /// that have just come.
    private mutating func mayAsk(_ place: Int, at destination: Endpoint, _ now: MonotonicTime) -> Bool {
        let isFirst = pairs[place].unprovenCount < Self.firstRequests
        var own = pairs[place].unproven
        var all = isFirst ? first : unproven
        guard own.take(Self.pairLimit, at: now.sinceStart), all.take(Self.unprovenLimit, at: now.sinceStart),
            destinations.take(destination, at: now)
        else { return false }
        pairs[place].unproven = own
        if isFirst {
            pairs[place].unprovenCount += 1
            first = all
        } else {
            unproven = all
        }
        return true
    }

    /// Reads any bytes from anywhere.
    public mutating func read(
        _ datagram: Span<UInt8>,
        from source: Endpoint,
        at now: MonotonicTime
    ) throws(RefusedProbe) -> Event {
        let head = try ProbeHead(datagram, receiver: own)
        let place = try place(of: head, from: source, at: now)
        do throws(RefusedProbe) {
            return try read(datagram, head, pair: place, from: source, at: now)
        } catch {
            // Somebody sends again, or changed, what he saw of a pair: it cost more than a stranger's.
            _ = strangers.take(Self.strangerLimit, at: now.sinceStart)
            throw error
        }
    }

    private mutating func read(
        _ datagram: Span<UInt8>,
        _ head: ProbeHead,
        pair place: Int,
        from source: Endpoint,
        at now: MonotonicTime
    ) throws(RefusedProbe) -> Event {
        let probe = try pairs[place].keys.open(head, datagram)
        let sender = pairs[place].keys.other
        switch probe.kind {
        case .request:
            guard pairs[place].requests.takes(boot: probe.boot, counter: probe.counter) else { throw .replayed(sender) }
            sources.remember(sender, at: source)
            guard pairs[place].answers.take(Self.answerLimit, at: now.sinceStart) else {
                return .request(from: sender, answer: nil)
            }
            let answer = Probe(kind: .answer, boot: probe.boot, counter: probe.counter, observed: source)
            return .request(from: sender, answer: pairs[place].keys.datagram(of: answer))
        case .answer:
            guard probe.boot == boot, pairs[place].awaited.take(probe.counter) else { throw .notAsked(sender) }
            sources.remember(sender, at: source)
            return .answer(from: sender, counter: probe.counter, observed: probe.observed)
        }
    }

    /// The pair that a datagram says it is of.
    private mutating func place(
        of head: ProbeHead,
        from source: Endpoint,
        at now: MonotonicTime
    ) throws(RefusedProbe) -> Int {
        if let known = sources[source].flatMap({ places[$0] }), pairs[known].keys.isHinted(head) { return known }
        // A token is used up by strangers only.
        var rest = strangers
        guard rest.take(Self.strangerLimit, at: now.sinceStart) else { throw .tooMany }
        guard let place = pairs.firstIndex(where: { $0.keys.isHinted(head) }) else {
            strangers = rest
            throw .unknown
        }
        return place
    }
}

/// Which of the last requests of a pair are not answered yet.
struct AwaitedAnswers: Hashable, Sendable {
    /// Requests that an answer may come to: 16 candidates are asked 160 times a second at first, for 3 s.
    static let window: UInt64 = 512

    private(set) var last: UInt64
    /// Bit n of them all is for the counter whose remainder is n.
    private var bits = [UInt64](repeating: 0, count: Int(window / 64))

    /// - Parameter counter: that no request has any more.
    init(after counter: UInt64 = 0) { last = counter }

    /// The counter of a new request, whose answer is awaited from now on.
    mutating func next() -> UInt64 {
        last += 1
        bits[Int(last % Self.window / 64)] |= 1 << (last % 64)
        return last
    }

    /// Whether an answer to a request is awaited; from then on it is no longer.
    mutating func take(_ counter: UInt64) -> Bool {
        guard counter > 0, counter <= last, last - counter < Self.window else { return false }
        let (word, bit) = (Int(counter % Self.window / 64), UInt64(1) << (counter % 64))
        guard bits[word] & bit != 0 else { return false }
        bits[word] &= ~bit
        return true
    }
}

/// How often places that never answered are asked, whoever has named them. A machine that did not want to be asked gets
/// no more than that, however many members name it.
struct Destinations: Sendable {
    /// Of one place: 16 at once, and 6 a minute.
    static let placeLimit = TokenBucket.Size(burst: 16, interval: .seconds(10))
    /// Of all ports of one address, behind which there may be many members: 128 at once, and one a second.
    static let addressLimit = TokenBucket.Size(burst: 128, interval: .seconds(1))
    /// Most places and most addresses that are remembered. With more nobody new is asked for a while.
    static let maximum = 8192

    private var places: [Endpoint: TokenBucket] = [:]
    private var addresses: [IPv6Address: TokenBucket] = [:]

    var count: Int { max(places.count, addresses.count) }

    mutating func take(_ place: Endpoint, at now: MonotonicTime) -> Bool {
        if count >= Self.maximum {
            // Who could be asked as often as ever need not be remembered.
            places = places.filter { !$0.value.isFull(at: now.sinceStart) }
            addresses = addresses.filter { !$0.value.isFull(at: now.sinceStart) }
            guard count < Self.maximum else { return places[place] != nil && mayAsk(place, at: now) }
        }
        return mayAsk(place, at: now)
    }

    private mutating func mayAsk(_ place: Endpoint, at now: MonotonicTime) -> Bool {
        places[place, default: TokenBucket()].take(Self.placeLimit, at: now.sinceStart)
            && addresses[place.source, default: TokenBucket()].take(Self.addressLimit, at: now.sinceStart)
    }
}

/// Where pairs were heard last, in bounded memory. When the recent ones fill half of the places, they become the older
/// ones, and the older ones before them are dropped.
struct KnownSources: Sendable {
    private var recent: [Endpoint: PublicKey] = [:]
    private var older: [Endpoint: PublicKey] = [:]

    var count: Int { recent.count + older.count }

    subscript(source: Endpoint) -> PublicKey? { recent[source] ?? older[source] }

    mutating func remember(_ member: PublicKey, at source: Endpoint) {
        guard recent[source] != member else { return }
        if recent[source] == nil, recent.count >= ProbeTable.maximumSources / 2 {
            older = recent
            recent = [:]
        }
        older[source] = nil
        recent[source] = member
    }
}
