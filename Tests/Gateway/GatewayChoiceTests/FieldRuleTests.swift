import GatewayChoice
import KexProtocol
import Testing

@Suite("The field's rule") struct FieldRuleTests {
    @Test(
        "Three picks correct, then it is 3:1, as measured with freifunkMUC's broker: weights 30 and 10, 5 and 0 routers"
    )
    func measured() {
        var fleet = Fleet(.field, weights: ["a": 30, "b": 10], counts: [5, 0])
        let picks = fleet.choose(Array(keys.prefix(40))).map { $0 ?? "nobody" }
        // 5:0, 5:1, 5:2 and 6:2 are what it sees.
        #expect(picks.prefix(3) == ["b", "b", "a"])
        #expect(picks.dropFirst(3).joined() == String(repeating: "abaa", count: 9) + "a")
    }

    @Test("Of several that need routers equally, the one that was heard of first is chosen")
    func ties() {
        var fleet = Fleet(.field, counts: [4, 4, 4])
        #expect(fleet.choose(Array(keys.prefix(4))) == ["a", "b", "c", "a"])
    }

    @Test("Two are equal only if the same numbers come out of the field's divisions and products")
    func rounding() {
        // In exact numbers both lack nothing: 1/49 of 49 is 1 and 48/49 of 49 is 48.
        let fleet = Fleet(.field, weights: ["a": 1, "b": 48], counts: [1, 48])
        let targets = (1.0 / 49 * 49, 48.0 / 49 * 49)
        #expect(targets.0 < 1 && targets.1 == 48)
        #expect(fleet.next() == "b")
    }

    @Test("A gateway that is offline counts in both totals, so that the others do not share by weight")
    func offline() {
        var fleet = Fleet(.field, weights: ["a": 30, "b": 10, "c": 40], counts: [0, 0, 0])
        fleet.take(.peers(-1, in: mesh), from: "c", at: .seconds(1000))
        fleet.take(.offline, from: "c", at: .seconds(1000))
        let picks = fleet.choose(Array(keys.prefix(1000)))
        #expect(picks.count { $0 == "a" } == 625)
        #expect(picks.count { $0 == "b" } == 375)
    }

    @Test("A gateway that the operator does not name has weight 1 and no part in the total, and weight 0 is 1")
    func weights() {
        // Targets of 10 routers: a 2.5, b 2.5 and c 7.5; less would be 2, 2 and 6.
        #expect(Fleet(.field, weights: ["b": 1, "c": 3], counts: [2, 2, 6]).next() == "c")
        #expect(Fleet(.field, weights: ["b": 0, "c": 3], counts: [2, 2, 6]).next() == "c")
        #expect(Fleet(.field, weights: ["b": 0, "c": 3], counts: [3, 1, 6]).next() == "b")
        #expect(Fleet(.field, counts: [2, 1]).next() == "b")
    }

    @Test("Counts of all domains are summed, and only gateways that serve the domain are chosen")
    func domains() {
        let other = DomainName("ffww02")!
        var fleet = Fleet(.field, counts: [5, 3])
        fleet.take(.peers(9, in: other), from: "b", at: .seconds(1000))
        #expect(fleet.next() == "a")
        fleet.take(.peers(-1, in: mesh), from: "a", at: .seconds(1000))
        #expect(fleet.next() == "b")
        #expect(fleet.choose(for: keys[0], in: other, at: .seconds(1000)) == "b")
        fleet.take(.peers(0, in: other), from: "a", at: .seconds(1000))
        #expect(fleet.choose(for: keys[0], in: other, at: .seconds(1000)) == "a")
    }

    @Test("A status is believed however old it is; without one, or without a count, there is no gateway")
    func status() {
        var fleet = Fleet(rule: .field, domains: [mesh])
        #expect(fleet.next() == nil)
        fleet.take(.peers(3, in: mesh), from: "a", at: .zero)
        #expect(fleet.next() == nil)
        fleet.take(.online, from: "a", at: .zero)
        #expect(fleet.next(at: .seconds(1_000_000)) == "a")
        fleet.take(.offline, from: "a", at: .zero)
        #expect(fleet.next() == nil)
        fleet.take(.online, from: "b", at: .zero)
        #expect(fleet.next() == nil)
    }

    @Test("A count replaces what was counted here")
    func counting() {
        var fleet = Fleet(.field, counts: [0, 0])
        _ = fleet.choose(Array(keys.prefix(10)))
        fleet.take(.peers(1, in: mesh), from: "a", at: .seconds(1060))
        // 1 and 5.
        #expect(fleet.choose(Array(keys.prefix(5))) == ["a", "a", "a", "a", "a"])
        fleet.take(.peers(1, in: mesh), from: "b", at: .seconds(1060))
        #expect(fleet.next() == "b")
    }
}
