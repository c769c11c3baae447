import LinkFacts
import NetworkAddresses
import Testing
import Time
import WireGuardTypes

@testable import LinkMember

@Suite("Peers for machines of the field") struct FieldPeersTests {
    /// A hub of the field, one leaf of the field that has a peer for us, and one machine of ours.
    private func mixed() -> Mesh {
        var mesh = star(leaves: 2, isHubOurs: false, plainLeaves: [2])
        mesh.machines[key(1)]?.fieldPeers = FieldPeers()
        mesh.addPeer(key(1), to: key(2), [])
        return mesh
    }

    @Test("A member gets a peer, a session, and then its allowed IPs")
    func grows() throws {
        var mesh = mixed()
        mesh.run(for: .seconds(40))
        let peer = try #require(mesh.machines[key(1)]?.device.peers.first { $0.publicKey == key(2) })
        #expect(peer.endpoint == endpoint("198.51.100.3:51820"))
        #expect(peer.allowedIPs == [key(2).memberAllowedIP, prefix("10.0.0.4/32")])
        let hub = try #require(mesh.machines[key(1)]?.device.peers.first { $0.publicKey == key(0) })
        #expect(hub.allowedIPs == [prefix("10.0.0.0/16"), key(0).memberAllowedIP])
        #expect(mesh.machines[key(2)]?.plain.isAlive(key(1), at: mesh.now) == true)
        #expect(mesh.machines[key(2)]?.plain.refused == 0)
    }
}
