import LinkFacts
import LinkMessages
import NetworkAddresses
import Time
import WireGuardTypes

@testable import LinkMember

/// One machine, and others that are played.
struct Stage {
    var exchange: FactExchange
    var device: DeviceSnapshot
    var dice = Dice(seed: 5)
    var now = beginning

    /// - Parameter peers: what each peer may send from, by number; one that begins with `+` was made by the program.
    init(_ settings: LinkSettings = LinkSettings(), _ peers: [Int: [String]], hasSessions: Bool = true) {
        exchange = FactExchange(settings: settings, relays: false, at: now, using: &dice) { $0.memberAddress }
        device = DeviceSnapshot(
            publicKey: key(0),
            listenPort: 51820,
            wallClock: wallClock,
            tunnelAddresses: [prefix("10.0.0.1/24")],
            underlayAddresses: [underlay("192.0.2.1/24")]
        )
        for (number, allowedIPs) in peers.sorted(by: { $0.key < $1.key }) {
            device.peers.append(
                Peer(
                    publicKey: key(number),
                    allowedIPs: allowedIPs.map { prefix($0.first == "+" ? String($0.dropFirst()) : $0) },
                    endpoint: endpoint("198.51.100.\(number):7"),
                    lastHandshake: hasSessions ? wallClock : nil
                )
            )
            if allowedIPs.contains(where: { $0.first == "+" }) { device.madePeers.insert(key(number)) }
        }
        exchange.take(device, at: now)
    }

    init(_ peers: [Int: [String]]) { self.init(LinkSettings(), peers) }

    mutating func read() {
        device.wallClock = wallClock + (now - beginning).components.seconds
        exchange.take(device, at: now)
    }

    mutating func say(_ source: Int, _ facts: [Fact]) { exchange.take(facts, from: key(source), at: now) }

    mutating func say(_ source: Int, _ subject: Int, _ statement: Fact.Statement, _ seconds: UInt16 = 255) {
        say(source, [Fact(key(subject), statement, seconds)])
    }

    /// The peers begin to speak, as machines of the field.
    mutating func start(_ sources: Int...) {
        for source in sources { say(source, source, .boot(UInt8(source))) }
    }

    mutating func wait(_ seconds: Int64) {
        now = now + .seconds(seconds)
    }

    /// What is sent to a peer now, without alive facts, and whether there was one.
    mutating func sent() -> [Int: (facts: [Fact], isPinged: Bool, datagrams: Int)] {
        var result: [Int: (facts: [Fact], isPinged: Bool, datagrams: Int)] = [:]
        for message in exchange.send(at: now, using: &dice) {
            guard case .group(let bytes, let receiver) = message else { continue }
            let facts = (try? Fact.facts(in: bytes)) ?? []
            var entry = result[Int(receiver.bytes[2])] ?? ([], false, 0)
            entry.datagrams += 1
            for fact in facts {
                if case .alive = fact.statement { entry.isPinged = true } else { entry.facts.append(fact) }
            }
            result[Int(receiver.bytes[2])] = entry
        }
        return result
    }

    /// The starts of this machine that are told now, in groups.
    mutating func sentBoots() -> Set<BootID> {
        let facts = exchange.send(at: now, using: &dice).flatMap { message -> [Fact] in
            if case .group(let bytes, _) = message { (try? Fact.facts(in: bytes)) ?? [] } else { [] }
        }
        return Set(facts.compactMap { if case .alive(let boot) = $0.statement { boot } else { nil } })
    }

    func view(_ number: Int) -> MemberView? { exchange.member(key(number)) }

    func endpoints(_ number: Int) -> Set<Endpoint> { Set(view(number)?.candidates.map(\.endpoint) ?? []) }
}
