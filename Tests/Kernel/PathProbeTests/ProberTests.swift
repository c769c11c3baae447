import Keys
import NetworkAddresses
@testable import PathProbe
import Testing
import Time
import WireGuardTypes

/// A prober and what it sends, with an imagined network of round trips.
private struct Bench {
    var couple = Couple()
    var prober = PathProber(key(64))
    /// Places that answer, each with its round trip.
    var roundTrips: [String: Duration] = [:]
    private var answers: [(due: MonotonicTime, answer: [UInt8], from: Endpoint)] = []
    private(set) var sent: [(time: MonotonicTime, to: String)] = []
    private var clock = after(.zero)

    init() {}

    /// Lets time pass up to so long after the beginning, in steps of 5 ms.
    mutating func run(until end: Duration, isAsked: Bool = true) throws {
        while clock <= after(end) {
            for item in answers where item.due <= clock {
                let event = try couple.a.read(item.answer.span, from: item.from, at: clock)
                guard case .answer(_, let counter, let observed) = event else { continue }
                let isTaken = prober.answered(counter, from: item.from, observed: observed, at: clock)
                #expect(isTaken)
            }
            answers.removeAll { $0.due <= clock }
            for item in prober.due(using: &couple.a, isAsked: isAsked, at: clock) {
                let place = "\(item.destination)"
                sent.append((clock, place))
                guard let roundTrip = roundTrips[place] else { continue }
                let answer = try couple.answer(to: item.datagram, from: "203.0.113.9:4000")
                answers.append((clock + roundTrip, answer, item.destination))
            }
            if let next = prober.nextDeadline(isAsked: isAsked, at: clock) { #expect(next > clock) }
            clock = clock + .milliseconds(5)
        }
    }

    /// How many requests went there in a time.
    func count(_ place: String, from start: Duration = .zero, to end: Duration) -> Int {
        sent.count { $0.to == place && after(start) <= $0.time && $0.time < after(end) }
    }

    mutating func best(at time: Duration) -> String? {
        prober.best(at: after(time)).map { "\($0.candidate.endpoint)" }
    }
}

private let (one, two, three) = ("192.0.2.1:7", "192.0.2.2:7", "[2001:db8::1]:7")

@Suite struct `Candidates` {
    @Test func `one that never answers gets 6 requests in 3.1 s, and then at most 4 a minute`() throws {
        var bench = Bench()
        bench.prober.offer([far(one)], at: after(.zero))
        try bench.run(until: .seconds(180))
        #expect(bench.count(one, to: .milliseconds(50)) == 1)
        #expect(bench.count(one, to: .milliseconds(3150)) == 6)
        #expect(bench.count(one, from: .milliseconds(3150), to: .seconds(17)) == 0)
        #expect(bench.count(one, from: .seconds(4), to: .seconds(64)) <= 4)
        #expect((1...2).contains(bench.count(one, from: .seconds(64), to: .seconds(180))))
        #expect(bench.best(at: .seconds(180)) == nil)
    }

    @Test func `all are asked at the same time, and who answers is spared the rest`() throws {
        var bench = Bench()
        bench.roundTrips = [two: .milliseconds(20)]
        bench.prober.offer([far(one), far(two)], at: after(.zero))
        try bench.run(until: .seconds(3))
        #expect(bench.sent.prefix(2).map(\.to) == [one, two] && bench.sent[1].time == after(.zero))
        #expect((2...5).contains(bench.count(two, to: .seconds(3))), "the first, and those for the round trip")
        #expect(bench.best(at: .seconds(3)) == two)
        #expect(bench.prober.paths[1].roundTrip == .milliseconds(20))
        #expect(bench.prober.paths[1].observed == Endpoint("203.0.113.9:4000"))
    }

    @Test func `a place that was named again is nothing new`() throws {
        var bench = Bench()
        bench.prober.offer([far(one)], at: after(.zero))
        try bench.run(until: .seconds(5))
        bench.prober.offer([far(one)], at: after(.seconds(5)))
        try bench.run(until: .seconds(10))
        #expect(bench.count(one, from: .seconds(5), to: .seconds(10)) == 1, "once, for the way may be open now")
    }

    @Test func `no more than 16 are kept, and bursts do not come again and again`() throws {
        var bench = Bench()
        let many = (0..<20).map { far("198.51.100.\($0):7") }
        bench.prober.offer(many, at: after(.zero))
        #expect(bench.prober.paths.count == 16 && bench.prober.paths[15].candidate == many[15])
        try bench.run(until: .seconds(4))
        #expect(bench.sent.count == 16 * 6)
        let others = (0..<16).map { far("203.0.113.\($0):7") }
        bench.prober.offer(others, at: after(.seconds(4)))
        #expect(bench.prober.paths.map(\.candidate) == others)
        try bench.run(until: .seconds(8))
        #expect(bench.sent.count == 16 * 6 + 16, "one each, and no burst")
    }

    @Test func `who has answered is not driven out by who has not`() throws {
        var bench = Bench()
        bench.roundTrips = [one: .milliseconds(20)]
        bench.prober.offer([far(one)], at: after(.zero))
        try bench.run(until: .seconds(1))
        bench.prober.offer((0..<16).map { far("203.0.113.\($0):7") }, at: after(.seconds(1)))
        #expect(bench.prober.paths.count == 16 && bench.prober.paths[0].candidate == far(one))
    }

    @Test func `a limit holds requests back, and does not lose them`() throws {
        var bench = Bench()
        for number in 0..<500 {
            let place = Endpoint("10.0.\(number / 100).\(number % 100 + 1):7")
            _ = bench.couple.a.request(to: key(64), at: place, now: after(.zero))
        }
        bench.prober.offer([far(one), far(two)], at: after(.zero))
        #expect(bench.prober.due(using: &bench.couple.a, isAsked: true, at: after(.zero)).isEmpty)
        let next = try #require(bench.prober.nextDeadline(isAsked: true, at: after(.zero)))
        #expect(next > after(.zero) && next <= after(PathProber.heldBack))
        try bench.run(until: .seconds(4))
        // 2 a second.
        let count = bench.count(one, to: .seconds(4)) + bench.count(two, to: .seconds(4))
        #expect((7...8).contains(count))
    }

    @Test func `a request from somewhere else opens a way there, at once`() throws {
        var bench = Bench()
        bench.roundTrips = [two: .milliseconds(20)]
        bench.prober.offer([far(one)], at: after(.zero))
        try bench.run(until: .seconds(5))
        bench.prober.heard(from: far(two), at: after(.seconds(5)))
        bench.prober.heard(from: far(one), at: after(.seconds(5)))
        try bench.run(until: .milliseconds(5050))
        #expect(bench.count(two, to: .seconds(6)) == 1 && bench.best(at: .milliseconds(5050)) == two)
        #expect(bench.count(one, from: .seconds(5), to: .seconds(6)) == 1)
    }

    @Test func `an answer counts from where the request went, and once`() throws {
        var bench = Bench()
        bench.prober.offer([far(one), far(two)], at: after(.zero))
        let request = bench.prober.due(using: &bench.couple.a, isAsked: true, at: after(.zero))[0]
        let answer = try bench.couple.answer(to: request.datagram)
        guard case .answer(_, let counter, _) = try bench.couple.a.read(answer, from: two) else { return }
        func answered(from place: String, at time: Duration) -> Bool {
            bench.prober.answered(counter, from: Endpoint(place)!, observed: nil, at: after(time))
        }
        #expect(!answered(from: two, at: .milliseconds(1)))
        #expect(!answered(from: "192.0.2.99:7", at: .milliseconds(1)))
        #expect(answered(from: one, at: .milliseconds(1)))
        #expect(!answered(from: one, at: .milliseconds(1)))
        #expect(bench.best(at: .milliseconds(1)) == one)
    }

    @Test func `an answer after three seconds is none`() throws {
        for (time, isTaken) in [(Duration.seconds(3), true), (.milliseconds(3001), false)] {
            var bench = Bench()
            bench.prober.offer([far(one)], at: after(.zero))
            _ = bench.prober.due(using: &bench.couple.a, isAsked: true, at: after(.zero))
            #expect(
                bench.prober.answered(1, from: Endpoint(one)!, observed: nil, at: after(time)) == isTaken
            )
        }
    }
}

@Suite struct `A proven path` {
    @Test func `is asked again every ten seconds while somebody wants to know, and else not at all`() throws {
        var bench = Bench()
        bench.roundTrips = [one: .milliseconds(20)]
        bench.prober.offer([far(one)], at: after(.zero))
        try bench.run(until: .seconds(2))
        let before = bench.sent.count
        try bench.run(until: .seconds(61))
        #expect((5...6).contains(bench.sent.count - before))
        #expect(bench.best(at: .seconds(61)) == one)
        let quiet = bench.sent.count
        try bench.run(until: .seconds(600), isAsked: false)
        #expect(bench.sent.count == quiet)
        #expect(bench.prober.nextDeadline(isAsked: false, at: after(.seconds(600))) == nil)
        #expect(bench.best(at: .seconds(600)) == one, "nothing speaks against it")
        #expect(!bench.prober.paths[0].isProven(at: after(.seconds(600))))
    }

    @Test func `is lost after three requests without an answer, and found again`() throws {
        var bench = Bench()
        bench.roundTrips = [one: .milliseconds(20)]
        bench.prober.offer([far(one)], at: after(.zero))
        try bench.run(until: .seconds(2))
        bench.roundTrips = [:]
        try bench.run(until: .seconds(12))
        #expect(bench.best(at: .seconds(12)) == one)
        try bench.run(until: .seconds(15))
        #expect(bench.best(at: .seconds(15)) == nil)
        try bench.run(until: .seconds(120), isAsked: false)
        #expect((3...5).contains(bench.count(one, from: .seconds(60), to: .seconds(120))))
        bench.roundTrips = [one: .milliseconds(20)]
        try bench.run(until: .seconds(136), isAsked: false)
        #expect(bench.best(at: .seconds(136)) == one)
    }

    @Test func `is believed in again only after a new answer, once what travels there was lost`() throws {
        var bench = Bench()
        bench.roundTrips = [one: .milliseconds(20)]
        bench.prober.offer([far(one)], at: after(.zero))
        try bench.run(until: .seconds(2))
        bench.prober.distrust(Endpoint(one)!, at: after(.seconds(2)))
        #expect(bench.best(at: .seconds(2)) == nil)
        try bench.run(until: .milliseconds(2050))
        #expect(bench.best(at: .milliseconds(2050)) == one)
    }

    @Test func `and all others are proven anew when the machine has moved`() throws {
        var bench = Bench()
        bench.roundTrips = [one: .milliseconds(20)]
        bench.prober.offer([far(one), far(two)], at: after(.zero))
        try bench.run(until: .seconds(4))
        bench.prober.restart(at: after(.seconds(4)))
        #expect(bench.best(at: .seconds(4)) == nil)
        let before = bench.sent.count
        try bench.run(until: .seconds(8))
        #expect(bench.best(at: .seconds(8)) == one)
        #expect(bench.count(two, from: .seconds(4), to: .seconds(8)) == 6 && bench.sent.count > before)
    }
}

@Suite struct `The best path` {
    /// Proves paths and says which is the best.
    private func best(_ candidates: [PathCandidate], _ roundTrips: [String: Int]) throws -> (Bench, String?) {
        var bench = Bench()
        bench.roundTrips = roundTrips.mapValues { .milliseconds($0) }
        bench.prober.offer(candidates, at: after(.zero))
        try bench.run(until: .seconds(1))
        let best = bench.best(at: .seconds(1))
        return (bench, best)
    }

    @Test func `is in a network in common, then short, then IPv6`() throws {
        #expect(try best([far(one), near(two)], [one: 10, two: 90]).1 == two)
        #expect(try best([near(two), far(one)], [one: 10, two: 90]).1 == two)
        #expect(try best([far(one), far(two)], [one: 60, two: 40]).1 == two)
        #expect(try best([far(one), far(three)], [one: 40, three: 40]).1 == three)
        #expect(try best([far(three), far(one)], [one: 40, three: 40]).1 == three)
        #expect(try best([far(three), far(one)], [one: 20, three: 40]).1 == one)
    }

    @Test func `stays until another is clearly better`() throws {
        var (bench, first) = try best([far(one)], [one: 50])
        #expect(first == one)
        bench.roundTrips[two] = .milliseconds(45)
        bench.prober.offer([far(one), far(two)], at: after(.seconds(1)))
        try bench.run(until: .seconds(2))
        #expect(bench.best(at: .seconds(2)) == one)
        bench.roundTrips["192.0.2.3:7"] = .milliseconds(40)
        bench.prober.offer([far(one), far(two), far("192.0.2.3:7")], at: after(.seconds(2)))
        try bench.run(until: .seconds(3))
        #expect(bench.best(at: .seconds(3)) == "192.0.2.3:7")
    }
}

@Suite struct `Where others see this machine` {
    private let own: Set = [IPv4Address("10.0.0.2")!]

    private func mapping(_ seen: [(String, String)], at time: Duration = .zero) -> Mapping {
        var observations = MappingObservations()
        for (observed, by) in seen { observations.note(Endpoint(observed)!, by: Endpoint(by)!, at: after(.zero)) }
        return observations.mapping(own: own, port: 51820, at: after(time))
    }

    @Test func `tells what stands between`() {
        #expect(mapping([]) == .unknown)
        #expect(mapping([("[2001:db8::2]:51820", "[2001:db8::1]:7")]) == .unknown)
        #expect(mapping([("10.0.0.2:51820", one), ("10.0.0.2:51820", two)]) == .none)
        let seen = "198.51.100.9:51820"
        #expect(mapping([(seen, one)]) == .seen(Endpoint(seen)!))
        #expect(mapping([(seen, one), (seen, one)]) == .seen(Endpoint(seen)!))
        #expect(mapping([(seen, one), (seen, two)]) == .one(Endpoint(seen)!))
        #expect(mapping([(seen, one), ("198.51.100.9:7349", two)]) == .forEachDestination)
        #expect(mapping([("198.51.100.9:7349", one), (seen, one)]) == .seen(Endpoint(seen)!), "the later one counts")
        #expect(mapping([(seen, one)], at: .seconds(180)) != .unknown)
        #expect(mapping([(seen, one)], at: .milliseconds(180_001)) == .unknown)
        #expect("\(mapping([("10.0.0.2:51820", one)]))" == "no NAT")
    }

    @Test func `is kept for 32 of them`() {
        var observations = MappingObservations()
        for number in 0...32 {
            let place = Endpoint.v4(IPv4Address(value: UInt32(number)), port: 1)
            observations.note(place, by: place, at: after(.zero))
        }
        let places = observations.places(at: after(.zero))
        #expect(places.count == 32 && places.first == Endpoint("0.0.0.32:1") && places.last == Endpoint("0.0.0.1:1"))
        observations.forget()
        #expect(observations.places(at: after(.zero)) == [])
    }
}
