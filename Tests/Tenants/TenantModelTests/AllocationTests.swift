import NetworkAddresses
import TenantModel
import Testing

@Suite("Allocations") struct AllocationTests {
    static func allocation(_ text: String, number: UInt8 = 0, reserve: UInt32? = nil) throws -> Allocation {
        let prefix = try #require(IPv6Prefix(text))
        return try #require(Allocation(prefix: prefix, number: number, reserve: reserve))
    }

    static func segment(_ text: String) throws -> Segment { try #require(IPv6Prefix(text).flatMap { Segment($0) }) }

    @Test(
        "have so many /64, so many for routers, and so many for members",
        arguments: [
            ("2a02:1807:1100::/48", 65_536, 256, 65_279, "2a02:1807:1100:100::/64"),
            ("2a02:1802::/40", 16_777_216, 256, 16_711_424, "2a02:1802:0:100::/64"),
            ("2a02:1807:1100:ab00::/56", 256, 16, 240, "2a02:1807:1100:ab10::/64"),
            ("2a02:1807:1100:1000::/52", 4_096, 256, 3_840, "2a02:1807:1100:1100::/64"),
            ("2001:db8:0:10::/60", 16, 2, 14, "2001:db8:0:12::/64"),
            ("2001:db8:0:10::/62", 4, 2, 2, "2001:db8:0:12::/64"),
            // Below those of the table: a block at either end of the 16 bits from which IPv4 is derived
            ("2001:db8:0:fff0::/60", 16, 2, 13, "2001:db8:0:fff2::/64"),
            ("2001:db8::/60", 16, 2, 14, "2001:db8:0:2::/64"),
            ("2001:db8::/32", 1 << 32, 256, 65_279 << 16, "2001:db8:0:100::/64"),
        ] as [(String, UInt64, UInt64, UInt64, String)]
    )
    func counts(text: String, all: UInt64, reserved: UInt64, usable: UInt64, first: String) throws {
        let allocation = try Self.allocation(text)
        #expect(allocation.segmentCount == all)
        #expect(allocation.reservedCount == reserved)
        #expect(allocation.usableCount == usable)
        #expect(allocation.isReserved(reserved - 1))
        #expect(!allocation.isReserved(reserved))
        #expect(allocation.segment(at: reserved)?.description == first)
        #expect(allocation.segment(at: all) == nil)
        #expect(allocation.segment(at: all - 1).flatMap { allocation.index(of: $0) } == all - 1)
    }

    @Test(
        "have as many usable /64 as can be counted one by one",
        arguments: [48, 49, 52, 55, 56, 60, 61, 62] as [UInt8]
    )
    func usableOneByOne(length: UInt8) throws {
        for base in ["2001:db8:0:fffc::", "2001:db8:0:8000::", "2001:db8::"] {
            let prefix = try #require(IPv6Address(base).flatMap { IPv6Prefix($0, length: length)?.masked })
            let allocation = try #require(Allocation(prefix: prefix, number: 0))
            let usable = (0..<allocation.segmentCount).count { index in
                guard !allocation.isReserved(index), let segment = allocation.segment(at: index) else { return false }
                return allocation.tag(of: segment)?.allowsIPv4 ?? false
            }
            #expect(UInt64(usable) == allocation.usableCount, "\(prefix)")
        }
    }

    @Test(
        "give a /64 its tag, its exit address and its gateway",
        arguments: [
            ("2a02:1807:1100::/48", "2a02:1807:1100:100::/64", "0100", "2a02:1807:1100::100", "2a02:1807:1100::1"),
            ("2a02:1807:1100::/48", "2a02:1807:1100:11cd::/64", "11cd", "2a02:1807:1100::11cd", "2a02:1807:1100::1"),
            ("2a02:1802::/40", "2a02:1802:0:100::/64", "000100", "2a02:1802::100", "2a02:1802::1"),
            ("2a02:1802::/40", "2a02:1802:1:100::/64", "010100", "2a02:1802::1:100", "2a02:1802::1"),
            (
                "2a02:1807:1100:ab00::/56", "2a02:1807:1100:ab10::/64", "ab10", "2a02:1807:1100:ab00::ab10",
                "2a02:1807:1100:ab00::1"
            ),
            ("2001:db8:0:10::/60", "2001:db8:0:12::/64", "0012", "2001:db8:0:10::12", "2001:db8:0:10::1"),
        ]
    )
    func exits(text: String, prefix: String, tag: String, exit: String, gateway: String) throws {
        let allocation = try Self.allocation(text)
        let found = try #require(allocation.tag(of: try Self.segment(prefix)))
        #expect(found.description == tag)
        #expect(allocation.exitAddress(of: found).description == exit)
        #expect(allocation.gatewayAddress.description == gateway)
    }

    @Test(
        "are nothing else",
        arguments: [
            ("2a05:2380::/29", 0), ("2a05:2380::/31", 0), ("2001:db8::/63", 0), ("2001:db8::/64", 0),
            ("2a02:1807:1100:1::/48", 0), ("2a02:1807:1100::1/48", 0), ("2a02:1807:1100::/48", 100),
        ] as [(String, UInt8)]
    )
    func refusals(text: String, number: UInt8) throws {
        #expect(Allocation(prefix: try #require(IPv6Prefix(text)), number: number) == nil)
    }

    @Test("know no /64 of others") func others() throws {
        let allocation = try Self.allocation("2a02:1807:1100::/48")
        let other = try Self.segment("2a02:1807:1101:100::/64")
        #expect(allocation.index(of: other) == nil)
        #expect(allocation.tag(of: other) == nil)
    }

    @Test("reserve what is said") func reserve() throws {
        #expect(try Self.allocation("2001:db8::/48", reserve: 512).usableCount == 65_023)
        // The documents' own rule leaves nothing of a /56.
        #expect(try Self.allocation("2001:db8::/56", reserve: 256).usableCount == 0)
        #expect(try Self.allocation("2001:db8::/60", reserve: UInt32.max).usableCount == 0)
    }
}
