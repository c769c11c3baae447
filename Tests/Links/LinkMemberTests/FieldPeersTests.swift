import LinkFacts
import LinkMessages
import NetworkAddresses
import Testing
import Time
import WireGuardTypes

@testable import LinkMember

@Suite("Peers for machines of the field") struct FieldPeersTests {
    private let own = key(1).memberAllowedIP

    @Test("Nothing to do, and the operator's peer gets its address")
    func operators() {
        var field = Field()
        #expect(field.work() == [.update(PeerSettings(publicKey: key(1), allowedIPs: [own]))])
        #expect(field.work() == [])
        field.stage.wait(60)
        #expect(field.work() == [])
        #expect(field.allowedIPs(1) == ["10.0.0.0/16", "own"])
    }

    @Test("What was asked for and did not come is asked for again after a round")
    func again() {
        var field = Field()
        let first = field.field.changes(field.stage.exchange, leaving: [], at: field.stage.now).changes
        #expect(first.count == 1)
        #expect(field.field.changes(field.stage.exchange, leaving: [], at: field.stage.now + .seconds(4)).changes == [])
        #expect(
            field.field.changes(field.stage.exchange, leaving: [], at: field.stage.now + .seconds(5)).changes == first
        )
    }

    @Test("A new member gets its address alone, or its address and an endpoint, and nothing else")
    func added() {
        var field = Field()
        field.work()
        field.stage.say(1, 8, .member)
        field.stage.say(1, 9, .member)
        field.stage.say(1, 9, .at("203.0.113.9:7"))
        field.stage.say(1, 9, .from("10.0.0.9/32"))
        #expect(
            field.work() == [
                .add(PeerSettings(publicKey: key(8), allowedIPs: [key(8).memberAllowedIP])),
                .add(
                    PeerSettings(
                        publicKey: key(9),
                        allowedIPs: [key(9).memberAllowedIP],
                        endpoint: endpoint("203.0.113.9:7")
                    )
                ),
            ]
        )
        #expect(field.work() == [])
    }

    @Test("Not a machine of ours, nor one that may be, nor one that was only known last")
    func notAdded() {
        var field = Field()
        field.work()
        field.stage.say(1, 8, .member)
        #expect(field.work(leaving: [key(8)]) == [])
        // Of ours, says a hub of ours.
        let boot = OurBoot(port: 7, relays: false, random: 4).bootID
        let facts = [
            Fact(subject: key(9), .member, timeToLive: TimeToLive(lasting: .observed)),
            Fact(subject: key(9), .alive(boot), timeToLive: TimeToLive(lasting: .own)),
            Fact(subject: key(10), .member, timeToLive: TimeToLive(lasting: .observed)),
        ]
        field.stage.exchange.take(.init(sequence: 1, isFirst: true, facts: facts), from: key(1), at: field.stage.now)
        field.stage.wait(300)
        #expect(field.stage.view(10)?.isCurrent == true)
        field.stage.read()
        #expect(field.stage.view(10)?.isMember == true && field.stage.view(10)?.isCurrent == false)
        #expect(field.work(leaving: [key(8)]).filter { $0.publicKey != key(1) } == [])
        field.touch(1)
        #expect(field.work(leaving: [key(8)]).map(\.publicKey) == [key(10)])
    }

    /// A member with a peer, an endpoint, and 10.0.0.9/32 to give.
    private func member(_ settings: LinkSettings = LinkSettings(), isBasic: Bool = false) -> Field {
        var field = Field(settings)
        field.work()
        for _ in 0..<2 {
            field.stage.say(1, 9, .member("nine", isBasic: isBasic))
            field.stage.say(1, 9, .at("203.0.113.9:7"))
            field.stage.say(1, 9, .from("10.0.0.9/32"))
        }
        field.work()
        return field
    }

    @Test("Allowed IPs come when it is healthy, and will be alive for 2.5 s")
    func ready() {
        var field = member()
        field.stage.say(9, 9, .boot(9))
        #expect(field.work() == [])
        field.touch(9)
        #expect(field.work() == [.update(PeerSettings(publicKey: key(9), allowedIPs: [prefix("10.0.0.9/32")]))])
        #expect(field.allowedIPs(9) == ["own", "10.0.0.9/32"])

        var silent = member()
        silent.touch(9)
        #expect(silent.work() == [])
        silent.stage.say(9, 9, .boot(9), 2)
        #expect(silent.work() == [])
        silent.stage.say(9, 9, .boot(9), 3)
        #expect(silent.work().count == 1)

        var basic = member(isBasic: true)
        basic.touch(9)
        #expect(basic.work().count == 1)
        #expect(basic.allowedIPs(9) == ["own", "10.0.0.9/32"])
    }

    @Test("Without a session they go back to the hub, when this machine has seen enough")
    func unhealthy() {
        var field = member()
        field.touch(9)
        field.stage.say(9, 9, .boot(9))
        field.work()
        #expect(field.allowedIPs(9) == ["own", "10.0.0.9/32"])
        field.stage.wait(166)
        field.touch(1)
        field.work()
        #expect(field.allowedIPs(9) == ["own", "10.0.0.9/32"])
        field.stage.wait(90)
        field.touch(1)
        for statement in [Fact.Statement.member("nine", isBasic: false), .from("10.0.0.9/32")] {
            field.stage.say(1, 9, statement)
        }
        field.work()
        #expect(field.allowedIPs(9) == ["own"])
    }

    @Test("Who is healthy and silent is left as it is")
    func hysteresis() {
        var field = member()
        field.settle()
        for statement in [Fact.Statement.member("nine"), .from("10.0.0.9/32")] { field.stage.say(1, 9, statement) }
        field.touch(9)
        field.stage.say(9, 9, .boot(9), 10)
        field.work()
        #expect(field.allowedIPs(9) == ["own", "10.0.0.9/32"])
        field.stage.wait(20)
        #expect(field.stage.view(9)?.isHealthy == true)
        #expect(field.work() == [])
        #expect(field.stage.view(9)?.isAlive == false)
    }

    @Test("A wrong allowed IP is replaced, by one that knows what is right")
    func replaced() {
        func wrong(_ settings: LinkSettings) -> Field {
            var field = member(settings)
            field.settle()
            for statement in [Fact.Statement.member("nine"), .from("10.0.0.9/32")] { field.stage.say(1, 9, statement) }
            field.touch(9)
            field.stage.say(9, 9, .boot(9))
            let place = field.stage.device.peers.firstIndex { $0.publicKey == key(9) }!
            field.stage.device.peers[place].allowedIPs.append(prefix("10.0.0.77/32"))
            field.work()
            return field
        }
        #expect(wrong(LinkSettings()).allowedIPs(9) == ["own", "10.0.0.9/32"])
        #expect(wrong(LinkSettings(isRouter: true)).allowedIPs(9)?.contains("10.0.0.77/32") == true)
    }

    @Test("Endpoints are tried one after the other, each for 15 s, its own before what others say")
    func endpoints() {
        var field = Field(LinkSettings(), [1: ["10.0.0.0/16"], 9: ["+10.0.0.9/32"]])
        let place = field.stage.device.peers.firstIndex { $0.publicKey == key(9) }!
        field.stage.device.peers[place].lastHandshake = nil
        field.stage.device.peers[place].endpoint = nil
        field.stage.exchange = FactExchange(
            settings: LinkSettings(),
            relays: false,
            at: field.stage.now,
            using: &field.stage.dice
        )
        field.stage.read()
        field.stage.start(1)
        field.stage.say(1, 9, .member)
        field.stage.say(1, 9, .at("203.0.113.1:7"), 9_000)
        field.stage.say(1, 9, .at("203.0.113.2:7"), 9_000)
        field.stage.say(9, 9, .at("203.0.113.3:7"), 9_000)
        // Through the tunnel, so never.
        field.stage.say(1, 9, .at("10.0.0.44:7"), 9_000)
        var tried: [String] = []
        var times: [Int64] = []
        for second in Int64(0)..<100 {
            field.stage.now = beginning + .seconds(second)
            field.touch(1)
            for case .update(let settings) in field.work() where settings.publicKey == key(9) {
                guard let endpoint = settings.endpoint else { continue }
                tried.append("\(endpoint)")
                times.append(second)
            }
        }
        #expect(tried == [3, 1, 2, 3, 1, 2, 3].map { "203.0.113.\($0):7" })
        #expect(times == [0, 15, 30, 45, 60, 75, 90])
        // With a session nothing is tried.
        field.touch(9)
        field.stage.wait(20)
        #expect(field.work().filter { $0.publicKey == key(9) } == [])
    }

    @Test("With one endpoint the peer is asked again and again, and nothing is changed")
    func single() {
        var field = member()
        var pings: [Int64] = []
        for second in Int64(0)..<40 {
            field.stage.now = beginning + .seconds(second)
            field.touch(1)
            field.stage.read()
            let (changes, pinged) = field.field.changes(field.stage.exchange, leaving: [], at: field.stage.now)
            #expect(changes == [])
            if pinged.contains(key(9)) { pings.append(second) }
        }
        #expect(pings == [15, 30])
        field.stage.exchange.ping(key(9), at: field.stage.now)
        #expect(field.stage.sent()[9]?.isPinged == true)
    }

    @Test("The operator's peer without a session gets its endpoint again, the operator's first")
    func operatorsEndpoint() {
        var field = Field()
        field.work()
        field.stage.say(1, 1, .at("203.0.113.1:7"), 9_000)
        field.stage.wait(200)
        #expect(field.work() == [])
        field.stage.wait(15)
        #expect(field.work().map(\.publicKey) == [key(1)])
        #expect(field.peer(1)?.endpoint == endpoint("203.0.113.1:7"))
        field.stage.wait(15)
        field.work()
        #expect(field.peer(1)?.endpoint == endpoint("198.51.100.1:7"))
        #expect(field.allowedIPs(1) == ["10.0.0.0/16", "own"])
    }

    /// Whether a peer of number 9, whom nobody calls a member, is removed.
    private func isRemoved(
        _ settings: LinkSettings = LinkSettings(),
        isMade: Bool = true,
        isHubThere: Bool = true,
        allowedIPs: String = "10.0.0.9/32",
        leaving pairs: Set<PublicKey> = []
    ) -> Bool {
        var field = Field(settings, [1: ["10.0.0.0/16"], 9: ["\(isMade ? "+" : "")\(allowedIPs)"]])
        field.work(leaving: pairs)
        guard field.peer(9) != nil else { return true }
        field.settle(isHubThere: isHubThere)
        field.work(leaving: pairs)
        return field.peer(9) == nil
    }

    @Test("A peer that nobody calls a member goes, if somebody who would is there")
    func removed() {
        #expect(isRemoved())
        #expect(isRemoved(allowedIPs: "10.0.9.0/24"))
        #expect(!isRemoved(isMade: false))
        #expect(!isRemoved(isHubThere: false))
        #expect(!isRemoved(leaving: [key(9)]))
        #expect(!isRemoved(LinkSettings(isRouter: true)))
        func trusting(_ number: Int, _ trust: Trust) -> LinkSettings {
            LinkSettings(members: [MemberSettings(publicKey: key(number), trust: trust)])
        }
        #expect(isRemoved(trusting(1, .membership)))
        #expect(!isRemoved(trusting(1, .allowedIPs)))
        #expect(!isRemoved(trusting(0, .membership)))
        #expect(!isRemoved(trusting(9, .endpoint)))
    }

    @Test("Not before a whole time to live has passed, and not while the hub is back for a short time only")
    func notYet() {
        var field = Field(LinkSettings(), [1: ["10.0.0.0/16"], 9: ["+10.0.0.9/32"]])
        for second in stride(from: Int64(5), through: 260, by: 5) {
            field.stage.now = beginning + .seconds(second)
            field.touch(1)
            field.stage.start(1)
            field.work()
            #expect((field.peer(9) != nil) == (second < 260), "\(second)")
        }
        var back = Field(LinkSettings(), [1: ["10.0.0.0/16"], 9: ["+10.0.0.9/32"]])
        back.settle(isHubThere: false)
        back.touch(1)
        back.stage.start(1)
        back.work()
        #expect(back.peer(9) != nil)
        // Of two hubs one is enough.
        var two = Field(LinkSettings(), [1: ["10.0.0.0/16"], 2: ["10.1.0.0/16"], 9: ["+10.0.0.9/32"]])
        two.settle()
        two.work()
        #expect(two.peer(9) == nil)
    }

    @Test("A peer of a member that turns out to be ours gets nothing more, and stays")
    func turnsOut() {
        var field = member()
        field.stage.say(
            9,
            [Fact(subject: key(9), .alive(OurBoot(port: 7, relays: false, random: 1).bootID), timeToLive: .usual)]
        )
        field.touch(9)
        #expect(field.work() == [])
        #expect(field.allowedIPs(9) == ["own"])
    }

    @Test("A mesh: a member gets a peer, a session, and then its allowed IPs")
    func mesh() throws {
        var mesh = star(leaves: 2, isHubOurs: false, plainLeaves: [2])
        mesh.machines[key(1)]?.fieldPeers = FieldPeers()
        mesh.addPeer(key(1), to: key(2), [])
        mesh.run(for: .seconds(40))
        let peer = try #require(mesh.machines[key(1)]?.device.peers.first { $0.publicKey == key(2) })
        #expect(peer.endpoint == endpoint("198.51.100.3:51820"))
        #expect(peer.allowedIPs == [key(2).memberAllowedIP, prefix("10.0.0.4/32")])
        let hub = try #require(mesh.machines[key(1)]?.device.peers.first { $0.publicKey == key(0) })
        #expect(hub.allowedIPs == [prefix("10.0.0.0/16"), key(0).memberAllowedIP])
        #expect(mesh.machines[key(2)]?.plain.isAlive(key(1), at: mesh.now) == true)
        #expect(mesh.machines[key(2)]?.plain.refused == 0)
    }
}
