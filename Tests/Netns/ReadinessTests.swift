import Foundation
import NetworkAddresses
import Surroundings
import Testing

/// What an operator may do to the interfaces; each is seen, told, and undone by the command that was told.
@Suite("A domain that cannot carry traffic", .needsRoot, .serialized) struct UnreadyTests {
    private static let address = GatewayFixture.gatewayAddress

    @Test(
        "It is out of service, also for other gateways, and the remedy that is printed brings it back",
        arguments: [
            ("ip address delete \(address)/64 dev WG", "of LinkAddress="),
            (
                "ip address delete \(address)/64 dev WG && ip address add \(address)/128 dev WG nodad",
                "no link-local address with a /64"
            ),
            ("ip -6 route delete fe80::/64 dev WG", "no route to fe80::/64"),
            ("ip link set WG mtu 1279", "an MTU of 1279"),
            ("echo 1 > /proc/sys/net/ipv6/conf/WG/disable_ipv6", "IPv6 is switched off"),
            ("ip link set WG down", "is down"),
            ("ip link set VX down", "is down"),
            (
                "ip link delete VX && ip link add VX type vxlan id 1 dstport 8472 local 192.0.2.1 dev WG && "
                    + "ip link set VX mtu 1280 up", "sends from 192.0.2.1"
            ),
            (
                "ip link delete VX && ip link add VX type vxlan id 1 dstport 8472 local fe80::77 dev WG && "
                    + "ip link set VX mtu 1280 up", "sends from fe80::77"
            ),
        ]
    )
    func remedies(harm: String, reason: String) throws {
        let gateway = try GatewayFixture(settings: "LinkAddress=\(Self.address)")
        try gateway.startHandler()
        try gateway.startListener()
        let key = anyKey()
        #expect(try gateway.register(key) == "")
        let (wireGuard, vxlan) = (gateway.domains[0].wireGuard, gateway.domains[0].vxlan)
        func shell(_ command: String) throws -> Command.Result {
            try Command.run("ip", ["netns", "exec", gateway.namespace, "sh", "-c", command])
        }
        let named = harm.replacingOccurrences(of: "WG", with: wireGuard).replacingOccurrences(of: "VX", with: vxlan)
        let harmed = try shell(named)
        #expect(harmed.status == 0, "\(harmed.errors)")
        // It is seen with the next question at the latest; on the way there may have been other reasons.
        let handler = try #require(gateway.handler)
        var told = ""
        try wait(for: "the end of service") {
            guard try gateway.register(key) == "ERR: UNAVAILABLE\n" else { return false }
            let lines = handler.output.split(separator: "\n").filter { $0.contains("out of service: ") }
            guard let line = lines.last, line.contains(reason), let colon = line.range(of: ": ip ")
            else { return handler.output.contains(": echo 0 >") && reason.contains("switched off") }
            told = "ip " + line[colon.upperBound...]
            return true
        }
        if told.isEmpty { told = "echo 0 >" + (handler.output.components(separatedBy: ": echo 0 >").last ?? "") }
        #expect(try !isInService(gateway))
        let remedied = try shell(String(told.prefix { $0 != "\n" }))
        #expect(remedied.status == 0, "\(told): \(remedied.errors)")
        try handler.waitFor(#/in service again/#)
        try wait(for: "service") { try gateway.register(key) == "" }
        #expect(try isInService(gateway))
        #expect(try gateway.peers()[key] != nil)
    }

    @Test("An address that goes is noticed although nobody asks")
    func notified() throws {
        let gateway = try GatewayFixture(domains: ["ffww01"])
        try gateway.startHandler()
        let wireGuard = gateway.domains[0].wireGuard
        try Command.check("ip -n \(gateway.namespace) address delete \(Self.address)/64 dev \(wireGuard)")
        let handler = try #require(gateway.handler)
        try handler.waitFor(#/out of service: vx\S+ sends from \S+, which \S+ does not have/#)
        try Command.check("ip -n \(gateway.namespace) address add \(Self.address)/64 dev \(wireGuard) nodad")
        try handler.waitFor(#/in service again/#)
    }

    /// What `kex-mqtt` is told, on whose word other gateways send nobody here.
    private func isInService(_ gateway: GatewayFixture) throws -> Bool {
        let script = """
            import socket, struct, sys
            s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            s.settimeout(60)
            s.connect(sys.argv[1])
            s.send(bytes([1, 6, 0, 1]) + struct.pack('>B42s', 6, b'ffww01'))
            print(s.recv(1000)[4 + 43])
            """
        let result = try Command.run("python3", ["-c", script, "\(gateway.folder)/fleet.sock"])
        return result.output == "1\n"
    }
}
