import LinkMember
import NetworkAddresses
import Testing
import Time
import VirtualNetwork
import WireGuardTypes

@testable import LinkMember

/// Two that have two hubs.
@Suite struct HubTests {
    private let mesh = VirtualMesh()
    private let second: VirtualMachine
    private let a, b: VirtualMachine

    init() {
        let site = mesh.underlay.site("second", .none, delay: .milliseconds(1))
        second = VirtualMachine("second", at: "198.51.100.240", tunnel: "10.9.0.240", in: site, mesh.underlay)
        second.forwards = true
        // Symmetric, so that they need a relay.
        (a, b) = (mesh.machine("a", .symmetric), mesh.machine("b", .symmetric))
        for machine in [a, b] {
            // The networks of the two hubs are next to each other; both know both machines.
            machine.wireGuard.apply([
                .add(
                    PeerSettings(
                        publicKey: second.key,
                        allowedIPs: [prefix("10.8.0.0/16")],
                        endpoint: second.endpoint,
                        persistentKeepalive: 25
                    )
                )
            ])
            let own = IPPrefix(.v4(machine.tunnelAddress), length: 32)!
            second.wireGuard.apply([.add(PeerSettings(publicKey: machine.key, allowedIPs: [own]))])
        }
    }

    private var hubs: [VirtualMachine] { [mesh.hub, second].sorted { $0.key < $1.key } }

    private func cut(_ machine: VirtualMachine, from hub: VirtualMachine) throws {
        mesh.underlay.cut(try #require(machine.site.address), try #require(hub.endpoint.source.mappedIPv4))
    }

    private func start(_ machines: [VirtualMachine]) { for machine in machines { machine.start() } }

    private func relays() -> Set<PublicKey> {
        let ways = [(a, b), (b, a)].map { $0.0.status()[$0.1.key]?.way }
        return Set(ways.compactMap { if case .relayed(let hub)? = $0 { hub } else { nil } })
    }

    @Test func `both use the same one`() throws {
        start(hubs + [a, b])
        _ = try #require(mesh.clock.run(upTo: .seconds(30)) { mesh.isRelayed(a, b) })
        #expect(relays() == [hubs[0].key])
    }

    /// The hub notices it after some time, or has not noticed it yet.
    @Test(arguments: [true, false], [Duration.seconds(300), .seconds(1)])
    func `one of them has lost the first one, and both use the second one`(isInitiator: Bool, since: Duration) throws {
        start(hubs + [a, b])
        _ = try #require(mesh.clock.run(upTo: .seconds(30)) { mesh.isRelayed(a, b) })
        for machine in [a, b] { machine.stop() }
        let loser = (a.key < b.key) == isInitiator ? a : b
        try cut(loser, from: hubs[0])
        mesh.clock.run(for: since)
        start([a, b])
        let time = try #require(mesh.clock.run(upTo: .seconds(300)) { mesh.isRelayed(a, b) })
        #expect(time < .seconds(10))
        #expect(relays() == [hubs[1].key])
        mesh.clock.run(for: .seconds(1))
        let pings = a.ping(b, each: .milliseconds(100))
        mesh.clock.run(for: .seconds(300))
        #expect(mesh.isRelayed(a, b) && relays() == [hubs[1].key])
        #expect(a.lost(pings).isEmpty)
    }

    @Test(arguments: [true, false])
    func `one of them loses the one that they use`(isInitiator: Bool) throws {
        start(hubs + [a, b])
        _ = try #require(mesh.clock.run(upTo: .seconds(30)) { mesh.isRelayed(a, b) })
        let pings = a.ping(b, each: .milliseconds(100))
        mesh.clock.run(for: .seconds(5))
        try cut((a.key < b.key) == isInitiator ? a : b, from: hubs[0])
        let time = try #require(
            mesh.clock.run(upTo: .seconds(600)) { mesh.isRelayed(a, b) && relays() == [hubs[1].key] }
        )
        print("figure: another hub after \(time)")
        _ = pings
    }
}
