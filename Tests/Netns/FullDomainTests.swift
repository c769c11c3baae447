import EUI64
import Foundation
import NetworkAddresses
import Surroundings
import Testing
import WireGuardTypes

@Suite("A full domain", .needsRoot, .serialized) struct FullDomainTests {
    @Test("A newcomer takes the place of one of 33 routers behind one address, when it shakes hands and not before")
    func hoarder() throws {
        let gateway = try GatewayFixture.running(settings: "MaximumPeers=33")
        let handler = try #require(gateway.handler)
        let crowd = Command.path(of: "kex-crowd")
        let hoarded = try Command.check("\(crowd) keys 7 33").split(separator: "\n").map(String.init)
        for key in hoarded { #expect(try gateway.register(key) == "") }
        let interface = gateway.domains[0].wireGuard
        let port = try Command.check("wg show \(interface) listen-port").trimmingCharacters(in: .newlines)
        let shaken = try Command.run(
            "ip",
            ["netns", "exec", gateway.namespace, crowd, "connect", port, try gateway.ownKey(), "7", "33"]
        )
        #expect(shaken.output.contains("33"), "\(shaken)")
        try wait(for: "their signs of life") {
            hoarded.allSatisfy { handler.output.contains("first sign of life of \($0)") }
        }
        let newcomer = try gateway.makeRouter(1)
        #expect(try gateway.register(newcomer) == "")
        #expect(try gateway.peers().count == 34)
        // What is sent to an address of the machine comes from that address.
        try Command.check("ip -n \(gateway.namespace) address add 192.0.2.2/32 dev lo")
        try Command.check(
            "wg set \(interface)r1 peer \(try gateway.ownKey()) endpoint 192.0.2.2:\(port) "
                + "allowed-ips \(GatewayFixture.gatewayAddress)/128 persistent-keepalive 1"
        )
        let line = try handler.waitFor(#/removed (\S+): the domain is full/#)
        let victim = String(line.1)
        #expect(hoarded.contains(victim))
        #expect(try Set(gateway.peers().keys) == Set(hoarded.filter { $0 != victim } + [newcomer]))
        let address = "\(AddressProfile.eui64.linkLocalAddress(of: try #require(PublicKey(text: victim))))"
        #expect(try !gateway.fdb().contains { $0.contains("dst \(address) ") })
        // Now nobody holds more than a home may.
        #expect(try gateway.register(victim) == "ERR: DOMAIN_FULL\n")
        #expect(try gateway.register(newcomer) == "")
    }
}
