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

    /// Whether each of the machines knows all others, and exactly their endpoints.
    private func expectComplete(_ mesh: Mesh, sourceLocation: SourceLocation = #_sourceLocation) {
        for (key, machine) in mesh.machines where machine.isRunning {
            let views = machine.exchange.members
            let keys = mesh.machines.keys.filter { $0 != key }.sorted()
            #expect(views.map(\.key) == keys, sourceLocation: sourceLocation)
            for view in views {
                #expect(view.isMember == !view.isRouter, sourceLocation: sourceLocation)
                let said = view.candidates.filter { $0.origin == .own || view.isRouter }.map(\.endpoint)
                #expect(Set(said) == Set(mesh.machines[view.key]?.endpoints ?? []), sourceLocation: sourceLocation)
            }
        }
    }

    @Test("Nothing is lost on a bad line, and nothing comes back", arguments: 0..<6)
    func badLine(seed: Int) {
        var mesh = star(leaves: 8)
        mesh.dice = Dice(seed: UInt64(seed))
        mesh.lost = 20
        mesh.repeated = 20
        mesh.delay = 1_500
        mesh.run(for: .seconds(90))
        expectComplete(mesh)
        // Machines move to other networks, some of them more than once.
        for round in 1...5 {
            for number in [1, 3, 5] {
                mesh.machines[key(number)]?.device.underlayAddresses = [underlay("203.0.\(number).\(round)/24")]
            }
            mesh.run(for: .seconds(Int64(round)))
        }
        // Should a delta be lost too often, all is told anew, and what was said before has gone after half a minute.
        mesh.run(for: .seconds(120))
        expectComplete(mesh)
    }

    @Test("A machine that begins anew is told everything, and is known again")
    func restart() throws {
        var mesh = star(leaves: 4)
        mesh.lost = 10
        mesh.run(for: .seconds(60))
        let before = mesh.view(key(2), at: key(1))?.ours
        for number in [2, 0] {
            mesh.restart(key(number))
            mesh.run(for: .seconds(60))
            expectComplete(mesh)
        }
        let after = mesh.view(key(2), at: key(1))?.ours
        #expect(try #require(before) != #require(after))
        #expect(after == mesh.machines[key(2)]?.exchange.ours)
    }

    @Test("While the hub begins anew its members stay members")
    func hubRestart() throws {
        var mesh = star(leaves: 3)
        mesh.run(for: .seconds(30))
        mesh.machines[key(0)]?.isRunning = false
        mesh.run(for: .seconds(20))
        mesh.machines[key(0)]?.isRunning = true
        mesh.cut = [[key(0), key(3)]]
        // After a start of the machine, not only of the program, there are no sessions.
        for index in mesh.machines[key(0)]!.device.peers.indices {
            mesh.machines[key(0)]?.device.peers[index].lastHandshake = nil
        }
        mesh.restart(key(0))
        mesh.run(for: .seconds(10))
        #expect(mesh.view(key(3), at: key(1))?.isMember == true)
        #expect(mesh.view(key(3), at: key(1))?.isCurrent == true)
        // One that does not come back is forgotten after the time that the field gives it.
        mesh.run(for: .seconds(200))
        #expect(mesh.view(key(3), at: key(1))?.isMember == true)
        mesh.run(for: .seconds(60))
        #expect(mesh.view(key(3), at: key(1)) == nil)
        #expect(mesh.view(key(2), at: key(1))?.isMember == true)
    }

    @Test("When the hub is gone, what it said is what was known last")
    func hubGone() throws {
        var mesh = star(leaves: 2)
        mesh.run(for: .seconds(30))
        mesh.cut = [[key(0), key(1)], [key(0), key(2)]]
        mesh.run(for: .seconds(300))
        let view = try #require(mesh.view(key(2), at: key(1)))
        #expect(view.isMember)
        #expect(!view.isCurrent)
        #expect(view.hubs == [])
        #expect(!view.candidates.isEmpty)
        mesh.cut = []
        // A member that went away meanwhile.
        mesh.machines[key(0)]?.device.peers.removeAll { $0.publicKey == key(2) }
        mesh.run(for: .seconds(60))
        #expect(mesh.view(key(2), at: key(1)) == nil)
    }

    @Test("Who is back is told at once what has changed meanwhile")
    func back() {
        var mesh = star(leaves: 2)
        mesh.run(for: .seconds(30))
        mesh.cut = [[key(0), key(1)]]
        mesh.machines[key(2)]?.device.underlayAddresses = [underlay("203.0.113.9/24")]
        // The hub has tried for half a minute, and then waits until it hears of the leaf.
        mesh.run(for: .seconds(270))
        #expect(mesh.view(key(1), at: key(0))?.isAlive == false)
        mesh.cut = []
        mesh.run(for: .seconds(6))
        let candidates = mesh.view(key(2), at: key(1))?.candidates.map(\.endpoint)
        #expect(candidates == [endpoint("203.0.113.9:51820")])
    }

    @Test("A change is told at once, and an idle mesh says nothing but that it is alive")
    func atOnce() throws {
        var mesh = star(leaves: 3)
        mesh.run(for: .seconds(300))
        for number in 0...3 { mesh.machines[key(number)]?.received = 0 }
        mesh.run(for: .seconds(600))
        // A delta with an alive fact and its answer, each minute, each way.
        for number in 1...3 { #expect(mesh.machines[key(number)]?.received == 20) }
        mesh.machines[key(2)]?.device.underlayAddresses = [underlay("203.0.113.9/24")]
        let moved = try #require(mesh.machines[key(2)]?.device)
        mesh.machines[key(2)]?.exchange.take(moved, at: mesh.now)
        mesh.run(for: .milliseconds(200))
        let candidates = try #require(mesh.view(key(2), at: key(1))?.candidates)
        #expect(candidates.map(\.endpoint).contains(endpoint("203.0.113.9:51820")))
    }
}
