import LinkFacts
import LinkMessages
import NetworkAddresses
import Testing
import Time
import WireGuardTypes

@testable import LinkMember

@Suite("Who is believed what") struct TrustTests {
    /// Peer 1 is a router, 2 a leaf; 3 is the operator's word; 9 is no peer.
    private func trust(_ settings: LinkSettings, _ number: Int) -> Trust? {
        Stage(settings, [1: ["10.0.0.0/24"], 2: ["10.0.0.2/32"], 3: ["10.0.0.3/32"], 4: ["+10.0.4.0/24"]]).exchange
            .peers[key(number)]?.trust
    }

    @Test("Where the operator trusts nobody in particular, the operator's routers")
    func routers() {
        let plain = LinkSettings(members: [MemberSettings(publicKey: key(2))])
        #expect(trust(plain, 1) == .membership)
        #expect(trust(plain, 2) == .endpoint)
        #expect(trust(plain, 9) == nil)
        // The field would believe everything of this one, because somebody said that it has a network.
        #expect(trust(plain, 4) == .endpoint)
    }

    @Test("Where the operator trusts somebody, nobody else", arguments: Trust.allCases)
    func configured(level: Trust) {
        let settings = LinkSettings(members: [MemberSettings(publicKey: key(3), trust: level)])
        #expect(trust(settings, 3) == level)
        #expect(trust(settings, 1) == .endpoint)
        #expect(trust(settings, 2) == .endpoint)
    }

    /// Whether a fact of a source with this trust shows.
    private func isAccepted(_ level: Trust, about subject: Int, _ statement: Fact.Statement) -> Bool {
        let settings = LinkSettings(isRouter: false, members: [MemberSettings(publicKey: key(1), trust: level)])
        var stage = Stage(settings, [1: ["10.0.0.0/24"], 2: ["+10.0.0.2/32"]])
        if subject == 9 { stage.say(1, 9, .member) }
        stage.say(1, subject, statement)
        switch statement {
        case .endpoint(let endpoint): return stage.endpoints(subject).contains(endpoint)
        case .allowedIP:
            // It is of no use without being a member.
            return stage.exchange.claims[key(subject)].contains { $0.statement == statement }
        case .member, .plainMember: return stage.view(subject)?.isMember ?? false
        case .alive: return stage.view(subject)?.isAlive ?? false
        }
    }

    @Test("What counts about a peer, and what about others", arguments: Trust.allCases)
    func matrix(level: Trust) {
        #expect(isAccepted(level, about: 2, .at("203.0.113.2:7")) == (level >= .endpoint))
        #expect(isAccepted(level, about: 2, .from("10.0.0.9/32")) == (level >= .allowedIPs))
        #expect(isAccepted(level, about: 2, .member) == (level >= .membership))
        #expect(isAccepted(level, about: 2, .plainMember) == (level >= .membership))
        #expect(!isAccepted(level, about: 2, .boot(2)))
        for statement in [Fact.Statement.at("203.0.113.9:7"), .from("10.0.0.9/32"), .member, .plainMember] {
            #expect(isAccepted(level, about: 9, statement) == (level >= .membership))
        }
        #expect(!isAccepted(level, about: 9, .boot(2)))
    }

    @Test("Not who is no peer, not what has expired, and not what would go through the tunnel")
    func refused() {
        var stage = Stage([1: ["10.0.0.0/24"], 2: ["10.0.0.2/32"]])
        stage.say(9, 2, .at("203.0.113.9:7"))
        stage.say(1, 2, .at("203.0.113.8:7"), 0)
        stage.say(1, 2, .at("10.0.0.77:7"))
        #expect(stage.endpoints(2) == [endpoint("198.51.100.2:7")])
        stage.say(1, 2, .at("203.0.113.7:7"))
        #expect(stage.endpoints(2) == [endpoint("198.51.100.2:7"), endpoint("203.0.113.7:7")])
        // Another interface gets into that network, and it would not go through the tunnel any more.
        stage.device.underlayAddresses.append(
            UnderlayAddress(interface: InterfaceName("eth7")!, address: prefix("10.0.0.5/24"))
        )
        stage.read()
        #expect(stage.endpoints(2).contains(endpoint("10.0.0.77:7")))
    }

    @Test("Only a machine itself says that it runs; what another says about that does not make it a new start")
    func aliveOfOthers() {
        var stage = Stage([1: ["10.0.0.0/24"], 2: ["10.0.0.2/32"]])
        stage.start(1)
        stage.say(1, 2, .boot(7))
        #expect(stage.view(2)?.isAlive == false)
        #expect(stage.exchange.peers[key(1)]?.boot == BootID(bytes: [UInt8](repeating: 1, count: 16)))
        #expect(stage.view(1)?.isAlive == true)
    }

    @Test("Whoever is believed more from now on is heard again")
    func risen() throws {
        var stage = Stage([1: ["10.0.0.1/32"]])
        let boot = OurBoot(port: 7, relays: true, random: 1).bootID
        let lasting = TimeToLive(lasting: .observed)
        func delta(_ sequence: UInt32) -> FactDelta {
            FactDelta(
                sequence: sequence,
                isFirst: sequence == 1,
                facts: [
                    Fact(subject: key(1), .alive(boot), timeToLive: .usual),
                    Fact(subject: key(9), .member, timeToLive: lasting),
                ]
            )
        }
        stage.exchange.take(delta(1), from: key(1), at: stage.now)
        #expect(stage.view(9) == nil)
        #expect(stage.exchange.send(at: stage.now, using: &stage.dice).contains(.received(1, to: key(1))))
        // The operator makes it a router. It is not told that its deltas come until it begins anew.
        stage.device.peers[0].allowedIPs = [prefix("10.0.0.0/24")]
        stage.read()
        stage.exchange.take(delta(2), from: key(1), at: stage.now)
        #expect(!stage.exchange.send(at: stage.now, using: &stage.dice).contains(.received(2, to: key(1))))
        var first = delta(100)
        first.isFirst = true
        stage.exchange.take(first, from: key(1), at: stage.now)
        #expect(stage.view(9)?.isMember == true)
    }
}
