import Keys
import LinkFacts
import LinkMessages
import NetworkAddresses
import PathProbe
import Time
import VirtualNetwork
import WireGuardTypes

@testable import LinkMember

/// Somebody who has taken a member over: its key, its sessions, and all that its program knew.
final class Hostile {
    let machine: VirtualMachine
    let mesh: VirtualMesh
    private var own: LinkMember.Own
    private let boot: UInt64
    private var dice = Dice(seed: 4711)
    private var recorded: [PublicKey: [[UInt8]]] = [:]
    private var recordedProbes: [[UInt8]] = []
    private(set) var count = 0
    /// Where probes came from that were sent by nobody there.
    private(set) var forgedSources: [Endpoint] = []
    private var isOver = false

    /// An address that never answers, which is named again and again.
    static let victim = Endpoint("192.0.2.7:51820")!

    init?(_ machine: VirtualMachine, in mesh: VirtualMesh) {
        guard let member = machine.seize(), let own = member.own else { return nil }
        self.machine = machine
        self.mesh = mesh
        self.own = own
        boot = member.boot
    }

    func stop() { isOver = true }

    /// Sends something at a rate, to each target in turn.
    func storm(each interval: Duration, against targets: [VirtualMachine], _ kinds: [Kind] = Kind.allCases) {
        guard !isOver else { return }
        let target = targets[count % targets.count]
        send(kinds[count / targets.count % kinds.count], to: target)
        count += 1
        mesh.clock.after(interval) { [self] in storm(each: interval, against: targets, kinds) }
    }

    enum Kind: CaseIterable {
        case calls, victims, facts, deltas, forged, replay, replayedProbe, boots, wanted, forwarded, probes, spoofed
        case back, move, moved, ready, echo
    }

    private func invented() -> Endpoint {
        let number = dice.next()
        return .v4(
            IPv4Address(value: 0x0B00_0000 | UInt32(truncatingIfNeeded: number) & 0x00FF_FFFF),
            port: UInt16(truncatingIfNeeded: number >> 32) | 1
        )
    }

    private func call(_ endpoints: [Endpoint]) -> LinkMessage {
        .call(Call(wantsAnswer: true, factsPort: 7, candidates: endpoints.map { Call.Candidate(.observed, $0) }))
    }

    private func say(_ message: LinkMessage, to target: VirtualMachine) {
        guard let bytes = own.sealers[target.key]?.seal(message, using: &dice) else { return }
        if recorded[target.key, default: []].count < 100 { recorded[target.key, default: []].append(bytes) }
        machine.sendFacts(bytes, to: target)
    }

    private func request(to target: VirtualMachine) -> [UInt8]? {
        own.table.request(to: target.key, at: nil, now: mesh.clock.now)?.datagram
    }

    private func facts() -> [Fact] {
        mesh.machines.flatMap { other in
            [
                Fact(other.key, .endpoint(invented())), Fact(other.key, .member),
                Fact(other.key, .allowedIP(IPPrefix(.v4(mesh.hub.tunnelAddress), length: 32)!)),
            ]
        } + [Fact(key(Int(dice.next() % 10_000)), .endpoint(invented()))]
    }

    func send(_ kind: Kind, to target: VirtualMachine) {
        switch kind {
        case .calls: say(call((0..<32).map { _ in invented() }), to: target)
        case .victims: say(call([Self.victim] + (1..<32).map { _ in invented() }), to: target)
        case .facts:
            guard let groups = try? own.signer.datagram(of: bytes(facts().prefix(8)), for: target.key, using: &dice)
            else { return }
            machine.sendFacts(groups, to: target)
        case .deltas:
            let delta = FactDelta(
                sequence: UInt32(truncatingIfNeeded: dice.next()),
                isFirst: dice.next() % 4 == 0,
                facts: Array(facts().prefix(8))
            )
            say(.facts(delta), to: target)
        case .forged:
            guard var bytes = own.sealers[target.key]?.seal(.echo(1, isAnswer: false), using: &dice) else { return }
            bytes[bytes.count - 1] ^= 1
            machine.sendFacts(bytes, to: target)
        case .replay:
            for bytes in recorded[target.key]?.prefix(3) ?? [] { machine.sendFacts(bytes, to: target) }
        case .replayedProbe:
            for bytes in recordedProbes.prefix(3) { machine.sendProbe(bytes, from: invented(), to: target) }
        case .boots:
            guard let secret = try? machine.privateKey.sharedSecret(with: target.key) else { return }
            var sealer = MessageSealer(secret: secret, own: machine.key, other: target.key, boot: dice.next())
            machine.sendFacts(sealer.seal(.switching(.ready), using: &dice), to: target)
            // Goes on with the number that it had, so that the rest is read.
            machine.sendFacts(sealer.seal(call([invented()]), using: &dice), to: target)
            own.sealers[target.key] = sealer
        case .wanted:
            for other in mesh.machines.prefix(3) { say(.relayWanted(other.key), to: target) }
            say(.relayWanted(key(Int(dice.next() % 10_000))), to: target)
        case .forwarded:
            for other in mesh.machines where other !== machine {
                let word = dice.next() % 4 == 0 ? LinkMessage.switching(.drained) : call([invented()])
                guard let inner = own.sealers[other.key]?.seal(word, using: &dice) else { continue }
                say(.forward(other.key, inner), to: target)
            }
        case .probes:
            guard let bytes = request(to: target) else { return }
            if recordedProbes.count < 100 { recordedProbes.append(bytes) }
            machine.sendProbe(bytes, from: machine.endpoint, to: target)
        case .spoofed:
            guard let bytes = request(to: target) else { return }
            forgedSources.append(invented())
            machine.sendProbe(bytes, from: forgedSources[forgedSources.count - 1], to: target)
        case .back: say(.switching(.back), to: target)
        case .move: say(.switching(dice.next() % 2 == 0 ? .move : .settled), to: target)
        case .moved: say(.switching(.moved), to: target)
        case .ready: say(.switching(.ready), to: target)
        case .echo: say(.echo(dice.next(), isAnswer: false), to: target)
        }
    }

    private func bytes(_ facts: some Sequence<Fact>) -> [UInt8] {
        var groups = FactGroups()
        for fact in facts { groups.append(fact) }
        return groups.groups.first ?? []
    }
}
