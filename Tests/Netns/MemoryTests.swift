import Foundation
import Surroundings
import Testing

/// What the handler remembers, and what it does without being asked.
@Suite("Memory", .needsRoot, .serialized) struct MemoryTests {
    private static let address = "fe80::a6:8fff:fe21:5465"

    private func entries(of key: String, in gateway: GatewayFixture) throws -> [String] {
        let address = try #require(try gateway.peers()[key]).dropLast("/128".count)
        return try gateway.fdb().filter { $0.contains("dst \(address) ") }.map { String($0.prefix(17)) }.sorted()
    }

    /// The state file of a domain, line by line.
    private func state(of gateway: GatewayFixture, domain: Int = 0) -> [String] {
        let path = "\(gateway.folder)/state/\(gateway.domains[domain].name).state"
        return ((try? String(contentsOfFile: path, encoding: .utf8)) ?? "").split(separator: "\n").map(String.init)
    }

    @Test("A router is written down at its first handshake, not at its registration")
    func confirmed() throws {
        let gateway = try GatewayFixture.running()
        let router = try gateway.makeRouter(1)
        let stranger = try newKey()
        #expect(try gateway.register(router) == "")
        #expect(try gateway.register(stranger) == "")
        try gateway.connectRouter(1)
        try wait(for: "the router in the state file") { state(of: gateway).contains { $0.hasPrefix(router) } }
        #expect(!state(of: gateway).contains { $0.contains(stranger) })
        #expect(try #require(gateway.handler).output.contains("first sign of life of \(router)"))
    }

    @Test(
        "An interface that was made anew gets its routers back without a registration; who speaks, joins the flood list"
    )
    func newInterface() throws {
        let gateway = try GatewayFixture.running()
        let router = try gateway.makeRouter(1)
        #expect(try gateway.register(router) == "")
        #expect(try gateway.register(ExchangeTests.key) == "")
        try gateway.connectRouter(1)
        try wait(for: "the handshake") { state(of: gateway).contains { $0.hasPrefix(router) } }

        try gateway.removeDevices(of: gateway.domains[0])
        let handler = try #require(gateway.handler)
        try handler.waitFor(#/out of service: there is no interface/#)
        #expect(try gateway.register(ExchangeTests.key) == "ERR: UNAVAILABLE\n")
        try gateway.makeDevices(of: gateway.domains[0])
        try wait(for: "the routers") { try gateway.peers().count == 2 && gateway.fdb().count == 2 }
        // It has not spoken, so broadcasts are not for it yet; its unicast entry is there.
        #expect(try entries(of: ExchangeTests.key, in: gateway) == ["02:a6:8f:21:54:65"])
        try gateway.connectRouter(1)
        try wait(for: "the flood entry") {
            try entries(of: router, in: gateway).contains("00:00:00:00:00:00")
        }
        #expect(try entries(of: ExchangeTests.key, in: gateway) == ["02:a6:8f:21:54:65"])
    }

    @Test("After a reboot the routers that were heard of are back before the handler is ready, the others not")
    func reboot() throws {
        let gateway = try GatewayFixture()
        try gateway.startHandler("--boot-id", "one")
        try gateway.startListener()
        let router = try gateway.makeRouter(1)
        #expect(try gateway.register(router) == "")
        #expect(try gateway.register(ExchangeTests.key) == "")
        try gateway.connectRouter(1)
        try wait(for: "the handshake") { state(of: gateway).contains { $0.hasPrefix(router) } }

        // As in a power cut: no word to the handler, and the kernel forgets everything.
        gateway.handler?.end(with: SIGKILL)
        try gateway.removeDevices(of: gateway.domains[0])
        try gateway.makeDevices(of: gateway.domains[0])
        #expect(try gateway.peers().isEmpty)
        try gateway.startHandler("--boot-id", "two")
        #expect(Array(try gateway.peers().keys) == [router])
        let mac = try #require(try entries(of: router, in: gateway).first)
        #expect(try entries(of: router, in: gateway) == [mac] && mac != "00:00:00:00:00:00")
        try gateway.connectRouter(1)
        try wait(for: "the flood entry") { try entries(of: router, in: gateway).count == 2 }
    }

    @Test("While the interface stays, the kernel is the truth: who was removed from it stays out")
    func sameInterface() throws {
        let gateway = try GatewayFixture.running()
        let router = try gateway.makeRouter(1)
        #expect(try gateway.register(router) == "")
        try gateway.connectRouter(1)
        try wait(for: "the handshake") { state(of: gateway).contains { $0.hasPrefix(router) } }
        gateway.handler?.end(with: SIGKILL)
        try Command.check("wg set \(gateway.domains[0].wireGuard) peer \(router) remove")
        try gateway.startHandler()
        #expect(try gateway.peers().isEmpty)
        try wait(for: "the router to be forgotten") { !state(of: gateway).contains { $0.hasPrefix(router) } }
    }

    @Test("A damaged file: the handler starts, says what was lost, keeps the file, and brings back the rest")
    func damaged() throws {
        let gateway = try GatewayFixture()
        try gateway.startHandler("--boot-id", "one")
        try gateway.startListener()
        let routers = try (1...2).map { try gateway.makeRouter($0) }
        for (index, router) in routers.enumerated() {
            #expect(try gateway.register(router) == "")
            try gateway.connectRouter(index + 1)
        }
        try wait(for: "both in the file") {
            routers.allSatisfy { router in state(of: gateway).contains { $0.hasPrefix(router) } }
        }
        gateway.handler?.end(with: SIGKILL)
        let path = "\(gateway.folder)/state/ffww01.state"
        let text = try String(contentsOfFile: path, encoding: .utf8)
        let broken = text.replacingOccurrences(of: routers[0], with: try newKey())
        try broken.write(toFile: path, atomically: true, encoding: .utf8)
        try gateway.removeDevices(of: gateway.domains[0])
        try gateway.makeDevices(of: gateway.domains[0])
        try gateway.startHandler("--boot-id", "two")
        #expect(Array(try gateway.peers().keys) == [routers[1]])
        #expect(try #require(gateway.handler).output.contains("lost"))
        #expect(try String(contentsOfFile: path + ".damaged", encoding: .utf8) == broken)
    }

    @Test("Nothing of a removed router is left: no peer, no entry, no line")
    func removed() throws {
        let gateway = try GatewayFixture.running(settings: "StaleAfter=1s\nSweepInterval=1s")
        let router = try gateway.makeRouter(1)
        #expect(try gateway.register(router) == "")
        try gateway.connectRouter(1)
        try wait(for: "the handshake") { state(of: gateway).contains { $0.hasPrefix(router) } }
        // The router goes.
        let device = try #require(gateway.devices.last)
        device.end(with: SIGTERM)
        try wait(for: "the removal") {
            usleep(600_000)
            return try gateway.cleanup().output.contains("\(router) removed")
        }
        #expect(try gateway.peers().isEmpty)
        #expect(try gateway.fdb().isEmpty)
        try wait(for: "the line to go") { !state(of: gateway).contains { $0.contains(router) } }
    }

    @Test("A sweep interval goes on over a restart of the handler")
    func marks() throws {
        let gateway = try GatewayFixture.running(settings: "StaleAfter=1s\nSweepInterval=1s")
        let router = try gateway.makeRouter(1)
        #expect(try gateway.register(router) == "")
        try gateway.connectRouter(1)
        try wait(for: "the handshake") { state(of: gateway).contains { $0.hasPrefix(router) } }
        try #require(gateway.devices.last).end(with: SIGTERM)
        try wait(for: "the mark") {
            usleep(300_000)
            return try gateway.cleanup().output.contains("\(router) marked stale")
        }
        gateway.handler?.end(with: SIGTERM)
        usleep(1_100_000)
        try gateway.startHandler()
        #expect(try gateway.cleanup().output.contains("\(router) removed"))
    }
}
