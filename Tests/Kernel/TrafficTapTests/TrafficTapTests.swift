import KernelTestSupport
import NetworkAddresses
import Surroundings
import SystemCalls
import SystemPackage
import Testing
import Time

@testable import TrafficTap

private func v6(_ text: String) -> IPv6Address { Endpoint("[\(text)]:1")!.source }
private func v4(_ text: String) -> IPv6Address { Endpoint("\(text):1")!.source }

/// Waits until there is something.
private func receive(_ tap: FileDescriptor) throws -> Set<IPv6Address> {
    var buffer = [UInt8](repeating: 0, count: TrafficTap.snapLength)
    _ = try Socket.wait(for: .readable, of: tap, until: .now + .seconds(5))
    return TrafficTap.receive(from: tap, into: &buffer)
}

@Suite struct `Addresses of packets` {
    private static let overIPv4: [UInt8] = [0x45] + [UInt8](repeating: 0, count: 11) + [10, 0, 0, 1, 10, 0, 0, 2]
    private static let overIPv6: [UInt8] =
        [0x60] + [UInt8](repeating: 0, count: 7) + v6("2001:db8::1").bytes + v6("2001:db8::2").bytes

    private func addresses(_ bytes: [UInt8]) -> [IPv6Address] {
        TrafficTap.addresses(ofPacket: bytes.span)
    }

    @Test func `are where their family has them, and a packet that is cut before has none`() {
        #expect(addresses(Self.overIPv4) == [v4("10.0.0.1"), v4("10.0.0.2")])
        #expect(addresses(Self.overIPv6) == [v6("2001:db8::1"), v6("2001:db8::2")])
        #expect(Self.overIPv6.count == TrafficTap.snapLength)
        for packet in [Self.overIPv4, Self.overIPv6] {
            for length in 0..<packet.count { #expect(addresses(Array(packet.prefix(length))) == []) }
        }
        #expect(addresses([0x50] + [UInt8](repeating: 0, count: 60)) == [])
    }
}

@Suite(.needsRoot, .serialized) struct `A tap` {
    /// On the loopback interface, where a filter sees packets as on WireGuard's: from the IP header on.
    private func open() throws -> OwnedDescriptor {
        try requirePrivateNamespace()
        return try TrafficTap.open(on: loopback)
    }

    private func send(_ bytes: Int = 1, to endpoint: Endpoint) throws {
        let any = endpoint.source.mappedIPv4 == nil ? "[::]:0" : "0.0.0.0:0"
        let socket = try Socket.datagrams(at: Endpoint(any)!)
        let payload = [UInt8](repeating: 0, count: bytes)
        _ = try Socket.send(payload, to: SocketAddress(endpoint), over: socket.raw)
    }

    @Test(arguments: ["127.0.0.2:9", "[::1]:9"])
    func `sees who speaks to whom`(address: String) throws {
        let tap = try open()
        try send(to: Endpoint(address)!)
        #expect(try receive(tap.raw).contains(Endpoint(address)!.source))
    }

    @Test func `sees neither facts nor multicast`() throws {
        let tap = try open()
        _ = try output(of: "/sbin/ip", ["address", "replace", "fe80::7/64", "dev", "lo", "nodad"])
        let route = ["-6", "route", "replace", "multicast", "ff02::1/128", "dev", "lo", "table", "local"]
        _ = try output(of: "/sbin/ip", route)
        for group in ["fe80::7", "ff02::1"] { try send(to: .v6(v6(group), port: 9, scope: loopback.number)) }
        try send(to: Endpoint("127.0.0.3:9")!)
        let seen = try receive(tap.raw)
        #expect(seen.contains(v4("127.0.0.3")) && seen.allSatisfy { $0.mappedIPv4 != nil })
    }

    @Test func `gets a part of a flood, and goes on after it`() throws {
        let tap = try open()
        for _ in 0..<2_000 { try send(1_400, to: Endpoint("127.0.0.4:9")!) }
        var buffer = [UInt8](repeating: 0, count: TrafficTap.snapLength)
        var rounds = 0
        while !TrafficTap.receive(from: tap.raw, into: &buffer).isEmpty { rounds += 1 }
        // Of 4,000 packets, those that come being seen as well as those that go.
        #expect(rounds > 0 && rounds < 1_000 / TrafficTap.packetsPerRound)
        try send(to: Endpoint("127.0.0.5:9")!)
        #expect(try receive(tap.raw).contains(v4("127.0.0.5")))
    }

    @Test func `cannot be widened by who has it`() throws {
        let tap = try open()
        let error = #expect(throws: SystemCallError.self) { try TrafficTap.filter.attach(to: tap.raw) }
        #expect(error?.errno == .notPermitted)
    }
}
