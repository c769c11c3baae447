import Foundation
import Glibc
import LinkLaboratory
import Surroundings
import Testing

/// Direct paths with the programs, real NATs and userspace WireGuard.
@Suite(.needsRoot, .serialized, .timeLimit(.minutes(60))) struct DirectPathTests {
    @Test func `two on one network`() throws {
        let mesh = try LinkMesh()
        let site = try mesh.laboratory.makeSite(.portRestricted)
        let (a, b) = (try site.makeHost("a"), try site.makeHost("b"))
        for host in [a, b] { try mesh.join(host) }
        for machine in [mesh.hub, a] { try mesh.start(machine) }
        try waitUntil("a knows the hub") { mesh.way(a, to: mesh.hub) == "hub" }
        try mesh.start(b)
        let time = try mesh.wait(a, b, for: "direct")
        print("figure: same LAN, direct after \(LinkMesh.text(time))")
        #expect(mesh.status(a, of: b)?["endpoint"] as? String == "\(b.address):51820")
        #expect(try a.reaches(mesh.address(of: b)))
    }

    /// Where there can be a direct path. Source: measured with these routers.
    private static func isPossible(_ one: LabNAT, _ other: LabNAT) -> Bool {
        switch (one, other) {
        case (.symmetric, .symmetric), (.symmetric, .portRestricted), (.portRestricted, .symmetric): false
        default: true
        }
    }

    private static let kinds: [LabNAT] = [.full, .restricted, .portRestricted, .symmetric]
    static let cells = kinds.flatMap { one in kinds.map { (one, $0) } }.filter { one, other in
        // The others are the same with the names exchanged: for those who have time.
        Extent.isLong || kinds.firstIndex(of: one)! <= kinds.firstIndex(of: other)!
    }

    @Test(arguments: cells) func `behind two NATs`(one: LabNAT, other: LabNAT) throws {
        let mesh = try LinkMesh()
        let a = try mesh.laboratory.makeHost("a", behind: one)
        let b = try mesh.laboratory.makeHost("b", behind: other)
        for host in [a, b] { try mesh.join(host) }
        for machine in [mesh.hub, a] { try mesh.start(machine) }
        try waitUntil("a knows the hub") { mesh.way(a, to: mesh.hub) == "hub" }
        let pings = try a.ping(mesh.address(of: b))
        try pings.wait(for: 20)
        try mesh.start(b)
        let way = Self.isPossible(one, other) ? "direct" : "relayed"
        let time = try mesh.wait(a, b, for: way)
        try pings.wait(for: 300)
        let count = pings.count()
        print(
            "figure: \(one) × \(other): \(way) after \(LinkMesh.text(time)), \(count.lost.count) of \(count.sent) pings "
                + "lost, longest gap \(count.longestGap)"
        )
        #expect(mesh.way(a, to: b) == way && mesh.way(b, to: a) == way)
    }

    /// Two hosts behind routers, with a direct path.
    private func pair(_ one: LabNAT, _ other: LabNAT, hasCables: Bool = false) throws -> (
        LinkMesh, LabMachine, LabMachine
    ) {
        let mesh = try LinkMesh()
        let a = try mesh.laboratory.makeHost("a", behind: one, hasCable: hasCables)
        let b = try mesh.laboratory.makeHost("b", behind: other, hasCable: hasCables)
        for host in [a, b] { try mesh.join(host) }
        for machine in [mesh.hub, a, b] { try mesh.start(machine) }
        try mesh.wait(a, b, for: "direct")
        return (mesh, a, b)
    }

    /// Seconds until a condition holds.
    private func seconds(until what: String, _ condition: () throws -> Bool) throws -> Double {
        let start = ContinuousClock.now
        try waitUntil(what, seconds: 90) { try condition() }
        let span = (ContinuousClock.now - start).components
        return Double(span.seconds) + Double(span.attoseconds) / 1e18
    }

    @Test func `a path that is cut silently is left for the relay, and taken again after its repair`() throws {
        let (mesh, a, b) = try pair(.portRestricted, .full)
        let pings = try a.ping(mesh.address(of: b))
        try pings.wait(for: 300)
        let before = pings.received
        try mesh.laboratory.cut(a, b)
        let failover = try mesh.wait(a, b, for: "relayed")
        try waitUntil("pings are answered again", seconds: 60) { pings.received > before + 300 }
        let cut = pings.count()
        let others = try a.ping(mesh.address(of: b))
        try others.wait(for: 100)
        try mesh.laboratory.repair(a, b)
        let back = try mesh.wait(a, b, for: "direct")
        try others.wait(for: 300)
        let after = others.count()
        print(
            "figure: cut: relayed after \(LinkMesh.text(failover)), \(cut.lost.count) lost at 100/s, longest gap \(cut.longestGap); direct "
                + "\(LinkMesh.text(back)) after the repair, \(after.lost.count) of \(after.sent) lost"
        )
        #expect(cut.lost.allSatisfy { $0 > 300 })
        #expect(after.lost.isEmpty, "lost on the way back")
    }

    @Test(arguments: ["stop", "kill", "stop hub", "kill hub"])
    func `what remains when a program ends`(how: String) throws {
        let (mesh, a, b) = try pair(.portRestricted, .portRestricted)
        let victim = how.hasSuffix("hub") ? mesh.hub : b
        let pings = try a.ping(mesh.address(of: b))
        try pings.wait(for: 200)
        let received = pings.received
        let program = try #require(mesh.program(of: victim))
        if how.hasPrefix("stop") {
            program.end(with: SIGTERM)
        } else {
            program.end(with: SIGKILL)
            // As systemd does after it.
            #expect(try mesh.run(victim, "clean", victim.interface).status == 0)
        }
        if victim === b {
            #expect(try b.peer(a) == nil)
            try waitUntil("a has no peer b", seconds: 60) { try a.peer(b) == nil }
        }
        try waitUntil("pings are answered again", seconds: 60) { pings.received > received + 300 }
        try pings.wait(for: 300)
        let count = pings.count()
        print("figure: \(how): \(count.lost.count) pings lost at 100/s, longest gap \(count.longestGap)")
        if victim === mesh.hub { #expect(mesh.way(a, to: b) == "direct" && count.lost.isEmpty) }
        #expect(count.longestGap < 1000)
    }

    @Test func `who was killed while nothing went on is answered through the hub`() throws {
        let (mesh, a, b) = try pair(.portRestricted, .portRestricted)
        let program = try #require(mesh.program(of: b))
        program.end(with: SIGKILL)
        // As systemd does after it.
        #expect(try mesh.run(b, "clean", b.interface).status == 0)
        let time = try seconds(until: "a answers through the hub") { try b.reaches(mesh.address(of: a)) }
        print("figure: killed without traffic, through the hub after \(LinkMesh.text(time))")
        #expect(time < 10)
        #expect(try a.peer(b) == nil)
    }

    @Test func `peers that somebody removes are made again`() throws {
        let (mesh, a, b) = try pair(.full, .full)
        try a.shell("wg set \(a.interface) peer \(b.publicKey) remove")
        try waitUntil("a has its peer again", seconds: 60) { try a.peer(b) != nil }
        try mesh.wait(a, b, for: "direct")
        #expect(try a.reaches(mesh.address(of: b)))
    }

    /// How often traffic of six pairs moves.
    private static let rounds = Extent.isLong ? 4 : 1

    private func count(_ pings: [LabPings]) -> (lost: [Int], late: Int) {
        let counts = pings.map { $0.count(patience: .seconds(1)) }
        return (counts.map(\.lost.count), counts.map(\.overtaken).reduce(0, +))
    }

    /// With a way of so many milliseconds from each router to the middle of the internet.
    @Test(arguments: [1, 50])
    func `nothing is lost when traffic moves from the hub to pairs, nor when a path becomes direct`(delay: Int) throws {
        let mesh = try LinkMesh()
        let kinds: [(String, LabNAT)] = [("a", .full), ("b", .portRestricted), ("c", .restricted), ("d", .full)]
        let hosts = try kinds.map { try mesh.laboratory.makeHost($0, behind: $1, hasCable: true) }
        for host in hosts { try mesh.join(host) }
        for host in hosts { try host.site?.cable?.delay(.milliseconds(delay)) }
        try mesh.start(mesh.hub)
        let pairs = hosts.indices.flatMap { one in hosts.indices.filter { $0 > one }.map { (hosts[one], hosts[$0]) } }
        var moved: [Int] = []
        var late = 0
        var direct: [Int] = []
        for _ in 0..<Self.rounds {
            let first = try pairs.map { try $0.ping(mesh.address(of: $1)) }
            for ping in first { try ping.wait(for: 20) }
            for host in hosts { try mesh.start(host, isTalkative: true) }
            for (one, other) in pairs { try mesh.wait(one, other, for: "direct", seconds: 90) }
            for ping in first { try ping.wait(for: 150) }
            let hub = count(first)
            moved += hub.lost
            late += hub.late
            for (one, other) in pairs { try mesh.laboratory.cut(one, other) }
            let carried = try pairs.map { try $0.ping(mesh.address(of: $1)) }
            for (one, other) in pairs { try mesh.wait(one, other, for: "relayed", seconds: 90) }
            let second = try pairs.map { try $0.ping(mesh.address(of: $1)) }
            for ping in second { try ping.wait(for: 20) }
            _ = count(carried)
            for (one, other) in pairs { try mesh.laboratory.repair(one, other) }
            for (one, other) in pairs { try mesh.wait(one, other, for: "direct", seconds: 90) }
            for ping in second { try ping.wait(for: 150) }
            direct += count(second).lost
            // Programs that have seen nothing fail do not wait before they use a path.
            for host in hosts { mesh.program(of: host)?.end(with: SIGTERM) }
        }
        let held = hosts.flatMap { mesh.holdTimes(of: $0) }.sorted()
        print("figure: \(delay) ms: held for \(held) ms")
        print(
            "figure: \(delay) ms: \(moved.count) times from the hub's tunnel to a pair, lost: \(moved), overtaken: \(late)"
        )
        print("figure: \(delay) ms: \(direct.count) times from the relay to the direct path, lost: \(direct)")
        #expect(moved.allSatisfy { $0 == 0 } && direct.allSatisfy { $0 == 0 })
        for host in hosts { #expect(mesh.program(of: host)?.output.contains("on their way are lost") == false) }
    }

    @Test(arguments: [false, true]) func `nothing is left of a hold whose keeper is killed`(isInitiator: Bool) throws {
        let mesh = try LinkMesh()
        let hosts = try ["a", "b"].map { try mesh.laboratory.makeHost($0, behind: .full, hasCable: true) }
        for host in hosts { try mesh.join(host) }
        for host in hosts { try host.site?.cable?.delay(.milliseconds(120)) }
        // The initiator has the lower key.
        let keys = hosts.map { Array(Data(base64Encoded: $0.publicKey) ?? Data()) }
        let victim = hosts[keys[0].lexicographicallyPrecedes(keys[1]) == isInitiator ? 0 : 1]
        let witness = hosts[victim === hosts[0] ? 1 : 0]
        try mesh.start(mesh.hub)
        let pings = try witness.ping(mesh.address(of: victim))
        try pings.wait(for: 20)
        for host in hosts { try mesh.start(host) }
        try waitUntil("packets are held", seconds: 60) {
            try victim.shell("nft list ruleset").output.contains("expires")
        }
        mesh.program(of: victim)?.end(with: SIGKILL)
        #expect(try !victim.shell("nft list ruleset; ip -o link").output.contains("kex"))
        #expect(try mesh.run(victim, "clean", victim.interface).status == 0)
        let received = pings.received
        try waitUntil("pings are answered again", seconds: 60) { pings.received > received + 200 }
        try pings.wait(for: 100)
        let count = pings.count()
        print("figure: killed while it holds: \(count.lost.count) pings lost at 100/s, longest gap \(count.longestGap)")
        #expect(count.longestGap < 600)
    }

    @Test(arguments: [1, 50]) func `a bulk transfer goes on while traffic moves to a pair`(delay: Int) throws {
        let mesh = try LinkMesh()
        let a = try mesh.laboratory.makeHost("a", behind: .full, hasCable: true)
        let b = try mesh.laboratory.makeHost("b", behind: .portRestricted, hasCable: true)
        for host in [a, b] { try mesh.join(host) }
        for host in [a, b] { try host.site?.cable?.delay(.milliseconds(delay)) }
        try mesh.start(mesh.hub)
        let pings = try a.ping(mesh.address(of: b), rate: 20)
        try pings.wait(for: 20)
        let roundTrip = pings.count().medianRoundTrip
        var stalls: [(before: Double, move: Double)] = []
        for _ in 0..<(Extent.isLong ? 5 : 1) {
            let transfer = try LabTransfer(from: a, to: b, at: mesh.address(of: b))
            try transfer.wait(seconds: 2)
            let before = transfer.longestGap
            transfer.forget()
            for host in [a, b] { try mesh.start(host, isTalkative: true) }
            try mesh.wait(a, b, for: "direct")
            try transfer.wait(seconds: 1)
            stalls.append((before, transfer.longestGap))
            let held = [a, b].compactMap { mesh.holdTimes(of: $0).last }
            print(
                "figure: \(delay) ms: TCP at \(transfer.rate) Mbit/s, round trip by the hub \(roundTrip) ms, held for \(held) "
                    + "ms, longest gap \(before) ms before and \(transfer.longestGap) ms in the move"
            )
            for host in [a, b] { mesh.program(of: host)?.end(with: SIGTERM) }
            try transfer.end()
        }
        // TCP waits for 200 ms at least before it sends something again. The machine has its own pauses.
        #expect(stalls.allSatisfy { $0.move < max(200, 3 * roundTrip) + $0.before })
    }

    /// Machines of the field among ours.
    @Test(arguments: [(true, false, true), (false, true, false), (false, true, true), (true, false, false)])
    func `with machines of the field`(isHubOurs: Bool, isAOurs: Bool, isBOurs: Bool) throws {
        let mesh = try LinkMesh()
        let a = try mesh.laboratory.makeHost("a", behind: .full)
        let b = try mesh.laboratory.makeHost("b", behind: .full)
        for host in [a, b] { try mesh.join(host) }
        for (machine, isOurs) in [(mesh.hub, isHubOurs), (a, isAOurs), (b, isBOurs)] {
            if isOurs { try mesh.start(machine) } else { try mesh.startPlain(machine) }
        }
        let pings = try a.ping(mesh.address(of: b))
        func hasMoved(_ machine: LabMachine, _ other: LabMachine) throws -> Bool {
            try machine.peer(other)?.allowedIPs.contains("\(mesh.address(of: other))/32") ?? false
        }
        let time = try seconds(until: "a and b have a direct path") { try hasMoved(a, b) && hasMoved(b, a) }
        try pings.wait(for: 300)
        let kinds = [isHubOurs, isAOurs, isBOurs].map { $0 ? "ours" : "plain" }
        print(
            "figure: hub \(kinds[0]), a \(kinds[1]), b \(kinds[2]): direct after \(LinkMesh.text(time)), "
                + "\(pings.count().lost.count) lost at 100/s"
        )
        #expect(try a.peer(b)?.endpoint == "\(b.publicAddress):51820")
        for machine in [mesh.hub, a, b] {
            let output = mesh.program(of: machine)?.output ?? ""
            for word in ["refused", "forged", "malformed"] { #expect(!output.contains(word), "\(output)") }
        }
    }
}
