import EUI64
import Foundation
import NetworkAddresses
import Surroundings
import Testing
import WireGuardTypes

/// What the operator does by hand, and what is his own.
@Suite("The operator's hand", .needsRoot, .serialized) struct OperatorTests {
    private func address(of key: String) throws -> String {
        "\(AddressProfile.eui64.linkLocalAddress(of: try #require(PublicKey(text: key))))"
    }

    private func entries(of key: String, in gateway: GatewayFixture) throws -> [String] {
        let destination = "dst \(try address(of: key)) "
        return try gateway.fdb().filter { $0.contains(destination) }.map { String($0.prefix(17)) }.sorted()
    }

    /// Makes the handler refresh its tables.
    private func refresh(_ gateway: GatewayFixture) throws { _ = try gateway.cleanup("--dry-run") }

    @Test(
        "wg syncconf with a file that names no peer: it is named, everybody is back, and no broadcast is for them yet"
    )
    func massLoss() throws {
        let gateway = try GatewayFixture.running()
        let handler = try #require(gateway.handler)
        let routers = try (1...3).map { try gateway.makeConnectedRouter($0) }
        try wait(for: "the flood entries") { try routers.allSatisfy { try entries(of: $0, in: gateway).count == 2 } }
        let interface = gateway.domains[0].wireGuard
        let configuration = try Command.check("wg showconf \(interface)")
        let empty = "\(gateway.folder)/empty.conf"
        let own = try #require(configuration.range(of: "[Peer]"))
        try String(configuration[..<own.lowerBound]).write(toFile: empty, atomically: true, encoding: .utf8)
        try Command.check("wg syncconf \(interface) \(empty)")
        #expect(try gateway.peers().isEmpty)
        try refresh(gateway)
        try handler.waitFor(#/3 of 3 routers disappeared from \S+ at once; bringing them back/#)
        #expect(try Set(gateway.peers().keys) == Set(routers))
        for router in routers { #expect(try entries(of: router, in: gateway).count == 1) }
        // One that is removed by hand stays out, with its entries.
        try Command.check("wg set \(interface) peer \(routers[0]) remove")
        try refresh(gateway)
        try handler.waitFor(Regex<Substring>(verbatim: "forgot \(routers[0])"))
        #expect(try Set(gateway.peers().keys) == Set(routers.dropFirst()))
        #expect(try entries(of: routers[0], in: gateway).isEmpty)
    }

    @Test("Gateways that are peers of one another are neither swept nor deleted, and the operator hears which they are")
    func gateways() throws {
        let gateway = try GatewayFixture(settings: "StaleAfter=1s\nSweepInterval=1s")
        let interface = gateway.domains[0].wireGuard
        let (listed, called, router) = (try newKey(), try newKey(), try newKey())
        for (key, settings) in [(listed, ""), (called, "endpoint 127.0.0.1:9"), (router, "")] {
            let address = try address(of: key)
            try Command.check("wg set \(interface) peer \(key) allowed-ips \(address)/128 \(settings)")
            try Command.check(
                "bridge -n \(gateway.namespace) fdb append 00:00:00:00:00:00 dev \(gateway.domains[0].vxlan) "
                    + "dst \(address) via \(interface)"
            )
        }
        try "\(listed)\n".write(toFile: "\(gateway.folder)/prohibited", atomically: true, encoding: .utf8)
        let check = try Command.run(
            "ip",
            ["netns", "exec", gateway.namespace, Command.path(of: "kex-handler"), "--config"]
                + ["\(gateway.folder)/kex.conf", "--check-config"]
        )
        let remarks = check.output.split(separator: "\n").filter { $0.hasPrefix("# ffww01: ") }
        #expect(remarks.count == 2)
        try gateway.startHandler()
        let handler = try #require(gateway.handler)
        for key in [listed, called] {
            #expect(remarks.contains { $0.contains("\(key) is a peer of the operator's and no router") })
            try handler.waitFor(Regex<Substring>(verbatim: "\(key) is a peer of the operator's and no router"))
        }
        kill(handler.processIdentifier, SIGHUP)
        try handler.waitFor(#/reloaded/#)
        // What looks like a router's goes, as silent as the others.
        try wait(for: "the sweep") {
            usleep(400_000)
            return try gateway.cleanup().output.contains("\(router) removed") || gateway.peers()[router] == nil
        }
        #expect(try Set(gateway.peers().keys) == [listed, called])
        for key in [listed, called] {
            #expect(try entries(of: key, in: gateway) == ["00:00:00:00:00:00"])
            #expect(handler.output.components(separatedBy: "\(key) is a peer of the operator's").count == 2, "once")
        }
        // The command that the log prints does what it says.
        let command = try #require(
            handler.output.firstMatch(
                of: Regex("wg set \\S+ peer \(NSRegularExpression.escapedPattern(for: called)) remove")
            )
        )
        try Command.check(String(handler.output[command.range]))
        try gateway.startListener()
        try wait(for: "the registration") { try gateway.register(called) == "" }
    }

    @Test(
        "A router whose address another peer took by a slip is told so, and is repaired when it is free; no restart needed"
    )
    func slip() throws {
        let gateway = try GatewayFixture.running()
        let interface = gateway.domains[0].wireGuard
        let router = try gateway.makeConnectedRouter(1)
        let other = try newKey()
        try Command.check("wg set \(interface) peer \(other) allowed-ips \(try address(of: router))/128")
        try wait(for: "the refusal") { try gateway.register(router) == "ERR: ADDRESS_IN_USE\n" }
        try Command.check("wg set \(interface) peer \(other) remove")
        try wait(for: "the repair") { try gateway.register(router) == "" }
        #expect(try gateway.peers() == [router: "\(try address(of: router))/128"])
        // With a preshared key of the operator's it is served all the same.
        let psk = try Command.check("wg genpsk")
        try psk.write(toFile: "\(gateway.folder)/psk", atomically: true, encoding: .utf8)
        try Command.check("wg set \(interface) peer \(router) preshared-key \(gateway.folder)/psk")
        try refresh(gateway)
        let handler = try #require(gateway.handler)
        try handler.waitFor(Regex<Substring>(verbatim: "\(router) is a router with settings of the operator's"))
        #expect(try gateway.register(router) == "")
    }
}
