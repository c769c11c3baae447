import LinkFacts
import LinkMessages
import NetworkAddresses
import Testing
import Time
import WireGuardTypes

@testable import LinkMember

@Suite("What the field does wrong, and is not done here") struct MendTests {
    @Test("A router goes on telling a leaf what the leaf has told it")
    func amnesiaAtRouter() {
        var stage = Stage(LinkSettings(isRouter: true), [1: ["10.0.0.2/32"], 2: ["10.0.0.3/32"]])
        stage.start(1, 2)
        // The leaf sees the other one where the router sees it.
        stage.say(1, 2, .at("198.51.100.2:7"))
        #expect(stage.sent()[1]?.facts.contains(Fact(key(2), .at("198.51.100.2:7"))) == true)
        stage.wait(5)
        _ = stage.sent()
        for second in stride(from: Int64(10), through: 120, by: 5) {
            stage.now = beginning + .seconds(second)
            stage.say(1, 2, .at("198.51.100.2:7"))
            let sent = stage.sent()[1]?.facts.contains(Fact(key(2), .at("198.51.100.2:7"))) ?? false
            #expect(sent == (second == 120), "\(second)")
        }
    }

    @Test("When a session ends, a leaf still knows where the other was, from itself and from the router")
    func amnesiaAtLeaf() {
        var stage = Stage([1: ["10.0.0.0/16"], 2: ["+10.0.0.2/32"]])
        stage.start(1, 2)
        stage.say(1, 2, .member, 9_000)
        stage.say(1, 2, .at("198.51.100.2:7"), 9_000)
        stage.say(1, 2, .at("203.0.113.2:7"), 9_000)
        #expect(stage.exchange.statements(of: key(2)).map(\.statement) == [.at("198.51.100.2:7")])
        stage.wait(300)
        stage.read()
        // It is not said any more, and known all the same.
        #expect(stage.exchange.statements(of: key(2)).isEmpty)
        #expect(stage.view(2)?.isHealthy == false)
        #expect(stage.endpoints(2) == [endpoint("198.51.100.2:7"), endpoint("203.0.113.2:7")])
        #expect(stage.exchange.claims[key(2)].count == 3)
        stage.wait(10_000)
        stage.read()
        #expect(stage.endpoints(2) == [endpoint("198.51.100.2:7")])
    }

    @Test("Members who come and go leave nothing behind")
    func churn() {
        var stage = Stage(LinkSettings(isRouter: true), [1: ["10.0.0.2/32"]])
        stage.start(1)
        for number in 2..<300 {
            stage.device.peers.append(
                Peer(
                    publicKey: key(number),
                    allowedIPs: [prefix("10.0.9.9/32")],
                    endpoint: endpoint("203.0.113.9:\(number)"),
                    lastHandshake: wallClock + (stage.now - beginning).components.seconds
                )
            )
            stage.device.peers[0].lastHandshake = wallClock + (stage.now - beginning).components.seconds
            stage.read()
            stage.say(number, number, .boot(3))
            stage.say(number, number, .at("192.168.7.7:\(number)"))
            _ = stage.sent()
            stage.device.peers.removeLast()
            stage.read()
            stage.wait(61)
            stage.read()
            _ = stage.sent()
        }
        #expect(stage.exchange.peers.count == 1)
        #expect(stage.exchange.claims.subjects.isEmpty)
        #expect(stage.exchange.members.map(\.key) == [key(1)])
        #expect(stage.exchange.journal.count == 1 + 1 + 3)
    }

    @Test("A machine that names endpoints for others without end gets no further than its own share")
    func flood() {
        var stage = Stage(LinkSettings(isRouter: true), [1: ["10.0.0.2/32"], 2: ["10.0.0.3/32"], 3: ["10.0.0.4/32"]])
        stage.say(2, 2, .at("192.168.1.2:7"), 9_000)
        for second in 0..<Int64(60) {
            stage.now = beginning + .seconds(second)
            for port in 0..<20 { stage.say(1, 2, .at("203.0.113.66:\(second * 20 + Int64(port) + 1)")) }
        }
        let candidates = stage.view(2)?.candidates ?? []
        #expect(candidates.count == 2 + FactLimits.endpointsOfClaimant)
        #expect(candidates.prefix(2).map(\.endpoint) == [endpoint("192.168.1.2:7"), endpoint("198.51.100.2:7")])
        // And nobody else hears of them.
        stage.start(3)
        stage.device.peers[2].lastHandshake = wallClock + 60
        stage.read()
        let told = Set(stage.sent()[3]?.facts ?? [])
        #expect(told.contains(Fact(key(2), .at("192.168.1.2:7"))))
        #expect(
            !told.contains { fact in
                if case .endpoint(let endpoint) = fact.statement {
                    endpoint.source == IPv6Address(mapping: IPv4Address("203.0.113.66")!)
                } else {
                    false
                }
            }
        )
    }

    @Test("Machines of ours with other ports say so")
    func ports() {
        var mesh = star(leaves: 1)
        mesh.machines[key(1)]?.device.listenPort = 4_000
        mesh.machines[key(0)]?.device.peers[0].endpoint = endpoint("198.51.100.2:4000")
        mesh.run(for: .seconds(5))
        #expect(mesh.view(key(1), at: key(0))?.ours?.port == 4_001)
        #expect(mesh.view(key(0), at: key(1))?.ours?.port == 51_821)
    }

    @Test("A machine of the field that lets a member go is asked for everything again, once a minute at most")
    func askAgain() {
        var stage = Stage([1: ["10.0.0.0/16"]])
        stage.start(1)
        stage.say(1, 8, .member, 10)
        stage.say(1, 9, .at("203.0.113.9:7"), 20)
        stage.say(1, 9, .member, 30)
        var seen: [Int64: Set<BootID>] = [:]
        for second in Int64(0)..<100 {
            stage.now = beginning + .seconds(second)
            let new = stage.sentBoots()
            if !new.isEmpty { seen[second] = new }
        }
        let first = seen[0] ?? []
        #expect(first.count == 1)
        #expect(seen.filter { $0.key < 10 }.allSatisfy { $0.value == first })
        // At once, and not again for the second one.
        #expect(seen[10].map { $0 != first } == true)
        #expect(Set(seen.filter { $0.key >= 10 }.values).count == 1)
        // Machines of ours are not told of a new start that was none.
        #expect(stage.exchange.ours.map { [$0.bootID] } == Array(first))
    }
}
