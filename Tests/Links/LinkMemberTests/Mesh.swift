import LinkFacts
import LinkMessages
import NetworkAddresses
import Time
import WireGuardTypes

@testable import LinkMember

/// One machine of a ``Mesh``: what its program knows, and its device.
struct Machine {
    enum Program {
        case ours(FactExchange)
        case plain(PlainMember)
    }

    var program: Program
    var device: DeviceSnapshot
    var isRunning = true
    /// If it is a machine of ours that configures peers.
    var fieldPeers: FieldPeers?
    /// All that was changed of its peers.
    var changes: [PeerChange] = []
    var received = 0
    var receivedBytes = 0
    var notices: [LinkNotice] = []

    var exchange: FactExchange {
        get { if case .ours(let exchange) = program { exchange } else { fatalError("a machine of the field") } }
        set { program = .ours(newValue) }
    }

    var plain: PlainMember {
        if case .plain(let member) = program { member } else { fatalError("a machine of ours") }
    }
}

/// Machines with tunnels between them, in a time of their own. Tunnels may lose, delay and repeat datagrams.
struct Mesh {
    private struct Datagram {
        var at: MonotonicTime
        var message: FactMessage
        var from: PublicKey
        var to: PublicKey
        var number: Int
    }

    var now = beginning
    var machines: [PublicKey: Machine] = [:]
    /// Of a hundred datagrams.
    var lost = 0
    var repeated = 0
    /// At most, in milliseconds.
    var delay = 20
    var dice = Dice(seed: 11)
    /// Pairs of machines whose tunnel does not work.
    var cut: Set<Set<PublicKey>> = []
    private var sent = 0
    private var nextReading = beginning
    private var queue: [Datagram] = []
    /// How many seconds of the wall clock were stepped.
    var step: Int64 = 0

    mutating func addOurs(
        _ key: PublicKey,
        _ settings: LinkSettings = LinkSettings(),
        relays: Bool = false,
        at address: String
    ) {
        let exchange = FactExchange(settings: settings, relays: relays, at: now, using: &dice)
        add(key, .ours(exchange), at: address)
    }

    mutating func addPlain(_ key: PublicKey, isRouter: Bool? = nil, at address: String) {
        add(key, .plain(PlainMember(key: key, isRouter: isRouter, boot: dice.next(), at: now)), at: address)
    }

    private mutating func add(_ key: PublicKey, _ program: Machine.Program, at address: String) {
        let device = DeviceSnapshot(
            publicKey: key,
            listenPort: 51820,
            wallClock: wallClock,
            underlayAddresses: [underlay(address)]
        )
        machines[key] = Machine(program: program, device: device)
    }

    /// A machine starts again, with nothing in its memory.
    mutating func restart(_ key: PublicKey) {
        guard let machine = machines[key] else { return }
        switch machine.program {
        case .ours(let old):
            let exchange = FactExchange(
                settings: old.settings,
                relays: old.ours?.relays ?? false,
                at: now,
                using: &dice
            )
            machines[key]?.program = .ours(exchange)
        case .plain(let old):
            machines[key]?.program = .plain(
                PlainMember(key: key, isRouter: old.givenRouter, boot: dice.next(), at: now)
            )
        }
        read(key)
    }

    /// Makes the second machine a peer of the first.
    mutating func addPeer(_ other: PublicKey, to key: PublicKey, _ allowedIPs: [String], isMade: Bool = false) {
        let address = machines[other]?.device.underlayAddresses.first?.address.mapped
        let peer = Peer(
            publicKey: other,
            allowedIPs: allowedIPs.map { prefix($0) } + [other.memberAllowedIP],
            endpoint: address.map { address in
                address.mappedIPv4.map { .v4($0, port: 51820) } ?? .v6(address, port: 51820)
            }
        )
        machines[key]?.device.peers.append(peer)
        if isMade { machines[key]?.device.madePeers.insert(other) }
    }

    /// Whether packets of one machine reach the other.
    func works(_ one: PublicKey, _ other: PublicKey) -> Bool {
        guard let first = machines[one], let second = machines[other], !cut.contains([one, other]),
            let peer = first.device.peers.first(where: { $0.publicKey == other }),
            second.device.peers.contains(where: { $0.publicKey == one })
        else { return false }
        return peer.endpoint.map { second.endpoints.contains($0) } ?? false
    }

    /// Seconds of the wall clock now.
    var wall: Int64 { wallClock + (now - beginning).components.seconds + step }

    private mutating func read(_ key: PublicKey) {
        guard var machine = machines[key], machine.isRunning else { return }
        machine.device.wallClock = wall
        for index in machine.device.peers.indices {
            let other = machine.device.peers[index].publicKey
            let handshake = machine.device.peers[index].lastHandshake
            guard works(key, other), handshake.map({ abs(wall - $0) >= 120 }) ?? true else { continue }
            machine.device.peers[index].lastHandshake = wall
            // The other one sees where the packets come from.
            let (own, time) = (machine.endpoints.first, wall)
            guard let place = machines[other]?.device.peers.firstIndex(where: { $0.publicKey == key }) else { continue }
            machines[other]?.device.peers[place].lastHandshake = time
            machines[other]?.device.peers[place].endpoint = own
        }
        switch machine.program {
        case .ours(var exchange):
            exchange.take(machine.device, at: now)
            if var field = machine.fieldPeers {
                let (changes, pings) = field.changes(exchange, leaving: [], at: now)
                for change in changes { machine.device.apply(change) }
                for key in pings { exchange.ping(key, at: now) }
                machine.changes += changes
                machine.fieldPeers = field
                if !changes.isEmpty { exchange.take(machine.device, at: now) }
            }
            machine.program = .ours(exchange)
        case .plain(var member):
            member.device = machine.device
            machine.program = .plain(member)
        }
        machines[key] = machine
    }

    mutating func run(for duration: Duration) {
        let end = now + duration
        var steps = 0
        while true {
            let deadlines = machines.values.compactMap { machine -> MonotonicTime? in
                guard machine.isRunning else { return nil }
                switch machine.program {
                case .ours(let exchange): return exchange.nextDeadline
                case .plain(let member): return member.nextRound
                }
            }
            let next = [deadlines.min(), queue.first?.at, nextReading].compactMap(\.self).min()
            guard let next, next <= end else { break }
            steps += 1
            precondition(steps < 1_000_000, "time stands still at \(now), due at \(next), \(deadlines)")
            now = max(now, next)
            if nextReading <= now {
                for key in machines.keys.sorted() { read(key) }
                nextReading = now + .seconds(5)
            }
            while let first = queue.first, first.at <= now {
                queue.removeFirst()
                deliver(first)
            }
            for key in machines.keys.sorted() { send(key) }
        }
        now = end
    }

    private mutating func send(_ key: PublicKey) {
        guard var machine = machines[key], machine.isRunning else { return }
        var messages: [FactMessage] = []
        switch machine.program {
        case .ours(var exchange):
            guard let deadline = exchange.nextDeadline, deadline <= now else { return }
            messages = exchange.send(at: now, using: &dice)
            machine.notices += exchange.takeNotices()
            machine.program = .ours(exchange)
        case .plain(var member):
            guard member.nextRound <= now else { return }
            messages = member.round(at: now).map { .group($0.facts, to: $0.to) }
            machine.program = .plain(member)
        }
        machines[key] = machine
        for message in messages { carry(message, from: key) }
    }

    private mutating func carry(_ message: FactMessage, from key: PublicKey) {
        let other = message.receiver
        guard works(key, other) else { return }
        for _ in 0..<(Int(dice.next() % 100) < repeated ? 2 : 1) where Int(dice.next() % 100) >= lost {
            sent += 1
            let arrival = now + .milliseconds(Int64(dice.next() % UInt64(max(delay, 1))))
            let datagram = Datagram(at: arrival, message: message, from: key, to: other, number: sent)
            let place = queue.firstIndex { ($0.at, $0.number) > (datagram.at, datagram.number) } ?? queue.endIndex
            queue.insert(datagram, at: place)
        }
    }

    private mutating func deliver(_ datagram: Datagram) {
        guard var machine = machines[datagram.to], machine.isRunning else { return }
        machine.received += 1
        machine.receivedBytes += datagram.message.length
        switch (machine.program, datagram.message) {
        case (.ours(var exchange), .group(let bytes, _)):
            exchange.take((try? Fact.facts(in: bytes)) ?? [], from: datagram.from, at: now)
            machine.program = .ours(exchange)
        case (.ours(var exchange), .delta(let delta, _)):
            exchange.take(delta, from: datagram.from, at: now)
            machine.program = .ours(exchange)
        case (.ours(var exchange), .received(let sequence, _)):
            exchange.acknowledge(sequence, from: datagram.from, at: now)
            machine.program = .ours(exchange)
        case (.plain(var member), .group(let bytes, _)):
            member.take(bytes, from: datagram.from, at: now)
            machine.program = .plain(member)
        case (.plain, _): fatalError("the field does not understand this")
        }
        machines[datagram.to] = machine
    }

    /// What one machine knows of another.
    func view(_ other: PublicKey, at key: PublicKey) -> MemberView? { machines[key]?.exchange.member(other) }
}

extension Machine {
    /// Where it can be reached.
    var endpoints: [Endpoint] {
        device.underlayAddresses.map { address in
            switch address.address.address {
            case .v4(let v4): .v4(v4, port: device.listenPort)
            case .v6(let v6): .v6(v6, port: device.listenPort)
            }
        }
    }
}

extension DeviceSnapshot {
    /// As WireGuard does it.
    mutating func apply(_ change: PeerChange) {
        let place = peers.firstIndex { $0.publicKey == change.publicKey }
        switch change {
        case .remove:
            if let place { peers.remove(at: place) }
            madePeers.remove(change.publicKey)
        case .update(let settings), .add(let settings):
            if place == nil {
                guard case .add = change else { return }
                peers.append(Peer(publicKey: settings.publicKey))
                madePeers.insert(settings.publicKey)
            }
            guard let place = peers.firstIndex(where: { $0.publicKey == settings.publicKey }) else { return }
            for index in peers.indices where index != place {
                peers[index].allowedIPs.removeAll { settings.allowedIPs.contains($0) }
            }
            let kept = settings.replacesAllowedIPs ? [] : peers[place].allowedIPs
            peers[place].allowedIPs = kept + settings.allowedIPs.filter { !kept.contains($0) }
            if let endpoint = settings.endpoint { peers[place].endpoint = endpoint }
        }
    }
}

extension FactMessage {
    var receiver: PublicKey {
        switch self {
        case .group(_, let key), .delta(_, let key), .received(_, let key): key
        }
    }

    /// Bytes of the UDP payload.
    var length: Int {
        switch self {
        case .group(let facts, _): WireFormat.groupHead + facts.count
        case .delta(let delta, _): 2 + 24 + 8 + 1 + 4 + 1 + 16 + delta.facts.reduce(0) { $0 + $1.encodedLength }
        case .received: 2 + 24 + 8 + 1 + 4 + 16
        }
    }
}
