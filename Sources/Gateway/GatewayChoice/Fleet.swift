public import KexProtocol
public import WireGuardTypes

/// The gateways of a community, as the bus tells of them, and which of them a router gets.
///
/// ```swift
/// var fleet = Fleet(rule: .steady, weights: ["gw01": 30, "gw02": 10], domains: [domain])
/// fleet.take(.online, from: "gw01", at: now)
/// fleet.take(.peers(17, in: domain), from: "gw01", at: now)
/// let gateway = fleet.choose(for: key, in: domain, at: now)
/// ```
///
/// A choice is an answer to a router that registers, and nothing else: no choice cuts a router off. The field's
/// firmware registers when it has found its tunnel dead and has taken it down, and an answer to somebody else who sends
/// its key does not reach it. So a router may be given another gateway whenever it asks, and that is the only moment to
/// share the routers out anew. A gateway that comes back empty has its share again when that many routers of other
/// gateways have asked: of 2 equal gateways half of all, of 200 one in 200. No rule is faster that leaves tunnels
/// alone.
///
/// All times are since the start of the machine.
public struct Fleet: Sendable {
    /// How a gateway is chosen.
    public enum Rule: Sendable {
        /// As freifunkMUC's broker does, for a community that has one of them too: the gateway that has the fewest
        /// routers in comparison with its weight, among those whose status says that they are there. The total is of
        /// all that was ever told of, and so is the total weight of all that the operator names, online or not. A
        /// weight of 0 counts as 1.
        case field
        /// The same for gateways that were heard from within ``FleetLimit/silence``, as if there were no others: by the
        /// field's totals the routers of a missing gateway are not shared out by weight, because every other one has
        /// the same number too many, be it small or large (weights 30:10 beside a dead 40 share 1000 routers 625:375).
        ///
        /// A router keeps its gateway, which must be there,
        /// 1. if it is connected: it shook hands within ``FleetLimit/sessionTime``;
        /// 2. if it got this answer within ``FleetLimit/retryTime``;
        /// 3. if no other gateway needs it more. A gateway that has 4 % more than another gives.
        ///
        /// Not if it came again and again for longer than ``FleetLimit/retryTime``: then there is something wrong with
        /// the gateway, even if handshakes succeed. A gateway of weight 0 keeps the connected ones only.
        case steady
    }

    /// What a gateway, or the broker in its name, says of it.
    public enum News: Hashable, Sendable {
        /// It is there, and what a router has to know of it is known.
        case online
        /// It says goodbye, or its will does.
        case offline
        /// Routers that are connected to it. If the number is negative, it does not serve the domain.
        case peers(Int, in: DomainName)
    }

    /// Without its name, which would have to be retained for each look.
    private struct Gateway: Sendable {
        /// Tells it from another one that had its place before.
        let tenant: UInt32
        var weight: Int
        var isOnline = false
        /// When it was heard from last.
        var heard: Duration
        /// When it told of its routers last.
        var counted: Duration?
        /// Its routers, of all domains.
        var load = 0

        /// Whether it was heard from at `time` or later, and did not say goodbye.
        func isThere(since time: Duration) -> Bool { isOnline && heard >= time }

        func candidate(_ place: Int, weight: Int) -> Balance.Candidate {
            Balance.Candidate(place: place, weight: Double(weight), load: Double(load))
        }
    }

    /// A gateway in a domain, in eight bytes because there are many.
    private struct Seat: Hashable, Sendable {
        let tenant: UInt32
        private let shortPlace: UInt16
        private let shortRow: UInt16
        var place: Int { Int(shortPlace) }
        var row: Int { Int(shortRow) }

        init(tenant: UInt32, place: Int, row: Int) {
            self.tenant = tenant
            shortPlace = UInt16(place)
            shortRow = UInt16(row)
        }
    }

    /// Where a router was heard, and when.
    private struct Home: Sendable {
        var seat: Seat
        var heard: Seconds
    }

    /// What a router was told last.
    private struct Answer: Sendable {
        var seat: Seat
        /// When it was told so for the first time, if it asked again and again since.
        var first: Seconds
        var last: Seconds
    }

    private let rule: Rule
    private var weights: [String: Int]
    /// Of all that the operator names.
    private var totalWeight = 0
    private var gateways: [Gateway] = []
    /// Of ``gateways``, in the same order.
    private var names: [String] = []
    private var places: [String: Int] = [:]
    private var tenants: UInt32 = 0
    private var rows: [DomainName: Int] = [:]
    /// Routers by domain and gateway; ``absent`` where the gateway does not serve the domain.
    private var counts: [[Int]] = []
    private var homes = RecentKeys<Home>(limit: FleetLimit.routers)
    private var answers = RecentKeys<Answer>(limit: FleetLimit.answers)

    private static let absent = -1
    /// Longer ago than ``FleetLimit/silence`` at any time.
    private static let longAgo = Duration.zero - FleetLimit.silence * 2

    /// - Parameters:
    ///   - weights: as in ``change(weights:)``.
    ///   - domains: those that will be asked for.
    public init(rule: Rule, weights: [String: Int] = [:], domains: [DomainName]) {
        self.rule = rule
        self.weights = [:]
        for domain in domains where rows[domain] == nil { addRow(of: domain) }
        change(weights: weights)
    }

    /// Takes what the operator says of shares.
    ///
    /// - Parameter weights: by the gateway's name, none negative. Whoever is not named has 1. By the steady rule 0
    ///   means that the gateway is to become empty.
    public mutating func change(weights: [String: Int]) {
        precondition(weights.values.allSatisfy { $0 >= 0 }, "a weight is a share")
        self.weights = weights
        totalWeight = weights.values.reduce(0) { $0 + max($1, 1) }
        for place in gateways.indices { gateways[place].weight = weight(of: names[place]) }
    }

    private func weight(of name: String) -> Int { weights[name] ?? 1 }
}

// MARK: - News

extension Fleet {
    /// Takes in what a gateway says.
    ///
    /// - Parameters:
    ///   - gateway: its name. A name longer than ``FleetLimit/nameLength`` is left out.
    ///   - time: when it said so. A message that the broker had kept is as old as its time stamp; one without, and
    ///     every other one, is from now. Not in the future: whoever trusts a time stamp cuts it.
    public mutating func take(_ news: News, from gateway: String, at time: Duration) {
        switch news {
        case .offline:
            if let place = places[gateway] { gateways[place].isOnline = false }
        case .online:
            guard let place = place(of: gateway, at: time) else { return }
            gateways[place].isOnline = true
        case .peers(let number, let domain):
            guard let row = row(of: domain), let place = place(of: gateway, at: time) else { return }
            count(number < 0 ? Self.absent : min(number, FleetLimit.peers), at: place, row)
            gateways[place].counted = max(gateways[place].counted ?? time, time)
        }
    }

    /// Takes in that a gateway is of no interest any more: its place is free for another one.
    public mutating func dismiss(_ gateway: String) {
        guard let place = places[gateway] else { return }
        gateways[place].isOnline = false
        gateways[place].heard = Self.longAgo
    }

    /// Takes in that a gateway has heard a router. One that has said nothing of itself is no gateway: anybody can write
    /// any name into a note.
    ///
    /// What it says first of a router that came to it counts until its next ``News/peers(_:in:)``, so that this front
    /// door knows where others sent their routers.
    ///
    /// - Parameter heard: when the router shook hands last.
    public mutating func take(router key: PublicKey, in domain: DomainName, from gateway: String, heard: Duration) {
        guard let row = row(of: domain), let place = places[gateway] else { return }
        gateways[place].heard = max(gateways[place].heard, heard)
        let seat = Seat(tenant: gateways[place].tenant, place: place, row: row)
        let before = homes[key]
        if let before, isKnown(before.seat), before.heard.age(at: Seconds(heard)) < 0 { return }
        homes[key] = Home(seat: seat, heard: Seconds(heard))
        let isCounted = before?.seat == seat || answers[key]?.seat == seat
        if !isCounted, counts[row][place] != Self.absent, let counted = gateways[place].counted, heard > counted {
            count(counts[row][place] + 1, at: place, row)
        }
    }

    /// Takes in that a gateway has taken a router out. That counts if the router was heard there last, and not since.
    public mutating func forget(router key: PublicKey, in domain: DomainName, from gateway: String, at time: Duration) {
        guard let home = homes[key], let place = places[gateway], home.seat.row == rows[domain],
            home.seat.place == place, isKnown(home.seat), home.heard.age(at: Seconds(time)) >= 0
        else { return }
        homes[key] = nil
    }

    private mutating func count(_ number: Int, at place: Int, _ row: Int) {
        gateways[place].load += max(number, 0) - max(counts[row][place], 0)
        counts[row][place] = number
    }

    /// The gateway's place, which may be new; `nil` if there is none left. The gateway has been heard.
    private mutating func place(of name: String, at time: Duration) -> Int? {
        if let place = places[name] {
            gateways[place].heard = max(gateways[place].heard, time)
            return place
        }
        guard name.utf8.count <= FleetLimit.nameLength else { return nil }
        tenants &+= 1
        let gateway = Gateway(tenant: tenants, weight: weight(of: name), heard: time)
        if gateways.count < FleetLimit.gateways {
            gateways.append(gateway)
            names.append(name)
            for row in counts.indices { counts[row].append(Self.absent) }
            places[name] = gateways.count - 1
            return gateways.count - 1
        }
        let longest = gateways.indices.min { gateways[$0].heard < gateways[$1].heard }
        guard let place = longest, time - gateways[place].heard > FleetLimit.silence else { return nil }
        places[names[place]] = nil
        gateways[place] = gateway
        names[place] = name
        for row in counts.indices { counts[row][place] = Self.absent }
        places[name] = place
        return place
    }

    /// The domain's place, which may be new; `nil` if there is none left.
    private mutating func row(of domain: DomainName) -> Int? {
        if let row = rows[domain] { return row }
        return counts.count < FleetLimit.domains ? addRow(of: domain) : nil
    }

    @discardableResult
    private mutating func addRow(of domain: DomainName) -> Int {
        rows[domain] = counts.count
        counts.append(Array(repeating: Self.absent, count: gateways.count))
        return counts.count - 1
    }
}

// MARK: - Choice

extension Fleet {
    /// Chooses a gateway for a router that registers, in a time in proportion to the number of gateways.
    ///
    /// A router that is new there counts until the gateway says how many it has.
    ///
    /// - Returns: the gateway's name; `nil` if there is none for this domain.
    public mutating func choose(for key: PublicKey, in domain: DomainName, at now: Duration) -> String? {
        guard let row = rows[domain] else { return nil }
        let place =
            switch rule {
            case .field: fieldChoice(row)
            case .steady: steadyChoice(for: key, row, at: now)
            }
        return place.map { names[$0] }
    }

    /// The gateway that a router which comes now would most likely get, by the steady rule; nothing is remembered of
    /// the question.
    ///
    /// - Returns: the gateway's name; `nil` if there is none for this domain.
    public func neediest(in domain: DomainName, at now: Duration) -> String? {
        guard let row = rows[domain] else { return nil }
        return steadyBalance(row, since: now - FleetLimit.silence, without: nil).neediest.map { names[$0.place] }
    }

    private mutating func fieldChoice(_ row: Int) -> Int? {
        var candidates: [Balance.Candidate] = []
        var total = 0
        for place in gateways.indices {
            total += gateways[place].load
            guard gateways[place].isOnline && counts[row][place] != Self.absent else { continue }
            candidates.append(gateways[place].candidate(place, weight: max(gateways[place].weight, 1)))
        }
        let balance = Balance(candidates, total: Double(total), totalWeight: Double(max(totalWeight, 1)))
        guard let place = balance.neediest?.place else { return nil }
        count(counts[row][place] + 1, at: place, row)
        return place
    }

    /// - Parameter avoided: the place of one that is no candidate.
    private func steadyBalance(_ row: Int, since time: Duration, without avoided: Int?) -> Balance {
        // Copies of the arrays, because a look at them through the fleet retains the whole of it in a build without
        // optimisation.
        let gateways = gateways
        let counts = counts[row]
        var candidates: [Balance.Candidate] = []
        candidates.reserveCapacity(gateways.count)
        var total = 0
        var totalWeight = 0
        for place in gateways.indices where place != avoided && counts[place] != Self.absent {
            let gateway = gateways[place]
            guard gateway.weight > 0 && gateway.isThere(since: time) else { continue }
            total += gateway.load
            totalWeight += gateway.weight
            candidates.append(gateway.candidate(place, weight: gateway.weight))
        }
        return Balance(candidates, total: Double(total), totalWeight: Double(totalWeight))
    }

    private mutating func steadyChoice(for key: PublicKey, _ row: Int, at now: Duration) -> Int? {
        let seconds = Seconds(now)
        let since = now - FleetLimit.silence
        let home = homes[key].flatMap { isKnown($0.seat) && $0.seat.row == row ? $0 : nil }
        let answer = answers[key].flatMap { isKnown($0.seat) && $0.seat.row == row ? $0 : nil }
        // It asks again within the time.
        let retry = answer.flatMap { $0.last.isWithin(FleetLimit.retryTime, of: seconds) ? $0 : nil }
        let failed = retry.flatMap { $0.first.isWithin(FleetLimit.retryTime, of: seconds) ? nil : $0.seat.place }
        let connected = home.flatMap { $0.heard.isWithin(FleetLimit.sessionTime, of: seconds) ? $0.seat.place : nil }

        var balance = steadyBalance(row, since: since, without: failed)
        if balance.neediest == nil && failed != nil { balance = steadyBalance(row, since: since, without: nil) }

        /// The gateway where it was last; `nil` if it is to go.
        func stay() -> Int? {
            let isAnswerNewer = if let home, let answer { home.heard.age(at: answer.last) > 0 } else { home == nil }
            let last = isAnswerNewer ? answer?.seat.place : home?.seat.place
            guard let place = last, place != failed else { return nil }
            let gateway = gateways[place]
            guard gateway.isThere(since: since) && counts[row][place] != Self.absent else { return nil }
            if place == connected { return place }
            guard gateway.weight > 0 else { return nil }
            if place == retry?.seat.place { return place }
            return balance.isFair(gateway.candidate(place, weight: gateway.weight)) ? place : nil
        }

        // Whoever stays is counted there still, mostly: its tunnel broke a moment ago.
        let kept = stay()
        guard let place = kept ?? balance.pick(by: key.fraction)?.place else { return nil }
        if kept == nil { count(counts[row][place] + 1, at: place, row) }
        let isSame = place == retry?.seat.place && place != failed
        answers[key] = Answer(
            seat: Seat(tenant: gateways[place].tenant, place: place, row: row),
            first: isSame ? retry?.first ?? seconds : seconds,
            last: seconds
        )
        return place
    }

    /// Whether the gateway has its place still.
    private func isKnown(_ seat: Seat) -> Bool { gateways[seat.place].tenant == seat.tenant }
}

/// A time since the start of the machine in whole seconds, in four bytes because there are many. A handshake may be
/// from before the start.
private struct Seconds: Hashable, Sendable {
    private let value: Int32

    init(_ time: Duration) { value = Int32(clamping: time.components.seconds) }

    func age(at now: Seconds) -> Int { Int(now.value) - Int(value) }

    func isWithin(_ limit: Duration, of now: Seconds) -> Bool { age(at: now) <= limit.components.seconds }
}

extension PublicKey {
    /// A number from 0 to less than 1 that is any with the same probability, because the bytes of a key are.
    fileprivate var fraction: Double {
        var bits: UInt64 = 0
        for index in 0..<6 { bits = bits << 8 | UInt64(self[index]) }
        return Double(bits) / Double(1 << 48 as UInt64)
    }
}
