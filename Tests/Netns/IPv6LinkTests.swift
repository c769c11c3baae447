import Glibc
import LinkLaboratory
import Surroundings
import Testing

/// Direct links where the internet is IPv6.
@Suite(.needsRoot, .serialized, .timeLimit(.minutes(60))) struct IPv6LinkTests {
    /// A hub and two hosts, each with these families outside of the tunnel.
    private func mesh(hub: [Int], a: [Int], b: [Int]) throws -> (LinkMesh, LabMachine, LabMachine) {
        let mesh = try LinkMesh(hasIPv6: true)
        let hosts = try ["a", "b"].map { try mesh.laboratory.makeHost($0, behind: .portRestricted) }
        for host in hosts { try mesh.join(host) }
        for (machine, families) in zip([mesh.hub] + hosts, [hub, a, b]) {
            if !families.contains(4) { try machine.shell("ip -4 address flush dev eth0") }
            if !families.contains(6) { try machine.shell("ip -6 address flush dev eth0") }
            guard machine !== mesh.hub, families.contains(6) else { continue }
            let endpoint = "[\(mesh.hub.address6 ?? "")]:\(mesh.hub.port)"
            try machine.shell("wg set \(machine.interface) peer \(mesh.hub.publicKey) endpoint \(endpoint)")
        }
        for machine in [mesh.hub] + hosts { try mesh.start(machine) }
        return (mesh, hosts[0], hosts[1])
    }

    @Test func `direct, cut, relayed and direct again, all of it over IPv6`() throws {
        let (mesh, a, b) = try mesh(hub: [6], a: [6], b: [6])
        let time = try mesh.wait(a, b, for: "direct")
        #expect(mesh.status(a, of: b)?["endpoint"] as? String == "[\(b.address6 ?? "")]:51820")
        let pings = try a.ping(mesh.address(of: b))
        try pings.wait(for: 100)
        let before = pings.received
        try mesh.laboratory.cut(a, b)
        try mesh.wait(a, b, for: "relayed")
        try waitUntil("pings are answered again", seconds: 60) { pings.received > before + 200 }
        let cut = pings.count()
        let others = try a.ping(mesh.address(of: b))
        try others.wait(for: 50)
        try mesh.laboratory.repair(a, b)
        let back = try mesh.wait(a, b, for: "direct")
        try others.wait(for: 100)
        let after = others.count()
        print(
            "figure: IPv6: direct after \(LinkMesh.text(time)), \(cut.longestGap) pings lost by the cut, direct "
                + "\(LinkMesh.text(back)) after the repair, \(after.lost.count) of \(after.sent) lost"
        )
        #expect(after.lost.isEmpty)
    }

    @Test func `one of two has no IPv6`() throws {
        let (mesh, a, b) = try mesh(hub: [4, 6], a: [4, 6], b: [4])
        try mesh.wait(a, b, for: "direct")
        #expect(mesh.status(a, of: b)?["endpoint"] as? String == "\(b.publicAddress):51820")
        #expect(try a.reaches(mesh.address(of: b)))
    }

    /// The hub's relay is where the two families meet.
    @Test func `one has only IPv6, and the other only IPv4`() throws {
        let (mesh, a, b) = try mesh(hub: [4, 6], a: [6], b: [4])
        let pings = try a.ping(mesh.address(of: b))
        let time = try mesh.wait(a, b, for: "relayed")
        try pings.wait(for: 200)
        let count = pings.count()
        print("figure: IPv6 and IPv4: relayed after \(LinkMesh.text(time)), \(count.lost.count) of \(count.sent) lost")
        #expect(mesh.way(a, to: b) == "relayed" && mesh.way(b, to: a) == "relayed")
    }
}
