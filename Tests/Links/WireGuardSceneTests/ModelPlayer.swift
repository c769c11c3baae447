import LinkFacts
import NetworkAddresses
import Time
import VirtualNetwork
import WireGuardScenes
import WireGuardTypes

/// Plays a scene with two machines of the virtual network, on which no program runs.
final class ModelPlayer {
    private let mesh: VirtualMesh
    private var machines: [Scene.Machine: VirtualMachine] = [:]
    private var seconds: [Scene.Machine: Endpoint] = [:]
    private var arrivals: [Scene.Machine: [Int: MonotonicTime]] = [.a: [:], .b: [:]]
    private var last: [Scene.Machine: Int] = [:]
    private var sent = 0
    private var flows: [Scene.Machine: Int] = [.a: 0, .b: 0]
    private var isFlowing = true
    private var held: [Scene.Machine: [InnerPacket]] = [:]

    /// The number of a packet is in its first bytes; it goes to the address of the pair, or to the one behind the hub.
    private static let port: UInt16 = 7000

    init(_ player: Scene.Player, _ scene: Scene) {
        // The two are half a millisecond from the middle of the internet.
        mesh = VirtualMesh(hubDelay: .milliseconds(scene.hubDelay ?? 1) - .microseconds(500))
        mesh.hub.wireGuard.kind = player == .kernel ? .kernel : .userspace
        for machine in Scene.Machine.allCases {
            let new = mesh.machine(machine.rawValue, .none, delay: .microseconds(500))
            new.wireGuard.kind = mesh.hub.wireGuard.kind
            new.onPacket = { [unowned self] packet in
                guard packet.port == Self.port else { return }
                let number = packet.bytes.prefix(2).reduce(0) { $0 << 8 | Int($1) }
                if arrivals[machine]?[number] == nil { arrivals[machine]?[number] = mesh.clock.now }
            }
            machines[machine] = new
            seconds[machine] = new.addAddress(machine == .a ? "203.0.113.101" : "203.0.113.102")
        }
    }

    private func other(_ machine: Scene.Machine) -> VirtualMachine { machines[machine == .a ? .b : .a]! }

    /// Of the pair.
    private func address(_ machine: VirtualMachine) -> IPv6Address { machine.key.memberAddress }

    private func transmit(_ machine: Scene.Machine, _ number: Int, throughHub: Bool) {
        let (here, there) = (machines[machine]!, other(machine))
        let addresses =
            throughHub
            ? (IPv6Address(mapping: here.tunnelAddress), IPv6Address(mapping: there.tunnelAddress))
            : (address(here), address(there))
        let bytes = [UInt8(number >> 8), UInt8(number & 255)] + [UInt8](repeating: 0, count: 30)
        let packet = InnerPacket(from: addresses.0, to: addresses.1, port: Self.port, bytes: bytes)
        if throughHub, held[machine] != nil {
            held[machine]?.append(packet)
        } else {
            here.wireGuard.transmit(packet)
        }
    }

    private func play(_ step: Scene.Step) {
        switch step {
        case .set(let machine, let isRenewed, let place, let keepalive):
            let other = other(machine)
            let endpoint: Endpoint? =
                switch place {
                case nil: nil
                case .first: other.endpoint
                case .second: seconds[machine == .a ? .b : .a]
                case .dead: Endpoint("203.0.113.250:51820")
                }
            let peer = PeerSettings(
                publicKey: other.key,
                allowedIPs: [IPPrefix(host: address(other))],
                endpoint: endpoint,
                persistentKeepalive: keepalive.map(UInt16.init)
            )
            machines[machine]!.wireGuard.apply((isRenewed ? [.remove(other.key)] : []) + [.add(peer)])
        case .send(let machine):
            sent += 1
            last[machine] = sent
            transmit(machine, sent, throughHub: false)
        case .together(let steps): for step in steps { play(step) }
        case .wait(let milliseconds): mesh.clock.run(for: .milliseconds(milliseconds))
        case .hold(let machine): held[machine] = []
        case .move(let machine):
            let other = other(machine)
            let net = IPPrefix(.v4(other.tunnelAddress), length: 32)!
            machines[machine]!.wireGuard.apply([
                .update(PeerSettings(publicKey: other.key, allowedIPs: [net], replacesAllowedIPs: false))
            ])
        case .release(let machine):
            for packet in held.removeValue(forKey: machine) ?? [] { machines[machine]!.wireGuard.transmit(packet) }
        }
    }

    private func flow(_ machine: Scene.Machine) {
        guard isFlowing else { return }
        flows[machine]! += 1
        transmit(machine, 1000 + flows[machine]!, throughHub: true)
        mesh.clock.after(.milliseconds(10)) { [weak self] in self?.flow(machine) }
    }

    func play(_ scene: Scene) -> SceneResult {
        if scene.hubDelay != nil {
            for step: Scene.Step in [.set(.b, .first), .set(.a, .first), .send(.a)] { play(step) }
            for machine in Scene.Machine.allCases { flow(machine) }
            mesh.clock.run(for: .seconds(2))
        }
        let first = flows
        for step in scene.steps.dropLast() { play(step) }
        play(scene.steps.last!)
        switch scene.expectation {
        case .lost:
            let ends = flows
            isFlowing = false
            mesh.clock.run(for: .seconds(2))
            let lost = Scene.Machine.allCases.map { machine in
                let arrived = arrivals[machine == .a ? .b : .a]!
                return (first[machine]! + 1...ends[machine]!).count { arrived[1000 + $0] == nil }
            }
            return .lost(lost[0], lost[1])
        case .packet, .handshake:
            let isHandshake = if case .handshake = scene.expectation { true } else { false }
            let time = mesh.clock.run(upTo: .seconds(12)) {
                if isHandshake {
                    return machines[.a]!.wireGuard.state.contains {
                        $0.publicKey == other(.a).key && $0.lastHandshake != nil
                    }
                }
                return last.contains { machine, number in arrivals[machine == .a ? .b : .a]![number] != nil }
            }
            return .seen(seconds: time.map { Double($0.components.attoseconds) / 1e18 + Double($0.components.seconds) })
        }
    }
}
