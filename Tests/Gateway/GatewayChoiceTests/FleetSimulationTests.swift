import GatewayChoice
import KexProtocol
import Testing

@Suite("A fleet in simulated time") struct FleetSimulationTests {
    /// As operators have them: some machines are larger.
    private func weights(_ gateways: Int) -> [Int] { (0..<gateways).map { [10, 30, 20, 10, 15][$0 % 5] } }

    @Test("100,000 routers that come within a minute are spread by the weights", arguments: [2, 20, 200])
    func spread(gateways: Int) {
        var community = Community(weights: weights(gateways), routers: 100_000, isSettled: false)
        community.pass(minutes: 2)
        #expect(community.whereabouts.allSatisfy { $0 != nil })
        #expect(community.deviation() < 0.05)
    }

    @Test(
        "The routers of a gateway that fails are spread by the weights within five minutes, and no other one moves",
        arguments: [2, 20, 200]
    )
    func failure(gateways: Int) {
        var community = Community(weights: weights(gateways), routers: 100_000, isSettled: true)
        let before = community.whereabouts
        community.fail(1)
        community.pass(minutes: 5)
        #expect(community.whereabouts.allSatisfy { $0 != nil && $0 != 1 })
        #expect(community.deviation(of: Array(0..<gateways).filter { $0 != 1 }) < 0.05)
        #expect(zip(before, community.whereabouts).allSatisfy { $0 == 1 || $0 == $1 })
    }

    @Test("Front doors that see the same counts for a minute do not all choose the same gateway")
    func herd() {
        // No two alike, so that one is the neediest; and the field's gateways tell of no routers.
        let weights = (0..<200).map { 100 + $0 }
        var community = Community(weights: weights, routers: 100_000, doors: 20, tellsOfRouters: false, isSettled: true)
        community.fail(199)
        community.pass(minutes: 5)
        #expect(community.deviation(of: Array(0..<199)) < 0.05)
    }

    /// All who come go there, but for those who shook hands a moment ago. The other gateways count them for three
    /// minutes more, so a few too many go where many come; those who come next mend that.
    @Test(
        "A gateway that comes back empty has its share within an hour, if half as many routers again come",
        arguments: [(2, 75_000), (20, 8_823), (200, 882)]
    )
    func maintenance(gateways: Int, share: Int) {
        let comers = share * 3 / 2 / 60
        var community = Community(weights: weights(gateways), routers: 100_000, isSettled: true)
        #expect(community.loads[1] == share)
        community.fail(1)
        community.pass(minutes: 10, comers: comers)
        community.comeBack(1)
        community.pass(minutes: 60, comers: comers)
        #expect(community.deviation() < 0.05)
        // Hardly more give way than are needed.
        #expect(community.moves * 100 < share * 115)
        community.pass(minutes: 20, comers: comers)
        #expect(community.deviation() < 0.05)
    }

    @Test("A gateway of weight 0 becomes empty as its routers come again, and hardly any others move")
    func draining() {
        var community = Community(weights: weights(20), routers: 5000, isSettled: true)
        let before = community.whereabouts
        community.change(weights: weights(20).enumerated().map { $0 == 1 ? 0 : $1 })
        // Each of them comes every 67 minutes.
        community.pass(minutes: 30, comers: 75)
        #expect((1..<before.count { $0 == 1 }).contains(community.loads[1]))
        community.pass(minutes: 180, comers: 75)
        #expect(community.loads[1] == 0)
        #expect(community.whereabouts.allSatisfy { $0 != nil })
        #expect(zip(before, community.whereabouts).count { $0 != 1 && $0 != $1 } < 50)
        #expect(community.deviation(of: Array(0..<20).filter { $0 != 1 }) < 0.05)
    }

    @Test(
        "When a quarter of all come in a minute after a gateway came back, 20 front doors do not give it more than its share"
    )
    func rush() {
        var community = Community(weights: Array(repeating: 1, count: 20), routers: 20_000, doors: 20, isSettled: true)
        community.fail(1)
        community.pass(minutes: 10)
        community.comeBack(1)
        community.pass(minutes: 2)
        community.pass(minutes: 1, comers: 5000)
        #expect(community.deviation() < 0.05)
    }

    @Test("In a fleet that is in balance, who comes again stays where it was")
    func rest() {
        var community = Community(weights: weights(20), routers: 20_000, isSettled: true)
        community.pass(minutes: 60, comers: 200)
        // Of 12,000.
        #expect(community.moves < 100)
        #expect(community.deviation() < 0.05)
    }
}
