import Foundation
import Glibc
import LinkLaboratory
import Surroundings
import Testing

/// Direct paths with the programs, real NATs and userspace WireGuard.
@Suite(.needsRoot, .serialized, .timeLimit(.minutes(20))) struct DirectPathTests {
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
}
