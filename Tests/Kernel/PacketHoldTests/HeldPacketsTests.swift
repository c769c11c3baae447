import NetworkAddresses
import Testing
import Time
import WireGuardTypes

@testable import PacketHold

private let one = PublicKey(bytes: [UInt8](repeating: 1, count: 32).span)!
private let other = PublicKey(bytes: [UInt8](repeating: 2, count: 32).span)!

/// A packet to an address, of that length.
private func packet(to address: String, number: UInt8 = 0, length: Int = 60) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: length)
    if let v4 = IPv4Address(address) {
        bytes[0] = 0x45
        bytes.replaceSubrange(16..<20, with: v4.bytes)
    } else {
        bytes[0] = 0x60
        bytes.replaceSubrange(24..<40, with: IPv6Address(address)!.bytes)
    }
    bytes[length - 1] = number
    return bytes
}

@Suite struct HeldPacketsTests {
    private let now = MonotonicTime.start + .seconds(5)

    @Test func `packets wait for their peer, in their order`() {
        var held = HeldPackets()
        held.begin(one, [IPPrefix("10.9.0.2/32")!, IPPrefix("fd00:1::/64")!], at: now)
        held.begin(other, [IPPrefix("10.9.0.3/32")!], at: now)
        let first = packet(to: "10.9.0.2", number: 1)
        let second = packet(to: "fd00:1::5", number: 2)
        #expect(held.take(first) == .held && held.take(second) == .held)
        #expect(held.take(packet(to: "10.9.0.3")) == .held)
        #expect(held.packets == 3 && held.bytes == 180)
        #expect(held.next(of: one) == first)
        held.removeNext(of: one)
        #expect(held.next(of: one) == second)
        held.removeNext(of: one)
        #expect(held.next(of: one) == nil && held.packets == 1)
        held.removeNext(of: one)
        held.end(other)
        #expect(held.packets == 0 && held.bytes == 0 && Set(held.holds.keys) == [one])
    }

    @Test func `what nobody waits for goes on, and what is of this link alone does not`() {
        var held = HeldPackets()
        held.begin(one, [IPPrefix("10.9.0.2/32")!], at: now)
        #expect(held.take(packet(to: "10.9.0.4")) == .passed)
        #expect(held.take(packet(to: "fd00:1::5")) == .passed)
        #expect(held.take(packet(to: "ff02::16")) == .refused)
        #expect(held.take(packet(to: "fe80::1")) == .refused)
        #expect(held.take(packet(to: "224.0.0.1")) == .refused)
    }

    @Test func `what is no packet is refused`() {
        var held = HeldPackets()
        held.begin(one, [IPPrefix("0.0.0.0/8")!], at: now)
        for length in 0..<20 { #expect(held.take([UInt8](repeating: 0x45, count: length)) == .refused) }
        for length in 0..<40 { #expect(held.take([UInt8](repeating: 0x60, count: length)) == .refused) }
        #expect(held.take([UInt8](repeating: 0x55, count: 60)) == .refused)
    }

    @Test func `one packet too many ends the hold`() {
        var held = HeldPackets()
        held.begin(one, [IPPrefix("10.9.0.2/32")!], at: now)
        let small = packet(to: "10.9.0.2")
        for _ in 0..<HoldLimits.packets { #expect(held.take(small) == .held) }
        #expect(held.take(small) == .full(one))
    }

    @Test func `one byte too many does too`() {
        var held = HeldPackets()
        held.begin(one, [IPPrefix("10.9.0.2/32")!], at: now)
        let large = packet(to: "10.9.0.2", length: 1 << 16)
        for _ in 0..<(HoldLimits.bytes >> 16) { #expect(held.take(large) == .held) }
        #expect(held.take(packet(to: "10.9.0.2", length: 21)) == .full(one))
    }

    @Test(
        arguments: [(1, 200, 16), (1_599, 200, 16), (2_100, 200, 21), (6_400, 200, 64), (9_000, 200, 64), (40, 0, 64)]
    )
    func `packets leave twice as fast as they came, within limits`(count: Int, milliseconds: Int, burst: Int) {
        var held = HeldPackets()
        held.begin(one, [IPPrefix("10.9.0.2/32")!], at: now)
        let small = packet(to: "10.9.0.2")
        for _ in 0..<count { _ = held.take(small) }
        held.release(one, at: now + .milliseconds(milliseconds))
        #expect(held.holds[one]?.burst == burst)
    }

    @Test func `each length of prefix has its set, and nft gets no host names`() throws {
        let index = InterfaceIndex(7)!
        let device = InterfaceName("kexhold0")!
        #expect(HoldRules(interface: InterfaceName("wg\"0")!, index: index, device: device) == nil)
        var rules = try #require(HoldRules(interface: InterfaceName("wg0")!, index: index, device: device))
        let prefixes = ["10.9.0.2/32", "10.9.0.9/24", "fd00:1::/64"].map { IPPrefix($0)! }
        let (commands, new) = rules.holding(prefixes)
        #expect(
            commands == [
                "add set netdev kex_hold_7 v4_32 { type ipv4_addr; flags timeout; }",
                "add rule netdev kex_hold_7 out ip daddr @v4_32 fwd to \"kexhold0\"",
                "add set netdev kex_hold_7 v4_24 { type ipv4_addr; flags timeout; }",
                "add rule netdev kex_hold_7 out ip daddr & 255.255.255.0 @v4_24 fwd to \"kexhold0\"",
                "add set netdev kex_hold_7 v6_64 { type ipv6_addr; flags timeout; }",
                "add rule netdev kex_hold_7 out ip6 daddr & ffff:ffff:ffff:ffff:: @v6_64 fwd to \"kexhold0\"",
                "add element netdev kex_hold_7 v4_24 { 10.9.0.0 timeout 2s }",
                "add element netdev kex_hold_7 v4_32 { 10.9.0.2 timeout 2s }",
                "add element netdev kex_hold_7 v6_64 { fd00:1:: timeout 2s }",
            ]
        )
        rules.note(new)
        #expect(rules.holding([IPPrefix("10.9.0.3/32")!]).commands.count == 1)
    }
}
