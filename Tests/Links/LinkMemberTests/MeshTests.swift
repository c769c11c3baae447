import LinkFacts
import LinkMessages
import NetworkAddresses
import Testing
import Time
import WireGuardTypes

@testable import LinkMember

/// A hub and leaves that have only the hub as a peer.
func star(leaves: Int, isHubOurs: Bool = true, plainLeaves: Set<Int> = []) -> Mesh {
    var mesh = Mesh()
    if isHubOurs {
        mesh.addOurs(key(0), relays: true, at: "192.0.2.1/24")
    } else {
        mesh.addPlain(key(0), at: "192.0.2.1/24")
    }
    mesh.machines[key(0)]?.device.tunnelAddresses = [prefix("10.0.0.1/16")]
    for number in 1...leaves {
        let address = "198.51.\(100 + number / 200).\(number % 200 + 1)/16"
        if plainLeaves.contains(number) {
            mesh.addPlain(key(number), at: address)
        } else {
            mesh.addOurs(key(number), at: address)
        }
        mesh.machines[key(number)]?.device.tunnelAddresses = [prefix("10.0.\(number / 250).\(number % 250 + 2)/16")]
        mesh.addPeer(key(number), to: key(0), ["10.0.\(number / 250).\(number % 250 + 2)/32"])
        mesh.addPeer(key(0), to: key(number), ["10.0.0.0/16"])
    }
    return mesh
}

@Suite("A mesh of ours") struct OurMeshTests {
    @Test("All learn of each other from the hub, at once")
    func learns() throws {
        var mesh = star(leaves: 3)
        mesh.run(for: .seconds(2))
        for number in 1...3 {
            let exchange = try #require(mesh.machines[key(number)]?.exchange)
            #expect(exchange.members.map(\.key) == [0, 1, 2, 3].filter { $0 != number }.map { key($0) })
            #expect(!exchange.isRouter)
        }
        let view = try #require(mesh.view(key(2), at: key(1)))
        #expect(view.isMember)
        #expect(view.isCurrent)
        #expect(view.hubs == [key(0)])
        #expect(!view.isPeer)
        #expect(view.ours == mesh.machines[key(2)]?.exchange.ours)
        #expect(view.candidates == [CandidateEndpoint(endpoint("198.51.100.3:51820"), .own)])
        #expect(view.allowedIPs == [prefix("10.0.0.4/32")])
        let hub = try #require(mesh.view(key(0), at: key(1)))
        #expect(hub.isRouter && hub.isAlive && hub.isHealthy && !hub.isMade)
        #expect(hub.ours?.relays == true)
        #expect(mesh.machines[key(0)]?.exchange.isRouter == true)
    }
}
