import KexProtocol
import Testing
import WireGuardTypes

@testable import GatewayChoice

@Suite("Limits of a fleet") struct FleetLimitTests {
    private let now = Duration.seconds(100_000)

    private func add(_ name: String, routers: Int = 0, to fleet: inout Fleet, at time: Duration) {
        fleet.take(.online, from: name, at: time)
        fleet.take(.peers(routers, in: mesh), from: name, at: time)
    }

    @Test("Has places for 512 gateways; then a new one gets that of the one silent longest, if it is offline")
    func gateways() {
        var fleet = Fleet(rule: .steady, domains: [mesh])
        for number in 0..<512 { add("gw\(number)", routers: 100, to: &fleet, at: now + .milliseconds(number)) }
        let router = keys[0]
        fleet.take(router: router, in: mesh, from: "gw0", heard: now)
        #expect(fleet.next(router, at: now + .seconds(1)) == "gw0")
        let beforeTime = now + .seconds(120)
        add("new", to: &fleet, at: beforeTime)
        #expect(fleet.next(at: beforeTime) != "new")
        let time = now + .milliseconds(120_001)
        // What was known of the other one is not the new one's.
        fleet.take(.online, from: "new", at: time)
        #expect(fleet.next(at: time) != "new")
        add("new", to: &fleet, at: time)
        #expect(fleet.next(at: time) == "new")
        add("new", routers: 10_000, to: &fleet, at: time)
        #expect(fleet.next(router, at: time) != "new")
        // Nor is what the other one says now.
        add("gw0", to: &fleet, at: time)
        #expect(!["new", "gw0"].contains(fleet.next(at: time)))
        // The next one is still there.
        add("newer", to: &fleet, at: time)
        #expect(fleet.next(at: time) != "newer")
        #expect(fleet.next(at: time) != "gw0")
    }

    @Test("A note on a router makes nobody a gateway, and whoever is dismissed leaves its place to the next one")
    func places() {
        var fleet = Fleet(rule: .steady, domains: [mesh])
        for number in 0..<FleetLimit.gateways {
            fleet.take(router: keys[number], in: mesh, from: "fake\(number)", heard: now)
        }
        for number in 0..<FleetLimit.gateways { add("gw\(number)", routers: 100, to: &fleet, at: now) }
        add("new", to: &fleet, at: now)
        #expect(fleet.next(at: now) != "new")
        fleet.dismiss("gw7")
        fleet.dismiss("nobody")
        add("new", to: &fleet, at: now)
        #expect(fleet.next(at: now) == "new")
    }

    @Test("Leaves out gateways with names longer than a host's")
    func names() {
        var fleet = Fleet(rule: .steady, domains: [mesh])
        add(String(repeating: "x", count: 254), to: &fleet, at: now)
        #expect(fleet.next(at: now) == nil)
        add(String(repeating: "x", count: 253), to: &fleet, at: now)
        #expect(fleet.next(at: now) != nil)
    }

    @Test("Leaves out what is said of more than 256 domains, and never the operator's own")
    func domains() {
        let own = (0..<200).map { DomainName("own\($0)")! }
        let others = (0..<57).map { DomainName("other\($0)")! }
        var fleet = Fleet(rule: .steady, domains: own + own)
        fleet.take(.online, from: "a", at: now)
        for domain in others + own { fleet.take(.peers(1, in: domain), from: "a", at: now) }
        let served = (own + others).filter { fleet.choose(for: keys[0], in: $0, at: now) != nil }
        #expect(served == own + others.prefix(56))

        let many = (0..<300).map { DomainName("own\($0)")! }
        var large = Fleet(rule: .steady, domains: many)
        large.take(.online, from: "a", at: now)
        for domain in many { large.take(.peers(1, in: domain), from: "a", at: now) }
        #expect(many.allSatisfy { large.choose(for: keys[0], in: $0, at: now) == "a" })
    }

    @Test("Takes any number for a count", arguments: [Fleet.Rule.field, .steady])
    func peers(rule: Fleet.Rule) {
        var fleet = Fleet(rule: rule, domains: [mesh])
        for (name, number) in [("a", Int.max), ("b", 1_000_000), ("c", 1_000_001), ("d", 999_000), ("e", Int.min)] {
            add(name, routers: number, to: &fleet, at: now)
        }
        #expect(fleet.next(at: now) != "e")
        for name in ["a", "b", "c", "d"] {
            fleet.take(.offline, from: name, at: now)
        }
        #expect(fleet.next(at: now) == nil)
        fleet.take(.online, from: "a", at: now)
        fleet.take(.peers(1_000_000, in: mesh), from: "e", at: now)
        for key in keys.prefix(4) { #expect(fleet.choose(for: key, in: mesh, at: now) != nil) }
    }

    @Test("Of keys, a table has the last ones for sure and never more than twice as many")
    func recent() {
        var table = RecentKeys<Int>(limit: 3)
        for number in 0..<6 {
            table[keys[number]] = number
            #expect(table[keys[number]] == number)
        }
        #expect((0..<6).map { table[keys[$0]] } == [0, 1, 2, 3, 4, 5])
        table[keys[1]] = 11
        #expect(table.young.count + table.old.count == 4)
        #expect((0..<6).map { table[keys[$0]] } == [nil, 11, nil, 3, 4, 5])
        // Who is there already takes no place.
        table[keys[6]] = 6
        table[keys[7]] = 7
        table[keys[7]] = 77
        #expect([1, 3, 4, 5, 6, 7].map { table[keys[$0]] } == [11, 3, 4, 5, 6, 77])
        table[keys[4]] = nil
        table[keys[7]] = nil
        #expect([1, 3, 4, 5, 6, 7].map { table[keys[$0]] } == [11, 3, nil, 5, 6, nil])
    }

    @Test("A flood of strange keys does not take the places of routers that gateways tell of")
    func flood() {
        var fleet = Fleet(.steady, counts: [10, 3000], at: now)
        fleet.take(router: keys[0], in: mesh, from: "b", heard: now)
        for key in keys[1...].prefix(2 * FleetLimit.answers) { _ = fleet.choose(for: key, in: mesh, at: now) }
        fleet.take(.peers(10, in: mesh), from: "a", at: now)
        fleet.take(.peers(3000, in: mesh), from: "b", at: now)
        #expect(fleet.next(keys[0], at: now) == "b")
    }

    @Test("The last answers that there is room for are known")
    func answers() {
        var fleet = Fleet(.steady, counts: [10, 0], at: now)
        for key in keys.prefix(FleetLimit.answers) { _ = fleet.choose(for: key, in: mesh, at: now) }
        fleet.take(.peers(10, in: mesh), from: "a", at: now)
        fleet.take(.peers(3000, in: mesh), from: "b", at: now)
        #expect(fleet.next(keys[0], at: now) == "b")
    }

    @Test("The last routers that there is room for are known")
    func routers() {
        var fleet = Fleet(.steady, counts: [10, 3000], at: now)
        for key in keys.prefix(FleetLimit.routers) { fleet.take(router: key, in: mesh, from: "b", heard: now) }
        #expect(fleet.next(keys[0], at: now) == "b")
    }
}
