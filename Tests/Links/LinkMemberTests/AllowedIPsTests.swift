import NetworkAddresses
import Testing
import Time
import WireGuardTypes

@testable import LinkMember

@Suite("Who may send from what") struct AllowedIPsTests {
    private func items(_ texts: [String]) -> [AllowedIPs.Item] {
        texts.map { text in
            let parts = text.split(separator: " ")
            return AllowedIPs.Item(prefix(String(parts[0])), key(Int(parts[1])!))
        }
    }

    private func granted(
        networks: [String] = ["10.0.0.0/8 0", "fd00::/16 0"],
        fixed: [String] = [],
        _ wanted: [String]
    ) -> (granted: Set<String>, refused: Set<String>) {
        let result = AllowedIPs(networks: items(networks), fixed: items(fixed), wanted: items(wanted))
        let granted = result.granted.flatMap { key, prefixes in prefixes.map { "\($0) \(key.bytes[2])" } }
        let refused = result.refusals.map { "\($0.prefix) \($0.claimant.bytes[2]) \($0.owner.bytes[2])" }
        return (Set(granted), Set(refused))
    }

    @Test("What nobody else has, inside the network of a router")
    func plain() {
        let wanted = ["10.0.0.1/32 1", "10.0.0.2/32 2", "10.1.0.0/16 3", "fd00::1/128 1"]
        let (granted, refused) = granted(wanted)
        #expect(granted == Set(wanted))
        #expect(refused.isEmpty)
    }

    @Test("Not what is outside, and not a whole network or more than that")
    func outside() {
        let (granted, refused) = granted([
            "192.0.2.1/32 1", "10.0.0.0/8 2", "fd00::/16 3", "fd00::/15 4", "0.0.0.0/0 5",
        ])
        #expect(granted.isEmpty)
        #expect(refused == ["10.0.0.0/8 2 0", "fd00::/16 3 0"])
    }

    @Test("Where a router has a network inside that of another one, parts of one of them")
    func nested() {
        let networks = ["10.0.0.0/8 0", "10.1.0.0/16 9", "10.1.2.0/24 9", "10.2.0.0/16 0", "fd00::/16 0"]
        let outer = granted(networks: networks, ["10.0.0.1/32 1", "10.1.0.1/32 1", "fd00::1/128 1", "10.2.0.1/32 1"])
        #expect(outer.granted == ["10.0.0.1/32 1", "fd00::1/128 1", "10.2.0.1/32 1"])
        #expect(outer.refused == ["10.1.0.1/32 1 9"])
        let inner = granted(networks: networks, ["10.1.0.1/32 1", "10.0.0.1/32 1", "10.1.2.1/32 1", "10.2.0.1/32 1"])
        #expect(inner.granted == ["10.1.0.1/32 1", "10.1.2.1/32 1", "10.2.0.1/32 1"])
        #expect(inner.refused == ["10.0.0.1/32 1 0"])
    }

    @Test("Of two that overlap the first one; both are named")
    func overlaps() {
        let same = granted(["10.0.0.1/32 1", "10.0.0.1/32 2"])
        #expect(same.granted == ["10.0.0.1/32 1"])
        #expect(same.refused == ["10.0.0.1/32 2 1"])
        let inner = granted(["10.0.0.0/24 1", "10.0.0.1/32 2", "10.0.1.1/32 2"])
        #expect(inner.granted == ["10.0.0.0/24 1", "10.0.1.1/32 2"])
        #expect(inner.refused == ["10.0.0.1/32 2 1"])
        let outer = granted(["10.0.0.1/32 2", "10.0.0.0/24 1", "10.0.0.0/16 3"])
        #expect(outer.granted == ["10.0.0.1/32 2"])
        #expect(outer.refused == ["10.0.0.0/24 1 2", "10.0.0.0/16 3 2"])
        // One's own may overlap.
        let own = granted(["10.0.0.1/32 1", "10.0.0.0/24 1", "10.0.0.2/32 1", "10.0.0.0/16 2"])
        #expect(own.granted == ["10.0.0.1/32 1", "10.0.0.0/24 1", "10.0.0.2/32 1"])
        #expect(own.refused == ["10.0.0.0/16 2 1"])
        // Several below, of which the first is one's own.
        let mixed = granted(["10.0.0.1/32 1", "10.0.0.2/32 2", "10.0.0.0/24 1"])
        #expect(mixed.refused.count == 1)
        // What was refused stands in nobody's way.
        let free = granted(["10.0.0.1/32 1", "10.0.0.0/24 2", "10.0.0.2/32 3"])
        #expect(free.granted == ["10.0.0.1/32 1", "10.0.0.2/32 3"])
    }

    @Test("What the device has comes before, overlapping or not")
    func fixed() {
        let (granted, refused) = granted(
            fixed: ["10.0.0.0/24 8", "10.0.0.0/24 9"],
            ["10.0.0.1/32 1", "10.0.0.0/16 2"]
        )
        #expect(granted.isEmpty)
        #expect(refused.count == 2)
    }

    @Test("The families are apart")
    func families() {
        let (granted, _) = granted(
            networks: ["0.0.0.0/0 0", "::/0 0"],
            ["10.0.0.0/8 1", "a00::/8 2", "::ffff:0:0/95 3"]
        )
        #expect(granted == ["10.0.0.0/8 1", "a00::/8 2", "::fffe:0:0/95 3"])
        // An IPv4 prefix between two of IPv6 does not keep them apart.
        let around = self.granted(networks: ["0.0.0.0/0 0", "::/0 0"], ["::/1 1", "10.0.0.0/8 2", "a00::/8 3"])
        #expect(around.refused == ["a00::/8 3 1"])
    }

    @Test("It agrees with a comparison of all with all", arguments: 0..<20)
    func random(seed: Int) {
        var dice = Dice(seed: UInt64(seed))
        let wanted = (0..<60).map { _ in
            let length = UInt8.random(in: 9...32, using: &dice)
            let address = IPv4Address(
                value: 10 << 24 | UInt32.random(in: 0..<64, using: &dice) << 18 | UInt32.random(in: 0..<4, using: &dice)
            )
            return AllowedIPs.Item(IPPrefix(.v4(address), length: length)!, key(Int.random(in: 1...9, using: &dice)))
        }
        let result = AllowedIPs(networks: items(["10.0.0.0/8 0"]), fixed: [], wanted: wanted)
        var taken: [AllowedIPs.Item] = []
        for item in wanted {
            let overlaps = taken.contains { other in
                other.owner != item.owner && (other.prefix.contains(item.prefix) || item.prefix.contains(other.prefix))
            }
            if !overlaps { taken.append(item) }
        }
        let granted = result.granted.flatMap { owner, prefixes in prefixes.map { AllowedIPs.Item($0, owner) } }
        #expect(Set(granted) == Set(taken))
    }
}
