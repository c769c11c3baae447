import KexProtocol
import Testing
import WireGuardTypes

@testable import GatewayChoice

@Suite("The steady rule") struct SteadyRuleTests {
    private let now = Duration.seconds(100_000)
    private let key = keys[0]

    private func fleet(_ counts: [Int], weights: [String: Int] = [:]) -> Fleet {
        Fleet(.steady, weights: weights, counts: counts, at: now)
    }

    // MARK: Who is there

    @Test("Without a gateway in the domain there is no answer")
    func nobody() {
        var fleet = fleet([])
        #expect(fleet.next(at: now) == nil)
        fleet.take(.online, from: "a", at: now)
        #expect(fleet.next(at: now) == nil)
        fleet.take(.peers(0, in: mesh), from: "a", at: now)
        #expect(fleet.next(at: now) == "a")
        #expect(fleet.choose(for: key, in: DomainName("ffww99")!, at: now) == nil)
        fleet.take(.peers(-1, in: mesh), from: "a", at: now)
        #expect(fleet.next(at: now) == nil)
    }

    @Test("A gateway that was silent for longer than two minutes is offline, whatever its status says")
    func silence() {
        var fleet = fleet([0, 5])
        #expect(fleet.next(at: now + .seconds(120)) == "a")
        #expect(fleet.next(at: now + .seconds(121)) == nil)
        fleet.take(.peers(5, in: mesh), from: "b", at: now + .seconds(60))
        #expect(fleet.next(at: now + .seconds(121)) == "b")
        fleet.take(.online, from: "a", at: now + .seconds(1))
        #expect(fleet.next(at: now + .seconds(121)) == "a")
        // Old news change nothing.
        fleet.take(.online, from: "a", at: now - .seconds(9999))
        #expect(fleet.next(at: now + .seconds(121)) == "a")
        fleet.take(.offline, from: "a", at: now + .seconds(121))
        #expect(fleet.next(at: now + .seconds(121)) == "b")
    }

    @Test("A goodbye from somebody who was never there is nothing")
    func strangeGoodbye() {
        var fleet = fleet([0])
        fleet.take(.offline, from: "z", at: now)
        #expect(fleet.next(at: now) == "a")
    }

    @Test(
        "Gateways that are offline, or that are to become empty, count neither with their weights nor with their routers",
        arguments: [true, false]
    )
    func missing(isOffline: Bool) {
        var fleet = fleet([0, 0, 500], weights: ["a": 30, "b": 10, "c": 40])
        if isOffline {
            fleet.take(.offline, from: "c", at: now)
        } else {
            fleet.change(weights: ["a": 30, "b": 10, "c": 0])
        }
        let picks = fleet.choose(Array(keys.prefix(1000)), at: now)
        #expect((740...760).contains(picks.count { $0 == "a" }))
        #expect(picks.count { $0 == "a" || $0 == "b" } == 1000)
    }

    @Test("Of gateways that need routers equally, each gets some by its weight, and the router's key says which ones")
    func ties() {
        let fleet = fleet([0, 0, 0], weights: ["a": 1, "b": 3, "c": 6])
        let first = keys.prefix(10_000).map { fleet.next($0, at: now) }
        for (name, share) in [("a", 1000), ("b", 3000), ("c", 6000)] {
            #expect((share - 200...share + 200).contains(first.count { $0 == name }))
        }
        #expect(first.prefix(100) == keys.prefix(100).map { fleet.next($0, at: now) }[...])
    }

    @Test("A difference of 2 % of what a gateway should have is none, and a larger one is")
    func nearness() {
        // Of 2000 routers each should have 1000; 980 and 1000 would be 10 under and 10 over.
        func names(_ counts: [Int]) -> Set<String?> {
            let fleet = fleet(counts)
            return Set(keys.prefix(100).map { fleet.next($0, at: now) })
        }
        #expect(names([990, 1010]) == ["a", "b"])
        #expect(names([989, 1011]) == ["a"])
    }

    // MARK: Who stays

    @Test("A router that asks again gets the same answer for five minutes, and counts once")
    func retry() throws {
        var fleet = fleet([10, 10])
        let answer = fleet.choose(for: key, in: mesh, at: now)
        let first = try #require(answer)
        let other = first == "a" ? "b" : "a"
        for seconds in [0, 60, 119, 300] {
            let time = now + .seconds(seconds)
            // The other one would be chosen.
            fleet.take(.peers(100, in: mesh), from: first, at: time)
            fleet.take(.peers(10, in: mesh), from: other, at: time)
            #expect(fleet.choose(for: key, in: mesh, at: time) == first)
        }
        // Nothing was counted in between: first 100, other 10, the key not once more.
        fleet.take(.peers(9, in: mesh), from: first, at: now + .seconds(300))
        for _ in 0..<9 { _ = fleet.choose(for: key, in: mesh, at: now + .seconds(300)) }
        #expect(fleet.next(at: now + .seconds(300)) == first)
    }

    @Test(
        "A router that comes again and again for longer than five minutes gets another gateway, even if it shakes hands"
    )
    func failing() throws {
        var fleet = fleet([10, 30])
        #expect(fleet.choose(for: key, in: mesh, at: now) == "a")
        for minute in 1...5 {
            let time = now + .seconds(60 * minute)
            fleet.take(.online, from: "a", at: time)
            fleet.take(.online, from: "b", at: time)
            fleet.take(router: key, in: mesh, from: "a", heard: time - .seconds(20))
            #expect(fleet.choose(for: key, in: mesh, at: time) == "a")
        }
        let late = now + .seconds(301)
        #expect(fleet.choose(for: key, in: mesh, at: late) == "b")
        // And stays with it as long as with the first.
        for minute in 1...5 {
            let time = late + .seconds(60 * minute)
            fleet.take(.online, from: "a", at: time)
            fleet.take(.online, from: "b", at: time)
            #expect(fleet.choose(for: key, in: mesh, at: time) == "b")
        }
        #expect(fleet.choose(for: key, in: mesh, at: late + .seconds(301)) == "a")
    }

    @Test("Where there is one gateway, it is chosen again and again")
    func onlyOne() {
        var fleet = fleet([10])
        for minute in 0..<20 {
            let time = now + .seconds(60 * minute)
            fleet.take(.online, from: "a", at: time)
            #expect(fleet.choose(for: key, in: mesh, at: time) == "a")
        }
    }

    @Test("A router that did not come for five minutes begins anew")
    func newRun() {
        var fleet = fleet([10, 30])
        for seconds in [0, 299, 600, 900] {
            let time = now + .seconds(seconds)
            fleet.take(.peers(10, in: mesh), from: "a", at: time)
            fleet.take(.peers(30, in: mesh), from: "b", at: time)
            #expect(fleet.choose(for: key, in: mesh, at: time) == "a")
        }
        fleet.take(.online, from: "a", at: now + .seconds(901))
        #expect(fleet.next(key, at: now + .seconds(901)) == "b")
    }

    @Test("A router that went elsewhere than it was told keeps the gateway where it is")
    func elsewhere() {
        var fleet = fleet([10, 30])
        #expect(fleet.choose(for: key, in: mesh, at: now) == "a")
        fleet.take(router: key, in: mesh, from: "b", heard: now + .seconds(30))
        #expect(fleet.choose(for: key, in: mesh, at: now + .seconds(60)) == "b")
    }

    @Test("An answer does not hold when its gateway is offline")
    func deadAnswer() {
        var fleet = fleet([10, 30])
        #expect(fleet.choose(for: key, in: mesh, at: now) == "a")
        fleet.take(.offline, from: "a", at: now)
        #expect(fleet.choose(for: key, in: mesh, at: now) == "b")
    }

    @Test("A connected router keeps its gateway, however full that is, and does not count once more")
    func connected() {
        var fleet = fleet([10, 3000])
        fleet.take(router: key, in: mesh, from: "b", heard: now - .seconds(180))
        #expect(fleet.next(key, at: now) == "b")
        #expect(fleet.next(key, at: now + .seconds(1)) == "a")
        for _ in 0..<5000 { #expect(fleet.choose(for: key, in: mesh, at: now) == "b") }
        fleet.take(.peers(3000, in: mesh), from: "a", at: now)
        fleet.take(.peers(3500, in: mesh), from: "b", at: now)
        #expect(fleet.next(at: now) == "a")
        fleet.take(.offline, from: "b", at: now)
        #expect(fleet.next(key, at: now) == "a")
    }

    @Test("A router goes where it was, unless that gateway has 4 % more than another", arguments: [false, true])
    func known(wasAnswered: Bool) {
        var fleet = fleet([0, 0])
        if wasAnswered {
            fleet.take(.peers(1, in: mesh), from: "a", at: now - .seconds(3600))
            #expect(fleet.choose(for: key, in: mesh, at: now) == "b")
        } else {
            fleet.take(router: key, in: mesh, from: "b", heard: now - .seconds(3000))
        }
        let later = now + .seconds(3600)
        func answer(_ counts: (Int, Int)) -> String? {
            var fleet = fleet
            fleet.take(.online, from: "a", at: later)
            fleet.take(.peers(counts.0, in: mesh), from: "a", at: later)
            fleet.take(.peers(counts.1, in: mesh), from: "b", at: later)
            return fleet.next(key, at: later)
        }
        // Of 1000 routers 20 more are 4 %, and one more or less when it moves.
        #expect(answer((489, 511)) == "b")
        #expect(answer((488, 512)) == "a")
        #expect(answer((600, 400)) == "b")
        #expect(answer((0, 2)) == "b")
        #expect(answer((0, 3)) == "a")
    }

    @Test("By its weight a gateway is full")
    func knownByWeight() {
        var fleet = fleet([900, 100], weights: ["a": 9, "b": 1])
        fleet.take(router: key, in: mesh, from: "b", heard: now - .seconds(3600))
        #expect(fleet.next(key, at: now) == "b")
        fleet.take(.peers(110, in: mesh), from: "b", at: now)
        #expect(fleet.next(key, at: now) == "a")
    }

    @Test("A router that stays does not count once more")
    func knownCounts() {
        var fleet = fleet([100, 100])
        for key in keys.prefix(3) { fleet.take(router: key, in: mesh, from: "b", heard: now - .seconds(3600)) }
        #expect(fleet.choose(Array(keys.prefix(3)), at: now) == ["b", "b", "b"])
        #expect(Set(keys.prefix(100).map { fleet.next($0, at: now) }) == ["a", "b"])
        fleet.take(.peers(103, in: mesh), from: "b", at: now)
        #expect(keys.dropFirst(3).prefix(50).allSatisfy { fleet.next($0, at: now) == "a" })
    }

    @Test("A gateway of weight 0 gets nobody new and keeps who is connected, until it comes without a session")
    func draining() {
        var fleet = fleet([10, 10])
        fleet.take(router: key, in: mesh, from: "a", heard: now - .seconds(20))
        fleet.take(router: keys[1], in: mesh, from: "a", heard: now - .seconds(200))
        fleet.change(weights: ["a": 0])
        #expect(fleet.next(key, at: now) == "a")
        #expect(fleet.next(keys[1], at: now) == "b")
        #expect(keys[2..<100].allSatisfy { fleet.next($0, at: now) == "b" })
        #expect(fleet.choose(for: key, in: mesh, at: now) == "a")
        for name in ["a", "b"] { fleet.take(.online, from: name, at: now + .seconds(100)) }
        #expect(fleet.next(key, at: now + .seconds(160)) == "a")
        #expect(fleet.next(key, at: now + .seconds(161)) == "b")
        fleet.take(.offline, from: "b", at: now)
        #expect(fleet.next(keys[2], at: now) == nil)
        #expect(fleet.next(key, at: now) == "a")
        fleet.change(weights: ["a": 1])
        #expect(fleet.next(keys[2], at: now) == "a")
    }

    @Test("An answer of a gateway that is to become empty does not hold")
    func drainingAnswer() {
        var fleet = fleet([10, 30])
        #expect(fleet.choose(for: key, in: mesh, at: now) == "a")
        fleet.change(weights: ["a": 0])
        #expect(fleet.choose(for: key, in: mesh, at: now) == "b")
    }

    // MARK: Where routers are

    @Test("The newest of what gateways say of a router counts, and no longer when it was removed")
    func news() {
        var fleet = fleet([10, 3000, 3000])
        fleet.take(router: key, in: mesh, from: "b", heard: now - .seconds(60))
        fleet.take(router: key, in: mesh, from: "c", heard: now - .seconds(90))
        #expect(fleet.next(key, at: now) == "b")
        fleet.take(router: key, in: mesh, from: "c", heard: now - .seconds(30))
        #expect(fleet.next(key, at: now) == "c")
        let other = DomainName("ffww02")!
        fleet.take(.peers(0, in: other), from: "a", at: now)
        fleet.forget(router: key, in: other, from: "c", at: now)
        #expect(fleet.next(key, at: now) == "c")
        // Not by a gateway where it was before, and not by a word from before it was heard.
        fleet.forget(router: key, in: mesh, from: "b", at: now)
        fleet.forget(router: key, in: mesh, from: "nobody", at: now)
        fleet.forget(router: key, in: mesh, from: "c", at: now - .seconds(31))
        #expect(fleet.next(key, at: now) == "c")
        fleet.forget(router: key, in: mesh, from: "c", at: now - .seconds(30))
        #expect(fleet.next(key, at: now) == "a")
    }

    @Test("A handshake from before the machine's start is an old one")
    func beforeStart() {
        var fleet = Fleet(.steady, counts: [10, 3000], at: .seconds(10))
        fleet.take(router: key, in: mesh, from: "b", heard: .seconds(-171))
        #expect(fleet.next(key, at: .seconds(10)) == "a")
        fleet.take(router: key, in: mesh, from: "b", heard: .seconds(-170))
        #expect(fleet.next(key, at: .seconds(10)) == "b")
    }

    @Test("What a router has in another domain does not count")
    func otherDomain() {
        let other = DomainName("ffww02")!
        var fleet = fleet([10, 3000])
        fleet.take(.peers(0, in: other), from: "b", at: now)
        fleet.take(router: key, in: other, from: "b", heard: now)
        #expect(fleet.next(key, at: now) == "a")
        #expect(fleet.choose(for: key, in: other, at: now) == "b")
        #expect(fleet.next(key, at: now) == "a")
    }

    @Test("A router that another front door sent somewhere counts there at once, and not twice")
    func counting() {
        func names(_ fleet: Fleet) -> Set<String?> { Set(keys[1000..<1100].map { fleet.next($0, at: now) }) }
        var fleet = fleet([100, 103])
        #expect(names(fleet) == ["a"])
        for key in keys.prefix(6) { fleet.take(router: key, in: mesh, from: "a", heard: now + .seconds(1)) }
        #expect(names(fleet) == ["b"])
        for key in keys.prefix(3) { fleet.take(router: key, in: mesh, from: "b", heard: now + .seconds(1)) }
        #expect(names(fleet) == ["a", "b"])
        // Who was there already.
        for key in keys[3..<6] { fleet.take(router: key, in: mesh, from: "a", heard: now + .seconds(2)) }
        #expect(names(fleet) == ["a", "b"])
        // Who was there when the gateway counted, as after a start, when all that the broker has kept comes.
        for key in keys[20..<40] { fleet.take(router: key, in: mesh, from: "a", heard: now) }
        #expect(names(fleet) == ["a", "b"])
        // Who got there by an answer of this one.
        var other = self.fleet([100, 106])
        #expect(other.choose(Array(keys.prefix(3)), at: now) == ["a", "a", "a"])
        for key in keys.prefix(3) { other.take(router: key, in: mesh, from: "a", heard: now + .seconds(1)) }
        #expect(names(other) == ["a"])
    }
}
