import LinkFacts
import LinkMessages
import NetworkAddresses
import Testing
import Time
import WireGuardTypes

@testable import LinkMember

@Suite("What is known of members") struct MemberViewTests {
    @Test("Of several names the same one is shown, whatever comes last")
    func names() {
        var stage = Stage([1: ["10.0.0.0/24"], 2: ["10.1.0.0/24"]])
        stage.start(1, 2)
        stage.say(2, 9, .member("zeta"))
        stage.say(1, 9, .member("beta", isBasic: false))
        stage.say(1, 9, .member("alpha"))
        for _ in 0..<20 {
            stage.wait(5)
            stage.say(
                1,
                9,
                [.member, .member("beta", isBasic: false), .member("alpha")].randomElement(using: &stage.dice)!
            )
            #expect(stage.view(9)?.name == "alpha")
        }
        #expect(stage.view(9)?.hubs == [key(1), key(2)])
        #expect(stage.view(9)?.isBasic == false)
        stage.say(2, 9, .member("x", isBasic: true))
        #expect(stage.view(9)?.isBasic == true)
    }

    @Test("What the operator says comes before")
    func operatorFirst() {
        var stage = Stage(
            LinkSettings(members: [MemberSettings(publicKey: key(9), name: "mine")]),
            [1: ["10.0.0.0/24"]]
        )
        #expect(stage.view(9)?.isMember == true && stage.view(9)?.isCurrent == true)
        stage.say(1, 9, .member("theirs"))
        #expect(stage.view(9)?.name == "mine")
    }

    @Test(
        "A name is printable and not long",
        arguments: [
            ("alpha", "alpha"), ("zoë 東京", "zoë 東京"), ("a\u{1b}[31mb\n", "a?[31mb?"), ("\u{202e}x", "?x"),
            (String(repeating: "n", count: 65), String(repeating: "n", count: 64)),
        ]
    )
    func printable(_ name: String, _ shown: String) {
        var stage = Stage([1: ["10.0.0.0/24"]])
        stage.say(1, 9, .member(name))
        #expect(stage.view(9)?.name == shown)
    }

    @Test("No name is none")
    func noName() {
        var stage = Stage([1: ["10.0.0.0/24"]])
        stage.say(1, 9, .member(""))
        #expect(stage.view(9)?.isMember == true && stage.view(9)?.name == nil)
    }

    @Test("Candidates: the operator's, its own, what was heard, and what is said")
    func candidates() {
        let member = MemberSettings(publicKey: key(2), endpoints: [HostPort("198.51.100.200:7", defaultPort: nil)!])
        var stage = Stage(
            LinkSettings(members: [member]),
            [1: ["10.0.0.0/24"], 2: ["10.0.0.2/32"], 3: ["10.0.0.3/32"]]
        )
        stage.say(3, 2, .at("203.0.113.3:7"))
        stage.say(1, 2, .at("203.0.113.1:7"))
        stage.say(2, 2, .at("203.0.113.2:7"))
        stage.say(1, 2, .at("203.0.113.2:7"))
        #expect(
            stage.view(2)?.candidates == [
                CandidateEndpoint(endpoint("198.51.100.200:7"), .configured),
                CandidateEndpoint(endpoint("203.0.113.2:7"), .own),
                CandidateEndpoint(endpoint("198.51.100.2:7"), .observed),
                CandidateEndpoint(endpoint("203.0.113.3:7"), .hearsay),
                CandidateEndpoint(endpoint("203.0.113.1:7"), .hearsay),
            ]
        )
    }

    @Test("A router of ours tells where an endpoint is from; of a leaf all is hearsay")
    func origins() {
        var stage = Stage([1: ["10.0.0.0/24"], 2: ["10.0.0.2/32"], 3: ["10.0.0.3/32"]])
        func tell(_ source: Int, _ origin: CandidateEndpoint.Origin, _ port: Int) {
            let fact = Fact(
                subject: key(2),
                .at("203.0.113.\(source):\(port)"),
                timeToLive: TimeToLive(lasting: origin)
            )
            let delta = FactDelta(sequence: UInt32(source * 100 + port), isFirst: port == 1, facts: [fact])
            stage.exchange.take(delta, from: key(source), at: stage.now)
        }
        for source in [1, 3] {
            tell(source, .own, 1)
            tell(source, .observed, 2)
            tell(source, .configured, 3)
            tell(source, .hearsay, 4)
        }
        let origins = Dictionary(
            uniqueKeysWithValues: (stage.view(2)?.candidates ?? []).map { ($0.endpoint, $0.origin) }
        )
        #expect((1...4).map { origins[endpoint("203.0.113.1:\($0)")] } == [.own, .observed, .own, .hearsay])
        #expect((1...4).map { origins[endpoint("203.0.113.3:\($0)")] } == [.hearsay, .hearsay, .hearsay, .hearsay])
    }

    @Test("Names of configured endpoints are looked up while their machine is not there")
    func lookups() {
        let names = ["a.example:7", "b.example:8", "203.0.113.7:9", "[2001:db8::7]:9"].map {
            HostPort($0, defaultPort: nil)!
        }
        let members = [
            MemberSettings(publicKey: key(0), endpoints: [names[0]]),
            MemberSettings(publicKey: key(2), endpoints: names),
            MemberSettings(publicKey: key(3), endpoints: [names[1]]),
        ]
        var stage = Stage(LinkSettings(members: members), [3: ["10.0.0.3/32"]])
        #expect(stage.exchange.lookups == [names[0], names[1]])
        stage.exchange.take([endpoint("192.0.2.77:7")], of: names[0], at: stage.now)
        #expect(
            stage.endpoints(2) == [endpoint("192.0.2.77:7"), endpoint("203.0.113.7:9"), endpoint("[2001:db8::7]:9")]
        )
        stage.exchange.take([endpoint("192.0.2.78:7")], of: names[0], at: stage.now)
        #expect(
            stage.endpoints(2).contains(endpoint("192.0.2.78:7"))
                && !stage.endpoints(2).contains(endpoint("192.0.2.77:7"))
        )
        stage.exchange.take((1...20).map { endpoint("192.0.2.\($0):7") }, of: names[0], at: stage.now)
        #expect(stage.endpoints(2).count == 2 + FactLimits.endpointsOfClaimant)
    }

    @Test("Of two members with one address both are named, and the later one is left out")
    func addresses() {
        var stage = Stage([1: ["10.0.0.0/24"]])
        let device = stage.device
        // Keys 8 and 9 have the same address, and key 7 that of this machine.
        stage.exchange = FactExchange(settings: LinkSettings(), relays: false, at: stage.now, using: &stage.dice) {
            other in
            other == key(9) ? key(8).memberAddress : other == key(7) ? key(0).memberAddress : other.memberAddress
        }
        stage.exchange.take(device, at: stage.now)
        stage.say(1, 9, .member)
        stage.say(1, 8, .member)
        stage.say(1, 7, .member)
        stage.say(1, 8, .from("10.0.0.8/32"))
        #expect(stage.view(9)?.isMember == true)
        #expect(stage.view(8)?.isMember == false)
        #expect(stage.view(8)?.allowedIPs == [])
        #expect(stage.view(7)?.isMember == false)
        let notices = stage.exchange.takeNotices().filter { $0.event == .conflict }
        #expect(notices.map(\.member) == [key(8), key(7)])
        #expect(notices[0].text.contains("\(key(9))") && notices[1].text.contains("\(key(0))"))
        // When the first one goes, its address is free.
        stage.wait(200)
        stage.say(1, 8, .member)
        stage.say(1, 8, .from("10.0.0.8/32"))
        stage.wait(100)
        stage.say(1, 1, .boot(1))
        #expect(stage.view(9) == nil)
        #expect(stage.view(8)?.isMember == true)
        #expect(stage.view(8)?.allowedIPs == [prefix("10.0.0.8/32")])
    }

    @Test("Allowed IPs that overlap another peer's are refused and named, once")
    func conflicts() {
        var stage = Stage([1: ["10.0.0.0/16"], 2: ["10.0.0.2/32"]])
        stage.say(1, 8, .member)
        stage.say(1, 9, .member)
        stage.say(1, 9, .from("10.0.0.9/32"))
        stage.say(1, 8, .from("10.0.0.9/32"))
        stage.say(1, 8, .from("10.0.0.0/24"))
        stage.say(1, 8, .from("10.0.0.1/32"))
        stage.say(1, 8, .from("10.0.8.0/24"))
        stage.say(1, 8, .from("10.0.9.77/24"))
        // 8 comes before 9. 10.0.0.1 is this machine's.
        #expect(stage.view(8)?.allowedIPs == ["10.0.0.9/32", "10.0.8.0/24", "10.0.9.0/24"].map { prefix($0) })
        #expect(stage.view(9)?.allowedIPs == [])
        let notices = stage.exchange.takeNotices().filter { $0.event == .conflict }
        #expect(notices.map(\.member).filter { $0 == key(8) }.count == 2)
        #expect(
            notices.contains { $0.member == key(9) && $0.text.contains("10.0.0.9/32") && $0.text.contains("\(key(8))") }
        )
        for _ in 0..<3 {
            stage.wait(5)
            stage.say(1, 9, .from("10.0.0.9/32"))
            stage.read()
        }
        #expect(stage.exchange.takeNotices().isEmpty)
    }

    @Test("Who holds an allowed IP keeps it")
    func holder() {
        var stage = Stage([1: ["10.0.0.0/16"], 9: ["+10.0.0.9/32"]])
        stage.say(1, 8, .member)
        stage.say(1, 9, .member)
        stage.say(1, 8, .from("10.0.0.9/32"))
        #expect(stage.view(8)?.allowedIPs == [prefix("10.0.0.9/32")])
        stage.say(1, 9, .from("10.0.0.9/32"))
        #expect(stage.view(9)?.allowedIPs == [prefix("10.0.0.9/32")])
        #expect(stage.view(8)?.allowedIPs == [])
    }

    @Test("Another private key is another machine")
    func otherKey() {
        var stage = Stage([1: ["10.0.0.0/16"]])
        stage.say(1, 9, .member)
        #expect(stage.view(9) != nil)
        stage.device.publicKey = key(77)
        stage.read()
        #expect(stage.exchange.members.map(\.key) == [key(1)])
        #expect(stage.exchange.ownEndpoints.count == 1)
        stage.say(1, 0, .member)
        #expect(stage.view(0)?.isMember == true)
    }

    @Test("A peer that leaves the device is remembered for a minute")
    func absence() {
        var stage = Stage([1: ["10.0.0.0/16"], 2: ["10.0.0.2/32"]])
        stage.start(1, 2)
        stage.say(2, 2, .at("203.0.113.2:7"))
        let peer = stage.device.peers.removeLast()
        stage.read()
        #expect(stage.view(2) == nil)
        stage.wait(59)
        stage.read()
        stage.device.peers.append(peer)
        stage.read()
        #expect(stage.view(2)?.isAlive == true)
        #expect(stage.endpoints(2).contains(endpoint("203.0.113.2:7")))
        stage.device.peers.removeLast()
        stage.read()
        stage.wait(60)
        stage.read()
        #expect(stage.exchange.peers[key(2)] == nil)
        #expect(stage.exchange.claims.size(of: key(2)) == 0)
    }
}

@Suite("What others can make grow") struct FactLimitTests {
    @Test("So many datagrams are taken from one machine, and others are heard all the same")
    func datagrams() {
        var stage = Stage([1: ["10.0.0.2/32"], 2: ["10.0.0.3/32"]])
        func count(_ source: Int, _ number: Int) -> Int {
            (0..<number).count { _ in
                let before = stage.exchange.peers[key(source)]?.bucket
                stage.say(source, 1, .at("203.0.113.1:7"))
                return stage.exchange.peers[key(source)]?.bucket != before
            }
        }
        #expect(count(1, 600) == 512)
        #expect(count(2, 10) == 10)
        stage.wait(1)
        #expect(count(1, 600) == 128)
        let notices = stage.exchange.takeNotices().filter { $0.event == .refused }
        #expect(notices.count == 1)
        #expect(notices.first?.member == key(1))
    }

    @Test("Excess is named once for each start of the one who says too much")
    func excess() {
        var stage = Stage([1: ["10.0.0.0/16"]])
        stage.start(1)
        let facts = (0...(FactLimits.subjects + 10)).map { Fact(key($0 + 10), .member) }
        for start in stride(from: 0, to: facts.count, by: 100) { stage.say(1, Array(facts[start...].prefix(100))) }
        func excess() -> Int { stage.exchange.takeNotices().count { $0.event == .refused && $0.member == key(1) } }
        #expect(excess() == 1)
        #expect(stage.exchange.members.count == FactLimits.subjects + 1)
        stage.say(1, 9_000, .member)
        #expect(excess() == 0)
    }

    @Test("So many lines for the log, and how many were left out")
    func notices() {
        var log = NoticeLog()
        for number in 0..<100 {
            log.add(LinkNotice(.memberFound, .info, key(number), "\(number)"), at: beginning)
        }
        // Who comes and goes leaves room for what is wrong. One line says how many were left out.
        for number in 0..<100 { log.refused(key(number), "too much", at: beginning) }
        #expect(log.take().map(\.level) == Array(repeating: .info, count: 32) + Array(repeating: .warning, count: 33))
        log.add(LinkNotice(.memberFound, .info, nil, "later"), at: beginning + .seconds(5))
        #expect(log.take().map(\.text) == ["lines left out, count = 68", "later"])
        #expect(log.take().isEmpty)
    }
}
