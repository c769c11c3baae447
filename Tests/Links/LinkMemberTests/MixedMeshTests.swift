import LinkFacts
import NetworkAddresses
import Testing
import Time
import WireGuardTypes

@testable import LinkMember

@Suite("A mesh with machines of the field") struct MixedMeshTests {
    @Test("A hub of ours tells them what a hub of the field would")
    func ourHub() throws {
        var mesh = star(leaves: 3, plainLeaves: [1, 2])
        mesh.run(for: .seconds(30))
        for number in 1...2 {
            let plain = try #require(mesh.machines[key(number)]?.plain)
            #expect(plain.refused == 0)
            #expect(plain.isAlive(key(0), at: mesh.now))
            for other in 1...3 where other != number {
                #expect(plain.knows(key(other), .member))
                #expect(plain.knows(key(other), .from("10.0.0.\(other + 2)/32")))
                #expect(plain.knows(key(other), .at("198.51.100.\(other + 1):51820")))
            }
            #expect(plain.knows(key(0), .at("192.0.2.1:51820")))
            #expect(plain.knows(key(0), .from("10.0.0.0/16")))
        }
        // The machine of ours knows them as members, and that they are not ours.
        let view = try #require(mesh.view(key(2), at: key(3)))
        #expect(view.isMember && view.ours == nil)
        #expect(view.candidates == [CandidateEndpoint(endpoint("198.51.100.3:51820"), .own)])
    }

    @Test("What the field knows never ends while all are there", arguments: [0, 10])
    func refresh(lost: Int) throws {
        var mesh = star(leaves: 2, plainLeaves: [1])
        mesh.lost = lost
        mesh.run(for: .seconds(60))
        var good = 0
        for _ in 0..<60 {
            mesh.run(for: .seconds(10))
            let plain = try #require(mesh.machines[key(1)]?.plain)
            if plain.knows(key(2), .member), plain.knows(key(2), .at("198.51.100.3:51820")) { good += 1 }
            #expect(plain.isAlive(key(0), at: mesh.now))
            // And we know them.
            #expect(mesh.view(key(1), at: key(0))?.isAlive == true)
        }
        // The field does not say what it has, and forgets what was lost twice.
        #expect(good >= (lost == 0 ? 60 : 50))
    }

    @Test("Who goes away is forgotten by the field, and here")
    func away() throws {
        var mesh = star(leaves: 3, plainLeaves: [1])
        mesh.run(for: .seconds(60))
        mesh.machines[key(2)]?.isRunning = false
        mesh.cut = [[key(0), key(2)]]
        mesh.run(for: .seconds(240))
        #expect(mesh.machines[key(1)]?.plain.knows(key(2), .member) == true)
        mesh.run(for: .seconds(300))
        #expect(mesh.machines[key(1)]?.plain.knows(key(2), .member) == false)
        #expect(mesh.view(key(2), at: key(3)) == nil)
    }

    @Test("A machine of ours among machines of the field")
    func plainHub() throws {
        var mesh = star(leaves: 3, isHubOurs: false, plainLeaves: [1, 2])
        mesh.run(for: .seconds(30))
        let exchange = try #require(mesh.machines[key(3)]?.exchange)
        #expect(exchange.members.map(\.key) == [key(0), key(1), key(2)])
        for number in 1...2 {
            let view = try #require(exchange.member(key(number)))
            #expect(view.isMember && view.isCurrent && view.hubs == [key(0)])
            #expect(view.candidates == [CandidateEndpoint(endpoint("198.51.100.\(number + 1):51820"), .hearsay)])
            #expect(view.allowedIPs == [prefix("10.0.0.\(number + 2)/32")])
        }
        #expect(mesh.machines[key(1)]?.plain.knows(key(3), .at("198.51.100.4:51820")) == true)
        #expect(mesh.machines[key(0)]?.plain.refused == 0)
        // It stays so.
        for _ in 0..<12 {
            mesh.run(for: .seconds(100))
            #expect(mesh.view(key(1), at: key(3))?.isCurrent == true)
            #expect(mesh.machines[key(1)]?.plain.knows(key(3), .at("198.51.100.4:51820")) == true)
        }
    }

    @Test("A program of the field that is replaced by ours, and the other way round")
    func replaced() throws {
        var mesh = star(leaves: 2, plainLeaves: [1])
        mesh.run(for: .seconds(30))
        #expect(mesh.view(key(1), at: key(2))?.ours == nil)
        let device = try #require(mesh.machines[key(1)]?.device)
        mesh.addOurs(key(1), at: "198.51.100.2/16")
        mesh.machines[key(1)]?.device = device
        mesh.run(for: .seconds(30))
        #expect(mesh.view(key(1), at: key(2))?.ours == mesh.machines[key(1)]?.exchange.ours)
        #expect(mesh.view(key(2), at: key(1))?.isMember == true)
        mesh.addPlain(key(1), at: "198.51.100.2/16")
        mesh.machines[key(1)]?.device = device
        mesh.run(for: .seconds(30))
        #expect(mesh.view(key(1), at: key(2))?.ours == nil)
        #expect(mesh.machines[key(1)]?.plain.knows(key(2), .member) == true)
        #expect(mesh.machines[key(1)]?.plain.refused == 0)
    }

    /// The one scenario of the field's own tests: a core that is trusted by its operator's word, and two clients.
    @Test("Clients of a core find each other, and forget whom the core drops")
    func core() throws {
        let own = LinkSettings(isRouter: false, members: [MemberSettings(publicKey: key(0), trust: .membership)])
        var mesh = Mesh()
        mesh.addOurs(
            key(0),
            LinkSettings(
                isRouter: true,
                members: [
                    MemberSettings(publicKey: key(0), trust: .membership),
                    MemberSettings(publicKey: key(1), name: "one", allowedIPs: [prefix("192.168.0.2/32")]),
                    MemberSettings(publicKey: key(2), name: "two", allowedIPs: [prefix("192.168.0.3/32")]),
                ]
            ),
            at: "100.1.1.1/24"
        )
        mesh.addOurs(key(1), own, at: "100.1.1.2/24")
        mesh.addPlain(key(2), isRouter: false, at: "100.1.1.3/24")
        mesh.machines[key(1)]?.fieldPeers = FieldPeers()
        mesh.machines[key(0)]?.fieldPeers = FieldPeers()
        for number in 1...2 {
            mesh.addPeer(key(number), to: key(0), ["192.168.0.\(number + 1)/32"])
            mesh.addPeer(key(0), to: key(number), ["192.168.0.0/24"])
        }
        // The second client's program has added the first one.
        mesh.addPeer(key(1), to: key(2), ["192.168.0.2/32"], isMade: true)
        mesh.run(for: .seconds(60))
        let view = try #require(mesh.view(key(2), at: key(1)))
        #expect(view.name == "two" && view.isMember && view.isAlive && view.isHealthy)
        var peer = try #require(mesh.machines[key(1)]?.device.peers.first { $0.publicKey == key(2) })
        #expect(peer.allowedIPs.contains(prefix("192.168.0.3/32")))
        mesh.run(for: .seconds(300))
        peer = try #require(mesh.machines[key(1)]?.device.peers.first { $0.publicKey == key(2) })
        #expect(peer.allowedIPs == [key(2).memberAllowedIP, prefix("192.168.0.3/32")])

        // The core drops the second client, in its device and its file, and a peer that nobody knows appears.
        let device = try #require(mesh.machines[key(0)]?.device)
        mesh.addOurs(
            key(0),
            LinkSettings(
                isRouter: true,
                members: [
                    MemberSettings(publicKey: key(0), trust: .membership),
                    MemberSettings(publicKey: key(1), name: "one", allowedIPs: [prefix("192.168.0.2/32")]),
                ]
            ),
            at: "100.1.1.1/24"
        )
        mesh.machines[key(0)]?.device = device
        mesh.machines[key(0)]?.device.peers.removeAll { $0.publicKey == key(2) }
        mesh.addPeer(key(9), to: key(1), [], isMade: true)
        mesh.run(for: .seconds(600))
        #expect(mesh.machines[key(0)]?.device.peers.map(\.publicKey) == [key(1)])
        #expect(mesh.machines[key(1)]?.device.peers.map(\.publicKey) == [key(0)])
        #expect(mesh.view(key(0), at: key(1))?.isHealthy == true)
        #expect(mesh.view(key(9), at: key(0)) == nil)
        // The second client has nobody who would tell it that it is none any more.
        #expect(mesh.machines[key(2)]?.device.peers.map(\.publicKey) == [key(0), key(1)])
    }
}
