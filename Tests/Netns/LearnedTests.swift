import EUI64
import Foundation
import NetworkAddresses
import Surroundings
import Testing
import WireGuardTypes

/// What a router teaches the VXLAN interface of a gateway costs the others nothing.
@Suite("Learned entries", .needsRoot, .serialized) struct LearnedTests {
    /// What the interface would have learned of a router that sends frames from ever new MACs.
    private func teach(_ gateway: GatewayFixture, _ count: Int, of router: String) throws {
        let domain = gateway.domains[0]
        let address = AddressProfile.eui64.linkLocalAddress(of: PublicKey(text: router)!)
        let line =
            #"fdb add 06:00:00:%02x:%02x:%02x dev \#(domain.vxlan) dst \#(address) via \#(domain.wireGuard) dynamic\n"#
        let program = #"BEGIN { for (i = 0; i < \#(count); i++) printf "\#(line)", i / 65536, i / 256 % 256, i % 256 }"#
        let batch = "awk '\(program)' | bridge -force -batch -"
        _ = try Command.run("ip", ["netns", "exec", gateway.namespace, "bash", "-c", batch])
    }

    private func learned(_ gateway: GatewayFixture) throws -> Int {
        let show = "bridge fdb show dev \(gateway.domains[0].vxlan) | grep --count --invert-match permanent || true"
        let count = try Command.run("ip", ["netns", "exec", gateway.namespace, "bash", "-c", show]).output
        return Int(count.trimmingCharacters(in: .whitespacesAndNewlines)) ?? -1
    }

    @Test("A router that taught 300,000 MACs keeps nobody out: exchanges and status are answered as before")
    func many() throws {
        let gateway = try GatewayFixture.running()
        let hoarder = try newKey()
        #expect(try gateway.register(hoarder) == "")
        try teach(gateway, 300_000, of: hoarder)
        for _ in 0..<20 {
            #expect(try gateway.register(newKey()) == "")
            #expect(try gateway.register(hoarder) == "")
            usleep(300_000)
        }
        #expect(gateway.handler?.output.contains("out of service") == false)
    }

    @Test("A table with maxaddress that one router keeps full has room for 50 newcomers, and the router's MACs go")
    func full() throws {
        let gateway = try GatewayFixture(settings: "FloodAfter=registration")
        let domain = gateway.domains[0]
        try Command.check("ip -n \(gateway.namespace) link delete \(domain.vxlan)")
        try gateway.makeVXLAN(domain, options: "maxaddress 2000")
        try gateway.startHandler()
        try gateway.startListener()
        let hoarder = try newKey()
        #expect(try gateway.register(hoarder) == "")
        for _ in 0..<50 {
            // Full again each time.
            try teach(gateway, 2000, of: hoarder)
            let key = try newKey()
            #expect(try gateway.register(key) == "")
            let address = AddressProfile.eui64.linkLocalAddress(of: PublicKey(text: key)!)
            #expect(try gateway.fdb().count { $0.contains("dst \(address) ") } == 2)
        }
        #expect(try gateway.peers().count == 51)
        #expect(
            try gateway.handler?.waitFor(#/was full: removed \d+ MAC addresses learned from (\S+),/#).1
                == hoarder[...]
        )
        // Without a newcomer as well, while the interface still learns.
        try teach(gateway, 2000, of: hoarder)
        try wait(for: "room in the table") { try learned(gateway) < 1000 }
    }

    @Test("An interface without maxaddress, or with too small a one, is named with the commands that make it anew")
    func named() throws {
        let gateway = try GatewayFixture()
        let vxlan = gateway.domains[0].vxlan
        func limit() throws -> String {
            try Command.check("ip -n \(gateway.namespace) -details link show \(vxlan)")
        }
        func make(_ commands: Substring) throws {
            let namespace = ["netns", "exec", gateway.namespace]
            let result = try Command.run("ip", namespace + ["sh", "-c", String(commands)])
            #expect(result.status == 0, "\(commands): \(result.errors)")
        }
        try gateway.startHandler()
        let handler = try #require(gateway.handler)
        let endless = try handler.waitFor(
            #/learns any number of MAC addresses from its routers; make it again, .*: (ip .*)/#
        )
        try make(endless.1)
        #expect(try limit().contains("maxaddr 16384"))
        try handler.waitFor(#/in service again/#)
        try Command.check("ip -n \(gateway.namespace) link delete \(vxlan)")
        try gateway.makeVXLAN(gateway.domains[0], options: "maxaddress 100")
        let small = try handler.waitFor(
            #/takes 100 MAC addresses, too few for its routers; make it again, .*: (ip .*)/#
        )
        try make(small.1)
        #expect(try limit().contains("maxaddr 16384"))
    }
}
