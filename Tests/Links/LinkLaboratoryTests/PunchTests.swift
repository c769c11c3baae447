import Glibc
import Keys
import LinkLaboratory
import NetworkAddresses
import PathProbe
import Surroundings
import SystemCalls
import SystemPackage
import Testing
import Time
import WireGuardTypes

/// A machine that probes from a port that somebody else has.
private final class Node {
    let machine: LabMachine
    let key: PublicKey
    private let privateKey = PrivateKey()
    static let port: UInt16 = 51820
    /// In WireGuard's place.
    private let owner: OwnedDescriptor
    private var raw: RawSocket
    private var table: ProbeTable
    private var probers: [PublicKey: PathProber] = [:]
    private var observations = MappingObservations()
    private(set) var sent = 0

    init(on machine: LabMachine) throws {
        self.machine = machine
        key = privateKey.publicKey
        let (port, family) = (Self.port, RawSocket.Family.v4)
        let owner = try machine.inside { try Socket.datagrams(at: Endpoint("0.0.0.0:\(port)")!) }
        let descriptor = try machine.inside { try RawSocket.open(family, port: port, mark: 0) }
        let finder = try machine.inside { try RawSocket.openSourceFinder(mark: 0) }
        self.owner = owner
        raw = RawSocket(descriptor, family, port: port, sources: finder)
        table = ProbeTable(own: key, boot: .random(in: 1 ... .max))
    }

    func meet(_ other: Node) throws {
        #expect(table.add(other.key, secret: try privateKey.sharedSecret(with: other.key)))
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
private func run(_ nodes: [Node], for duration: Duration, until condition: () -> Bool) throws -> Duration? {
    let start = MonotonicTime.now
    while MonotonicTime.now - start < duration {
        for node in nodes { try node.step() }
        if condition() { return .now - start }
        usleep(1000)
    }
    return nil
}

@Suite(.needsRoot, .serialized) struct `Ways through routers` {
    private static let kinds: [LabNAT] = [.open, .firewall, .full, .restricted, .portRestricted, .symmetric, .blocked]

    @Test func `are found where there are any, and what stands between is told`() throws {
        let laboratory = try LinkLaboratory()
        let hubs = try ["first", "second"].map { try Node(on: laboratory.makeHub($0)) }
        let sides = try (0..<2).map { side in
            try Self.kinds.map { try Node(on: laboratory.makeHost("\($0)\(side)", behind: $0)) }
        }
        for (first, kind) in Self.kinds.enumerated() {
            for second in first..<Self.kinds.count {
                let (a, b, other) = (sides[0][first], sides[1][second], Self.kinds[second])
                try laboratory.flush()
                let all = hubs + [a, b]
                for node in [a, b] {
                    node.forget()
                    for hub in hubs {
                        try node.meet(hub)
                        try hub.meet(node)
                        node.offer(
                            hub,
                            [PathCandidate(Endpoint("\(hub.machine.address):\(Node.port)")!, isNear: false)]
                        )
                    }
                }
                try a.meet(b)
                try b.meet(a)
                try run(all, for: .seconds(1)) {
                    [a, b].allSatisfy { node in hubs.allSatisfy { node.best(to: $0) != nil } }
                }
                try check(a.mapping, kind, a.machine)
                try check(b.mapping, other, b.machine)
                a.offer(b, b.places)
                b.offer(a, a.places)
                let time = try run(all, for: .seconds(2)) { a.best(to: b) != nil && b.best(to: a) != nil }
                #expect((time != nil) == Self.isPossible(kind, other), "\(kind) and \(other)")
                // Twice the time between two requests, and what a busy machine takes.
                if let time { #expect(time < .milliseconds(600), "\(kind) and \(other)") }
            }
        }
    }

    private func check(_ mapping: Mapping, _ kind: LabNAT, _ machine: LabMachine) throws {
        switch kind {
        case .open, .firewall: #expect(mapping == .none)
        case .full, .restricted, .portRestricted:
            #expect(mapping == .one(Endpoint("\(machine.publicAddress):\(Node.port)")!))
        case .symmetric: #expect(mapping == .forEachDestination)
        case .blocked: #expect(mapping == .unknown)
        }
    }

    private static func isPossible(_ first: LabNAT, _ second: LabNAT) -> Bool {
        if first == .blocked || second == .blocked { return false }
        let strict: Set<LabNAT> = [.firewall, .portRestricted, .symmetric]
        return !(first == .symmetric && strict.contains(second) || second == .symmetric && strict.contains(first))
    }

    @Test func `lead over the network in common when there is one`() throws {
        let laboratory = try LinkLaboratory()
        let site = try laboratory.makeSite(.portRestricted)
        let (a, b) = (try Node(on: site.makeHost("a")), try Node(on: site.makeHost("b")))
        try a.meet(b)
        try b.meet(a)
        let stranger = PathCandidate(Endpoint("198.51.100.101:51820")!, isNear: false)
        a.offer(b, [stranger, PathCandidate(b.places[0].endpoint, isNear: true)])
        b.offer(a, [stranger, PathCandidate(a.places[0].endpoint, isNear: true)])
        let time = try run([a, b], for: .seconds(2)) { a.best(to: b) != nil && b.best(to: a) != nil }
        #expect(time != nil && a.best(to: b)?.candidate.endpoint == b.places[0].endpoint)
        try site.separateHosts()
        try run([a, b], for: .seconds(20)) { a.best(to: b) == nil && b.best(to: a) == nil }
        #expect(a.best(to: b) == nil && b.best(to: a) == nil)
        try site.separateHosts(false)
        let again = try run([a, b], for: .seconds(20)) { a.best(to: b) != nil && b.best(to: a) != nil }
        #expect(again != nil)
    }
}
