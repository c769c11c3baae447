import Foundation
import Surroundings
import Testing

@Suite("Reload", .needsRoot, .serialized) struct ReloadTests {
    /// Replaces the configuration and tells the handler.
    private func reload(_ gateway: GatewayFixture, _ configuration: String) throws {
        try configuration.write(toFile: "\(gateway.folder)/kex.conf", atomically: true, encoding: .utf8)
        kill(try #require(gateway.handler).processIdentifier, SIGHUP)
    }

    private func configuration(of gateway: GatewayFixture) throws -> String {
        try String(contentsOfFile: "\(gateway.folder)/kex.conf", encoding: .utf8)
    }

    @Test("New domains and prohibited keys work at once, and a domain that is gone answers nobody")
    func domains() throws {
        let gateway = try GatewayFixture(domains: ["one", "two"])
        let both = try configuration(of: gateway)
        let second = try #require(both.range(of: "[Domain two]"))
        try reload(gateway, starting: String(both[..<second.lowerBound]))
        #expect(try gateway.register(ExchangeTests.key, domain: "one") == "")
        // The listener knows the whole file from its start, so it is the handler that refuses.
        let key = try newKey()
        #expect(try gateway.register(key, domain: "two") == "ERR: INVALID_DOMAIN\n")
        try "\(ExchangeTests.key)\n".write(toFile: "\(gateway.folder)/prohibited", atomically: true, encoding: .utf8)
        try reload(gateway, both)
        try #require(gateway.handler).waitFor(#/reloaded: 2 of 2 domains in service/#)
        #expect(try gateway.register(key, domain: "two") == "")
        #expect(try gateway.register(ExchangeTests.key, domain: "one") == "ERR: PROHIBITED_WGKEY\n")
        // Who was in and is prohibited now, goes; nobody else does.
        try wait(for: "the end of the prohibited peer") { try gateway.peers(of: 0).isEmpty }
        #expect(try gateway.peers(of: 1).keys.contains(key))
        try reload(gateway, both.replacing("[Domain one]", with: "[Domain three]"))
        try #require(gateway.handler).waitFor(#/reloaded[^\n]*\n(?s:.*)reloaded/#)
        #expect(try gateway.register(key, domain: "one") == "ERR: INVALID_DOMAIN\n")
    }

    /// Starts the handler with one configuration, and the listener with the whole one.
    private func reload(_ gateway: GatewayFixture, starting text: String) throws {
        let whole = try configuration(of: gateway)
        try text.write(toFile: "\(gateway.folder)/kex.conf", atomically: true, encoding: .utf8)
        try gateway.startHandler()
        try whole.write(toFile: "\(gateway.folder)/kex.conf", atomically: true, encoding: .utf8)
        try gateway.startListener()
    }

    @Test("A broken file changes nothing, and each mistake is told")
    func broken() throws {
        let gateway = try GatewayFixture.running()
        let good = try configuration(of: gateway)
        try reload(gateway, good + "Nonsense=1\n[Domain b]\nWireGuard=x\n")
        let handler = try #require(gateway.handler)
        try handler.waitFor(#/the configuration stays as it was/#)
        #expect(handler.output.contains("unknown key Nonsense"))
        #expect(handler.output.contains("[Domain b] needs VXLAN="))
        #expect(try gateway.register(ExchangeTests.key) == "")
        try reload(gateway, good)
        try handler.waitFor(#/reloaded: 1 of 1/#)
    }

    @Test("Reloads under load lose no exchange")
    func underLoad() async throws {
        let gateway = try GatewayFixture.running(settings: "MaximumPeers=2000")
        let handler = try #require(gateway.handler).processIdentifier
        for _ in 0..<200 {
            kill(handler, SIGHUP)
            #expect(try gateway.register(try newKey()) == "")
        }
        #expect(try gateway.peers().count == 200)
    }

    @Test("Settings of a domain change in place: its limit counts at once")
    func settings() throws {
        let gateway = try GatewayFixture.running(settings: "MaximumPeers=1")
        _ = try gateway.makeConnectedRouter(1)
        let key = try newKey()
        #expect(try gateway.register(key) == "ERR: DOMAIN_FULL\n")
        try reload(gateway, try configuration(of: gateway).replacing("MaximumPeers=1", with: "MaximumPeers=2"))
        try #require(gateway.handler).waitFor(#/reloaded/#)
        #expect(try gateway.register(key) == "")
    }
}
