import Glibc
import Keys
import LinkLaboratory
import NetworkAddresses
import PathProbe
import SystemCalls
import SystemPackage
import Testing
import Time
import WireGuardTypes

/// A machine that probes from a port that somebody else has.
final class Node {
    let machine: LabMachine
    let key: PublicKey
    private let privateKey: PrivateKey
    static let port: UInt16 = 51820
    /// In WireGuard's place.
    private let owner: OwnedDescriptor?
    private var raw: RawSocket
    var table: ProbeTable
    private(set) var probers: [PublicKey: PathProber] = [:]
    private var observations = MappingObservations()
    private(set) var sent = 0

    /// - Parameter hasWireGuard: whether the machine has WireGuard at the port, whose key it shares.
    init(on machine: LabMachine, hasWireGuard: Bool = false, family: RawSocket.Family = .v4) throws {
        self.machine = machine
        privateKey = hasWireGuard ? PrivateKey(text: machine.privateKey)! : PrivateKey()
        key = privateKey.publicKey
        let port = Self.port
        let any = family == .v4 ? "0.0.0.0" : "[::]"
        if hasWireGuard {
            owner = nil
        } else {
            owner = try machine.inside { try Socket.datagrams(at: Endpoint("\(any):\(port)")!) }
        }
        let descriptor = try machine.inside { try RawSocket.open(family, port: port, mark: 0) }
        let finder = try machine.inside { try RawSocket.openSourceFinder(mark: 0) }
        raw = RawSocket(descriptor, family, port: port, sources: finder)
        table = ProbeTable(own: key, boot: .random(in: 1 ... .max))
    }

    func meet(_ other: Node) throws {
        #expect(table.add(other.key, secret: try privateKey.sharedSecret(with: other.key)))
    }

    /// What is sent to the place no longer arrives.
    func distrust(_ other: Node) {
        for path in probers[other.key]?.paths ?? [] { probers[other.key]?.distrust(path.candidate.endpoint, at: .now) }
    }

    /// Names places of another machine.
    func offer(_ other: Node, _ places: [PathCandidate]) {
        var prober = PathProber(other.key)
        prober.offer(places, at: .now)
        probers[other.key] = prober
    }

    func forget() {
        probers = [:]
        observations.forget()
    }

    func best(to other: Node) -> Path? { probers[other.key]?.best(at: .now) }

    /// Where others see this machine, and where it is itself.
    var places: [PathCandidate] {
        let seen = observations.places(at: .now).prefix(1).map { PathCandidate($0, isNear: false) }
        let own = PathCandidate(Endpoint("\(machine.address):\(Self.port)")!, isNear: false)
        return seen + (seen.contains(own) ? [] : [own])
    }

    var mapping: Mapping {
        observations.mapping(own: [IPv4Address(machine.address)!], port: Self.port, at: .now)
    }

    /// Does what is to be done now.
    func step() throws {
        let now = MonotonicTime.now
        for packet in try raw.receive() {
            switch try? table.read(packet.payload.span, from: packet.source, at: now) {
            case .request(let other, let answer)?:
                if let answer { _ = try raw.send(answer, to: packet.source) }
                probers[other]?.heard(from: PathCandidate(packet.source, isNear: false), at: now)
            case .answer(let other, let counter, let observed)?:
                _ = probers[other]?.answered(counter, from: packet.source, observed: observed, at: now)
                if let observed { observations.note(observed, by: packet.source, at: now) }
            case nil: Issue.record("refused")
            }
        }
        _ = try raw.failures()
        for other in probers.keys {
            for item in probers[other]?.due(using: &table, isAsked: true, at: now) ?? [] {
                _ = try? raw.send(item.datagram, to: item.destination)
                sent += 1
            }
        }
    }
}

/// Lets machines work until something holds.
///
/// - Returns: how long it took, `nil` if it did not come to be.
@discardableResult
func run(_ nodes: [Node], for duration: Duration, until condition: () -> Bool) throws -> Duration? {
    let start = MonotonicTime.now
    while MonotonicTime.now - start < duration {
        for node in nodes { try node.step() }
        if condition() { return .now - start }
        usleep(1000)
    }
    return nil
}
