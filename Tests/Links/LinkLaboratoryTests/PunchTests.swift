import LinkLaboratory
import NetworkAddresses
import PathProbe
import Surroundings
import Testing
import Time
import WireGuardTypes

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

    @Test func `go through two routers that let nobody in unasked, over IPv6`() throws {
        let laboratory = try LinkLaboratory(hasIPv6: true)
        let machines = try ["a", "b"].map { try laboratory.makeHost($0, behind: .portRestricted) }
        let nodes = try machines.map { try Node(on: $0, family: .v6) }
        try nodes[0].meet(nodes[1])
        try nodes[1].meet(nodes[0])
        func place(_ index: Int) throws -> PathCandidate {
            PathCandidate(Endpoint("[\(try #require(machines[index].address6))]:\(Node.port)")!, isNear: false)
        }
        nodes[0].offer(nodes[1], [try place(1)])
        // The first one asks alone for a while: nothing comes through.
        #expect(try run(nodes, for: .milliseconds(500)) { nodes[0].best(to: nodes[1]) != nil } == nil)
        nodes[1].offer(nodes[0], [try place(0)])
        let time = try run(nodes, for: .seconds(2)) {
            nodes[0].best(to: nodes[1]) != nil && nodes[1].best(to: nodes[0]) != nil
        }
        #expect(try #require(time) < .milliseconds(600))
        #expect(try nodes[0].best(to: nodes[1])?.observed == place(0).endpoint)
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
