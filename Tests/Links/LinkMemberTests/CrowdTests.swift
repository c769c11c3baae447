import LinkFacts
import LinkMessages
import NetworkAddresses
import Surroundings
import Testing
import Time
import WireGuardTypes

@testable import LinkMember

/// A hub of ours with many leaves of ours, each of which says where it is and acknowledges what it is told.
private struct Crowd {
    var stage: Stage
    let count: Int
    private var sequences: [UInt32] = []
    /// Bytes of UDP payloads, both ways.
    var bytes = 0
    var datagrams = 0
    /// Facts that leaf 1 was told and not told to forget.
    var told: [Fact.Key: Fact] = [:]

    init(_ count: Int) {
        self.count = count
        stage = Stage([:])
        stage.device.peers = (1...count).map { number in
            Peer(
                publicKey: key(number),
                allowedIPs: [prefix("10.\(number / 250).\(number % 250).1/32")],
                endpoint: endpoint("203.0.\(number / 250).\(number % 250):51820"),
                lastHandshake: wallClock
            )
        }
        stage.read()
        sequences = Array(repeating: 1, count: count + 1)
        for number in 1...count {
            deliver(
                number,
                isFirst: true,
                [Fact(key(number), .at("192.168.\(number / 250).\(number % 250):51820"), 65534)]
            )
        }
    }

    mutating func deliver(_ number: Int, isFirst: Bool = false, _ facts: [Fact]) {
        let boot = OurBoot(port: 51821, relays: false, random: UInt64(number)).bootID
        let alive = Fact(subject: key(number), .alive(boot), timeToLive: .usual)
        let delta = FactDelta(sequence: sequences[number], isFirst: isFirst, facts: [alive] + facts)
        sequences[number] += 1
        note(.delta(delta, to: key(0)))
        stage.exchange.take(delta, from: key(number), at: stage.now)
    }

    private mutating func note(_ message: FactMessage) {
        bytes += message.length
        datagrams += 1
    }

    mutating func run(for duration: Duration) {
        let end = stage.now + duration
        while let due = stage.exchange.nextDeadline, due <= end {
            stage.now = max(stage.now, due)
            let messages = stage.exchange.send(at: stage.now, using: &stage.dice)
            for message in messages {
                note(message)
                guard case .delta(let delta, let receiver) = message else { continue }
                if receiver == key(1) {
                    for fact in delta.facts { told[fact.key] = fact.timeToLive == .none ? nil : fact }
                }
                note(.received(delta.sequence, to: key(0)))
                stage.exchange.acknowledge(delta.sequence, from: receiver, at: stage.now)
            }
        }
        stage.now = end
    }

    /// Bytes of ten minutes in which nothing happens, for one minute: leaves say that they are alive, and WireGuard renews
    /// its sessions.
    mutating func idle() -> Int {
        bytes = 0
        datagrams = 0
        for _ in 0..<10 {
            for number in 1...count { deliver(number, []) }
            for index in stage.device.peers.indices {
                stage.device.peers[index].lastHandshake = wallClock + (stage.now - beginning).components.seconds
            }
            stage.read()
            run(for: .seconds(60))
        }
        return bytes / 10
    }
}

@Suite("Many members") struct CrowdTests {
    @Test("All are told of all, and then an idle mesh costs each of them the same, however many they are")
    func idle() {
        var costs: [Int] = []
        for count in [10, Extent.isLong ? 1_000 : 60] {
            var crowd = Crowd(count)
            let start = ContinuousClock.now
            crowd.run(for: .seconds(60))
            if Extent.isLong { print("\(count) members told: \(crowd.bytes) bytes, \(ContinuousClock.now - start)") }
            // Of each: membership, allowed IP, its own endpoint and the observed one, and that it is ours; and the
            // hub's own alive fact, endpoint and network. Nobody is told about itself but that it is a member.
            #expect(crowd.told.count == (count - 1) * 5 + 1 + 3)
            costs.append(crowd.idle() / count)
        }
        #expect(costs[0] == costs[1])
        // Each minute, each way: a delta with an alive fact, and its answer.
        #expect(costs[0] == 2 * (107 + 55))
    }

    @Test("A change costs each member one datagram and its answer")
    func change() {
        var crowd = Crowd(30)
        crowd.run(for: .seconds(40))
        crowd.datagrams = 0
        crowd.deliver(7, [Fact(key(7), .at("192.0.2.77:7"), 65534)])
        crowd.run(for: .milliseconds(100))
        // The delta of the one, and its answer; then a delta and an answer of all others.
        #expect(crowd.datagrams == 2 + 29 * 2)
        #expect(crowd.told[Fact(key(7), .at("192.0.2.77:7")).key] != nil)
        crowd.datagrams = 0
        crowd.deliver(7, [Fact(key(7), .at("192.0.2.77:7"), 0)])
        crowd.run(for: .milliseconds(100))
        #expect(crowd.datagrams == 2 + 29 * 2)
        #expect(crowd.told[Fact(key(7), .at("192.0.2.77:7")).key] == nil)
    }
}
