import LinkFacts
import LinkMessages
import NetworkAddresses
import Testing
import Time
import WireGuardTypes

@testable import LinkMember

@Suite("Whatever others say") struct StormTests {
    private func statement(_ dice: inout Dice) -> Fact.Statement {
        let number = UInt8.random(in: 0...255, using: &dice)
        let high = UInt64.random(in: 0...UInt64.max, using: &dice)
        let port = UInt16(number)
        switch Int.random(in: 0..<8, using: &dice) {
        case 0: return .boot(number)
        case 1: return .alive(OurBoot(port: port, relays: number % 2 == 0, random: UInt64(number % 3)).bootID)
        case 2: return .endpoint(.v4(IPv4Address(value: UInt32(truncatingIfNeeded: high)), port: port))
        case 3: return .endpoint(.v6(IPv6Address(high: high, low: UInt64(number)), port: port))
        case 4:
            let address = IPv4Address(value: 10 << 24 | UInt32(truncatingIfNeeded: high) >> 8)
            return .allowedIP(IPPrefix(.v4(address), length: number % 33)!)
        case 5: return .allowedIP(IPPrefix(.v6(IPv6Address(high: high, low: 0)), length: number % 129)!)
        case 6: return .plainMember
        default: return .member(String(repeating: "\u{7}", count: Int(number)), isBasic: number % 2 == 0)
        }
    }

    @Test("Nothing breaks, and nothing grows over its limit", arguments: 0..<4)
    func storm(seed: Int) {
        var dice = Dice(seed: UInt64(seed))
        var stage = Stage(
            LinkSettings(isRouter: seed % 2 == 0 ? nil : true),
            [1: ["0.0.0.0/0", "::/0"], 2: ["10.0.0.0/9"], 3: ["10.0.0.3/32"], 4: ["+10.0.0.4/32"], 5: []]
        )
        var field = FieldPeers()
        for _ in 0..<600 {
            let source = key(Int.random(in: 1...6, using: &dice))
            let facts = (0..<Int.random(in: 0...9, using: &dice)).map { _ in
                let times: [UInt16] = [0, 1, 5, 255, 9_000, 65_532, 65_533, 65_534, 65_535]
                return Fact(
                    key(Int.random(in: 0...30, using: &dice)),
                    statement(&dice),
                    times.randomElement(using: &dice)!
                )
            }
            switch Int.random(in: 0..<10, using: &dice) {
            case 0..<4: stage.exchange.take(facts, from: source, at: stage.now)
            case 4..<8:
                let sequence = ([0, 1, 2, 3, 4, 70, .max] as [UInt32]).randomElement(using: &dice)!
                let delta = FactDelta(
                    sequence: sequence,
                    isFirst: Int.random(in: 0..<4, using: &dice) == 0,
                    facts: facts
                )
                stage.exchange.take(delta, from: source, at: stage.now)
            case 8: stage.exchange.acknowledge(.random(in: 0...9, using: &dice), from: source, at: stage.now)
            default:
                stage.device.wallClock = .random(in: .min ... .max, using: &dice)
                for index in stage.device.peers.indices {
                    stage.device.peers[index].lastHandshake = [nil, .min, .max, 0, wallClock].randomElement(
                        using: &dice
                    )!
                }
                stage.exchange.take(stage.device, at: stage.now)
            }
            for change in field.changes(stage.exchange, leaving: [], at: stage.now).changes {
                stage.device.apply(change)
            }
            stage.now = stage.now + .milliseconds(.random(in: 0...900, using: &dice))
            for message in stage.exchange.send(at: stage.now, using: &stage.dice) {
                if case .group(let bytes, _) = message { #expect(bytes.count <= WireFormat.maximumGroup) }
                if case .delta(let delta, _) = message {
                    #expect(delta.facts.reduce(0) { $0 + $1.encodedLength } <= LinkMessage.maximumFacts)
                }
            }
        }
        for view in stage.exchange.members {
            #expect(view.candidates.count <= FactLimits.endpoints + 5 + FactLimits.endpointsOfClaimant)
        }
        // What is granted overlaps nothing of another.
        let granted = stage.exchange.book.allowedIPs.granted.flatMap { owner, prefixes in prefixes.map { ($0, owner) } }
        for (one, owner) in granted {
            #expect(!granted.contains { $0.1 != owner && ($0.0.contains(one) || one.contains($0.0)) })
        }
        #expect(stage.exchange.claims.subjects.count <= 31)
    }
}
