import LinkFacts
import LinkMessages
import NetworkAddresses
import Testing
import Time
import WireGuardTypes

@testable import LinkMember

@Suite("Who is told what") struct TellingTests {
    private enum Told { case nothing, ping, all }

    /// What peer 2 is told of peer 3 by a machine with these settings.
    private func told(
        _ settings: LinkSettings,
        _ peers: [Int: [String]] = [1: ["10.0.0.0/24"], 2: ["10.0.0.2/32"], 3: ["10.0.0.3/32"]],
        hasSession: Bool = true,
        hasEndpoint: Bool = true
    ) -> Told {
        var stage = Stage(settings, peers)
        let place = stage.device.peers.firstIndex { $0.publicKey == key(2) }!
        if !hasSession { stage.device.peers[place].lastHandshake = wallClock - 200 }
        if !hasEndpoint { stage.device.peers[place].endpoint = nil }
        stage.now = stage.now + .seconds(1)
        stage.exchange = FactExchange(settings: settings, relays: false, at: stage.now, using: &stage.dice)
        stage.read()
        stage.start(2)
        guard let sent = stage.sent()[2] else { return .nothing }
        return sent.facts.contains { $0.subject == key(0) } ? .all : sent.isPinged ? .ping : .nothing
    }

    private func settings(
        _ trust: Trust? = nil,
        isExchanger: Bool = false,
        isRouter: Bool? = nil,
        isChatty: Bool = false
    ) -> LinkSettings {
        LinkSettings(
            isRouter: isRouter,
            isChatty: isChatty,
            members: [MemberSettings(publicKey: key(2), trust: trust, isFactExchanger: isExchanger)]
        )
    }

    @Test("The nine cases")
    func levels() {
        #expect(told(settings(.membership, isExchanger: true), hasEndpoint: false) == .nothing)
        #expect(told(settings(.membership)) == .all)
        #expect(told(settings(.allowedIPs)) == .all)
        #expect(told(settings(.endpoint)) == .ping)
        #expect(told(settings(), [1: ["10.0.0.1/32"], 2: ["10.0.0.0/24"], 3: ["10.0.0.3/32"]]) == .all)
        #expect(told(settings(isExchanger: true)) == .all)
        #expect(told(settings()) == .ping)
        #expect(told(settings(isChatty: true)) == .all)
        #expect(told(settings(isRouter: true)) == .all)
        #expect(told(settings(isRouter: true), hasSession: false) == .ping)
        #expect(told(settings(isChatty: true), hasSession: false) == .ping)
        #expect(told(settings(.membership), hasSession: false) == .all)
    }

    @Test("Own endpoints and the alive fact go in one datagram")
    func together() {
        var stage = Stage([1: ["10.0.0.0/24"]])
        stage.start(1)
        let sent = stage.sent()[1]
        #expect(sent?.facts == [Fact(key(0), .at("192.0.2.1:51820"))])
        #expect(sent?.isPinged == true && sent?.datagrams == 1)
    }

    @Test("Who was never heard is asked soon, three times, and then every half minute")
    func unheard() {
        var stage = Stage([1: ["10.0.0.0/24"]])
        var pings: [Int64] = []
        for second in Int64(0)..<100 {
            stage.now = beginning + .seconds(second)
            if let sent = stage.sent()[1] {
                #expect(sent.facts.isEmpty && sent.isPinged)
                pings.append(second)
            }
        }
        #expect(pings == [0, 5, 10, 40, 70])
    }

    @Test("What is new is told twice, all is told again every two minutes, and the alive fact every half minute")
    func refreshes() {
        var stage = Stage([1: ["10.0.0.0/24"]])
        stage.start(1)
        var facts: [Int64] = []
        var pings: [Int64] = []
        for second in Int64(0)..<300 {
            stage.now = beginning + .seconds(second)
            // It remains alive.
            if second % 100 == 0 { stage.start(1) }
            if second % 50 == 0 { stage.device.peers[0].lastHandshake = wallClock + second }
            if second % 50 == 0 { stage.read() }
            guard let sent = stage.sent()[1] else { continue }
            if !sent.facts.isEmpty { facts.append(second) }
            if sent.isPinged { pings.append(second) }
        }
        #expect(facts == [0, 5, 120, 240])
        #expect(pings.allSatisfy { $0 % 5 == 0 })
        #expect(zip(pings, pings.dropFirst()).allSatisfy { $1 - $0 <= 30 })
        #expect(pings.count <= 13)
    }

    @Test("A new start of the other one has all told again at once, but not more than once a second")
    func newStart() {
        var stage = Stage([1: ["10.0.0.0/24"]])
        stage.start(1)
        #expect(stage.sent()[1]?.facts.count == 1)
        stage.now = beginning + .milliseconds(1_500)
        #expect(stage.sent()[1] == nil)
        stage.say(1, 1, .boot(77))
        #expect(stage.exchange.nextDeadline.map { $0 <= stage.now + .seconds(1) } == true)
        stage.now = beginning + .milliseconds(2_500)
        #expect(stage.sent()[1]?.facts.count == 1)
        for number in 100..<UInt8(150) {
            stage.say(1, 1, .boot(number))
            stage.now = stage.now + .milliseconds(10)
        }
        var count = 0
        for _ in 0..<100 {
            stage.now = stage.now + .milliseconds(10)
            stage.say(1, 1, .boot(UInt8(count) + 150))
            count += stage.sent()[1]?.datagrams ?? 0
        }
        #expect(count <= 2)
    }

    @Test("Nobody is told about itself, and nothing of those who are not there")
    func subjects() {
        var stage = Stage(LinkSettings(isRouter: true), [1: ["10.0.0.2/32"], 2: ["10.0.0.3/32"], 3: ["10.0.0.4/32"]])
        stage.device.peers[2].lastHandshake = wallClock - 400
        stage.now = beginning + .seconds(400)
        stage.device.peers[0].lastHandshake = wallClock + 400
        stage.device.peers[1].lastHandshake = wallClock + 400
        stage.read()
        stage.start(1, 2)
        let sent = stage.sent()
        let facts = Set(sent[1]?.facts ?? [])
        #expect(facts.contains(Fact(key(1), .member)))
        #expect(!facts.contains { $0.subject == key(1) && !$0.statement.isMembership })
        #expect(facts.contains(Fact(key(2), .member)))
        #expect(facts.contains(Fact(key(2), .from("10.0.0.3/32"))))
        #expect(facts.contains(Fact(key(2), .at("198.51.100.2:7"))))
        #expect(!facts.contains { $0.subject == key(3) })
        // It is alive, if not healthy.
        stage.start(3)
        stage.wait(5)
        let later = Set(stage.sent()[1]?.facts ?? [])
        #expect(later.contains(Fact(key(3), .member)) && later.contains(Fact(key(3), .from("10.0.0.4/32"))))
        #expect(!later.contains(Fact(key(3), .at("198.51.100.3:7"))))
    }

    @Test("What others say of others is not repeated")
    func hearsay() {
        var stage = Stage(LinkSettings(isRouter: true), [1: ["10.0.0.2/32"], 2: ["10.0.0.3/32"], 3: ["10.0.0.0/16"]])
        stage.start(1, 2, 3)
        stage.say(2, 2, .at("203.0.113.2:7"))
        stage.say(3, 1, .at("203.0.113.99:7"))
        stage.say(3, 2, .at("203.0.113.99:7"))
        stage.say(3, 9, .member)
        let facts = Set(stage.sent()[1]?.facts ?? [])
        #expect(facts.contains(Fact(key(2), .at("203.0.113.2:7"))))
        #expect(!facts.contains(Fact(key(2), .at("203.0.113.99:7"))))
        #expect(!facts.contains { $0.subject == key(9) })
    }

    @Test("A long list goes in many datagrams, none longer than it may be, and not all at once")
    func bursts() {
        var stage = Stage(LinkSettings(isRouter: true), [1: ["10.0.0.2/32"]])
        for number in 2..<1_000 {
            stage.device.peers.append(
                Peer(
                    publicKey: key(number),
                    allowedIPs: [prefix("10.0.\(number / 250).\(number % 250)/32")],
                    endpoint: endpoint("203.0.113.1:\(number)"),
                    lastHandshake: wallClock
                )
            )
        }
        stage.read()
        stage.start(1)
        var told: Set<Fact> = []
        var rounds = 0
        while rounds < 20 {
            let messages = stage.exchange.send(at: stage.now, using: &stage.dice).compactMap { message in
                if case .group(let bytes, key(1)) = message { bytes } else { nil }
            }
            #expect(messages.count <= 25)
            for bytes in messages {
                #expect(bytes.count <= WireFormat.maximumGroup)
                told.formUnion((try? Fact.facts(in: bytes)) ?? [])
            }
            rounds += 1
            stage.wait(5)
            if told.count > 998 * 3 { break }
        }
        // Membership, allowed IP and endpoint of 998 peers in 36 + 40 + 41 bytes, 24 datagrams in a round.
        #expect(rounds == 5)
    }
}
