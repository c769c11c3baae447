import EUI64
import Foundation
import Testing

/// A domain whose routers change from one address profile to another.
@Suite("Migration", .serialized) struct MigrationTests {
    private static let both = "AddressProfile=eui64 ffmuc"

    private func gateway(_ settings: String) throws -> GatewayFixture {
        let gateway = try GatewayFixture.running(settings: settings)
        try Command.check("ip -n \(gateway.namespace) address add 10.1.0.254/24 dev \(gateway.domains[0].vxlan)")
        return gateway
    }

    private func router(_ gateway: GatewayFixture, _ number: Int, _ profile: AddressProfile) throws -> MeshRouter {
        let router = try MeshRouter(gateway, number)
        #expect(try gateway.register(router.key) == "")
        try router.use(profile)
        try router.connect()
        try wait(for: "the ping of router \(number)") { try router.ping(1).status == 0 }
        return router
    }

    private func reload(_ gateway: GatewayFixture, _ old: String, _ new: String) throws {
        let path = "\(gateway.folder)/kex.conf"
        let text = try String(contentsOfFile: path, encoding: .utf8)
        let handler = try #require(gateway.handler)
        let before = handler.output.matches(of: #/reloaded: /#).count
        try text.replacing(old, with: new).write(toFile: path, atomically: true, encoding: .utf8)
        kill(handler.processIdentifier, SIGHUP)
        try wait(for: "the reload") { handler.output.matches(of: #/reloaded: /#).count > before }
    }

    /// All entries that lead to the address, learned ones too.
    private func entries(to address: String, in gateway: GatewayFixture) throws -> [Substring] {
        try Command.check("bridge -n \(gateway.namespace) fdb show dev \(gateway.domains[0].vxlan)")
            .split(separator: "\n").filter { $0.contains("dst \(address) ") }
    }

    @Test(
        "Routers of both profiles ping; each has both addresses, and broadcasts go to the one that it uses, also when it changes"
    )
    func sideBySide() throws {
        let gateway = try gateway(Self.both)
        let (old, new) = (try router(gateway, 1, .eui64), try router(gateway, 2, .ffmuc))
        for router in [old, new] {
            let addresses = try #require(try gateway.peers()[router.key]).split(separator: " ").map(String.init)
            #expect(Set(addresses) == ["\(router.address(.eui64))/128", "\(router.address(.ffmuc))/128"])
        }
        try wait(for: "the flood entries") { try gateway.fdb() == [old.floodEntry(.eui64), new.floodEntry(.ffmuc)] }
        #expect(try gateway.register(old.key) == "")
        // What the gateway has to ask for reaches both.
        for router in [old, new] {
            try Command.check("ip -n \(gateway.namespace) neighbour flush dev \(gateway.domains[0].vxlan)")
            let ping = ["ping", "-n", "-q", "-c", "3", "-i", "0.1", "-W", "1", "10.1.0.\(router.number)"]
            let result = try Command.run("ip", ["netns", "exec", gateway.namespace] + ping)
            #expect(result.output.contains(" 0% packet loss"), "\(result)")
        }
        // New firmware.
        let start = Date()
        try old.use(.ffmuc)
        try wait(for: "the ping from the other address") { try old.ping(1).status == 0 }
        try wait(for: "the flood entry") { try gateway.fdb() == [old.floodEntry(.ffmuc), new.floodEntry(.ffmuc)] }
        print("from the router's other address to its flood entry: \(-start.timeIntervalSinceNow * 1000) ms")
        #expect(gateway.handler?.output.contains("\(old.key) is at \(old.address(.ffmuc))") == true)
        #expect(try entries(to: old.address(.eui64), in: gateway).isEmpty)
    }

    @Test(
        "From one profile to both and to the other: no ping is lost, sessions stay, and in the end there is nothing of the first"
    )
    func reloads() throws {
        let gateway = try gateway("AddressProfile=eui64")
        let router = try router(gateway, 1, .eui64)
        let stranger = try newKey()
        #expect(try gateway.register(stranger) == "")
        let handshake = try router.lastHandshake

        let first = try router.pinging(200)
        try reload(gateway, "AddressProfile=eui64", Self.both)
        try wait(for: "the second address") { try gateway.peers()[router.key]?.contains(" ") == true }
        first.waitForEnd()
        #expect(first.output.contains(" 0% packet loss"), "\(first.output)")
        #expect(try gateway.fdb() == [router.floodEntry(.eui64)], "no permanent unicast entry")

        try router.use(.ffmuc)
        try wait(for: "the ping from the other address") { try router.ping(1).status == 0 }

        let second = try router.pinging(200)
        try reload(gateway, Self.both, "AddressProfile=ffmuc")
        let unicast = "\(router.mac(.ffmuc)) dst \(router.address(.ffmuc)) "
        try wait(for: "the new address alone") {
            try gateway.peers()[router.key] == "\(router.address(.ffmuc))/128"
                && gateway.fdb().contains { $0.hasPrefix(unicast) }
        }
        second.waitForEnd()
        #expect(second.output.contains(" 0% packet loss"), "\(second.output)")
        #expect(try router.lastHandshake == handshake)
        #expect(try gateway.fdb().contains(router.floodEntry(.ffmuc)))
        #expect(try entries(to: router.address(.eui64), in: gateway).isEmpty)
        #expect(try gateway.peers().values.allSatisfy { !$0.contains(" ") && $0.hasPrefix("fe80::2") })
        #expect(try gateway.register(router.key) == "")
        #expect(try gateway.register(stranger) == "")
        #expect(try gateway.peers().count == 2)
    }

    @Test("A restart in the middle finds routers where they are")
    func restart() throws {
        let gateway = try gateway(Self.both)
        let router = try router(gateway, 1, .ffmuc)
        try wait(for: "the flood entry") { try gateway.fdb() == [router.floodEntry(.ffmuc)] }
        gateway.handler?.end(with: SIGKILL)
        try gateway.startHandler()
        #expect(try gateway.register(router.key) == "")
        #expect(try gateway.fdb() == [router.floodEntry(.ffmuc)])
        #expect(try router.ping(10).output.contains(" 0% packet loss"))
    }

    @Test("A sweep takes everything of a router: the peer with both addresses, and what leads to either of them")
    func sweep() throws {
        let gateway = try gateway("\(Self.both)\nStaleAfter=1s\nSweepInterval=1s")
        let router = try router(gateway, 1, .eui64)
        try router.use(.ffmuc)
        try wait(for: "the ping from the other address") { try router.ping(1).status == 0 }
        // Somebody behind it whom the kernel learned before it moved.
        let domain = gateway.domains[0]
        try Command.check(
            "bridge -n \(gateway.namespace) fdb add 0a:00:00:00:00:01 dev \(domain.vxlan) "
                + "dst \(router.address(.eui64)) via \(domain.wireGuard) dynamic extern_learn"
        )
        router.end()
        try wait(for: "the removal") {
            usleep(600_000)
            return try gateway.cleanup().output.contains("\(router.key) removed")
        }
        #expect(try gateway.peers().isEmpty)
        for profile in [AddressProfile.eui64, .ffmuc] {
            #expect(try entries(to: router.address(profile), in: gateway).isEmpty)
        }
    }
}
