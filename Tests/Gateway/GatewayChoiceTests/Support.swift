import GatewayChoice
import KexProtocol
import WireGuardTypes

let mesh = DomainName("ffww01")!

/// Keys as routers have them: no two alike, and their bytes are any. The same in each run.
let keys: [PublicKey] = {
    var dice = Dice(seed: 7)
    return (0..<100_000).map { _ in
        var bytes = [UInt8](repeating: 0, count: PublicKey.length)
        var word = dice.next()
        for index in 0..<8 {
            bytes[index] = UInt8(truncatingIfNeeded: word)
            word >>= 8
        }
        return PublicKey(bytes: bytes.span)!
    }
}()

/// Knuth's linear congruential generator (The Art of Computer Programming, volume 2, section 3.3.4), upper half.
struct Dice: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 { UInt64(roll()) << 32 | UInt64(roll()) }

    private mutating func roll() -> UInt32 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return UInt32(truncatingIfNeeded: state >> 32)
    }
}

extension Fleet {
    /// Gateways `a`, `b`, … that are there and have so many routers each.
    init(_ rule: Rule, weights: [String: Int] = [:], counts: [Int], at now: Duration = .seconds(1000)) {
        self.init(rule: rule, weights: weights, domains: [mesh])
        for (index, count) in counts.enumerated() {
            let name = String(UnicodeScalar(UInt8(ascii: "a") + UInt8(index)))
            take(.online, from: name, at: now)
            take(.peers(count, in: mesh), from: name, at: now)
        }
    }

    mutating func choose(_ keys: [PublicKey], at now: Duration = .seconds(1000)) -> [String?] {
        keys.map { choose(for: $0, in: mesh, at: now) }
    }

    /// What the next router would get, if it came.
    func next(_ key: PublicKey = keys[99_999], at now: Duration = .seconds(1000)) -> String? {
        var copy = self
        return copy.choose(for: key, in: mesh, at: now)
    }
}

/// A community in simulated time: gateways that tell of themselves once a minute, routers that register when their
/// tunnel is dead, and front doors that choose.
struct Community {
    /// Ten seconds each.
    private static let stepsOfMinute = 6
    /// A gateway tells of a router again after half an hour.
    private static let stepsOfRefresh = 180

    let weights: [Int]
    let tellsOfRouters: Bool
    private let names: [String]
    private let numbers: [String: Int]
    private(set) var doors: [Fleet]
    private var now = Duration.seconds(100_000)
    private var steps = 0
    private var isUp: [Bool]
    /// The gateway of each router; `nil` if it has no tunnel.
    private(set) var whereabouts: [Int?]
    /// Routers that shook hands with each gateway lately, which is what the gateway counts.
    private var counts: [Int]
    private var departures: [(time: Duration, gateway: Int)] = []
    private var lost: [Int] = []
    /// How often a router got another gateway than it had.
    private(set) var moves = 0
    private var dice = Dice(seed: 1)
    /// The router whose tunnel breaks next.
    private var next = 0

    /// - Parameter isSettled: whether the routers are there already, by the weights; otherwise they have no tunnel.
    init(weights: [Int], routers: Int, doors: Int = 1, tellsOfRouters: Bool = true, isSettled: Bool) {
        self.weights = weights
        self.tellsOfRouters = tellsOfRouters
        names = weights.indices.map { "gw\($0)" }
        numbers = Dictionary(uniqueKeysWithValues: names.enumerated().map { ($1, $0) })
        isUp = weights.map { _ in true }
        counts = weights.map { _ in 0 }
        whereabouts = Array(repeating: nil, count: routers)
        self.doors = Array(repeating: Fleet(rule: .steady, domains: [mesh]), count: doors)
        change(weights: weights)
        // Whoever is no gateway hears no routers.
        for gateway in weights.indices { tell(of: gateway) }
        if isSettled {
            let cards = weights.enumerated().flatMap { Array(repeating: $0, count: $1) }
            for router in 0..<routers { connect(router, to: cards[router * cards.count / routers]) }
        } else {
            lost = Array(0..<routers)
        }
        for gateway in weights.indices { tell(of: gateway) }
    }

    mutating func change(weights: [Int]) {
        let shares = Dictionary(uniqueKeysWithValues: zip(names, weights))
        for door in doors.indices { doors[door].change(weights: shares) }
    }

    /// Nobody says goodbye.
    mutating func fail(_ gateway: Int) {
        isUp[gateway] = false
        counts[gateway] = 0
        departures.removeAll { $0.gateway == gateway }
        for router in whereabouts.indices where whereabouts[router] == gateway {
            whereabouts[router] = nil
            lost.append(router)
        }
    }

    mutating func comeBack(_ gateway: Int) { isUp[gateway] = true }

    /// Lets time pass. Routers without a tunnel register once a minute.
    ///
    /// - Parameter comers: routers whose tunnel breaks in a minute, and that register.
    mutating func pass(minutes: Int, comers: Int = 0) {
        for step in 0..<minutes * Self.stepsOfMinute {
            let slot = step % Self.stepsOfMinute
            passStep(comers: comers * (slot + 1) / Self.stepsOfMinute - comers * slot / Self.stepsOfMinute)
        }
    }

    private mutating func passStep(comers: Int) {
        now += .seconds(10)
        steps += 1
        let gone = departures.prefix { $0.time <= now }
        for departure in gone { counts[departure.gateway] -= 1 }
        departures.removeFirst(gone.count)
        for gateway in weights.indices where isUp[gateway] && gateway % Self.stepsOfMinute == steps % Self.stepsOfMinute
        {
            tell(of: gateway)
        }
        if tellsOfRouters {
            for router in stride(from: steps % Self.stepsOfRefresh, to: whereabouts.count, by: Self.stepsOfRefresh) {
                if let gateway = whereabouts[router] { tell(of: router, at: gateway) }
            }
        }
        for _ in 0..<comers {
            register(next)
            // No common divisor with a round number of routers, so that all have their turn.
            next = (next + 61_807) % whereabouts.count
        }
        let waiting = lost
        lost.removeAll()
        for router in waiting {
            if router % Self.stepsOfMinute == steps % Self.stepsOfMinute { register(router) }
            if whereabouts[router] == nil { lost.append(router) }
        }
    }

    private mutating func register(_ router: Int) {
        let door = Int.random(in: doors.indices, using: &dice)
        guard let name = doors[door].choose(for: keys[router], in: mesh, at: now), let gateway = numbers[name] else {
            return
        }
        let before = whereabouts[router]
        guard isUp[gateway] else { return }
        if let before, before != gateway { moves += 1 }
        connect(router, to: gateway)
    }

    private mutating func connect(_ router: Int, to gateway: Int) {
        let before = whereabouts[router]
        whereabouts[router] = gateway
        if before != gateway {
            counts[gateway] += 1
            if let before { departures.append((now + .seconds(180), before)) }
        }
        if tellsOfRouters { tell(of: router, at: gateway) }
    }

    private mutating func tell(of router: Int, at gateway: Int) {
        // It takes a moment to shake hands.
        let heard = now + .seconds(1)
        for door in doors.indices {
            doors[door].take(router: keys[router], in: mesh, from: names[gateway], heard: heard)
        }
    }

    private mutating func tell(of gateway: Int) {
        for door in doors.indices {
            doors[door].take(.online, from: names[gateway], at: now)
            doors[door].take(.peers(counts[gateway], in: mesh), from: names[gateway], at: now)
        }
    }

    /// Routers that have a tunnel to each gateway.
    var loads: [Int] {
        whereabouts.reduce(into: weights.map { _ in 0 }) { loads, gateway in
            if let gateway { loads[gateway] += 1 }
        }
    }

    /// How far the gateway that is farthest from its share is away from it, as a part of that share.
    ///
    /// - Parameter gateways: those that have shares; otherwise all.
    func deviation(of gateways: [Int]? = nil) -> Double {
        let gateways = gateways ?? Array(weights.indices)
        let loads = loads
        let total = gateways.reduce(0) { $0 + loads[$1] }
        let totalWeight = gateways.reduce(0) { $0 + weights[$1] }
        return gateways.map { gateway in
            let share = Double(total * weights[gateway]) / Double(totalWeight)
            return abs(Double(loads[gateway]) - share) / share
        }.max() ?? 0
    }
}
