import NetworkAddresses
import Testing

@Suite("Prefixes of one family") struct FamilyPrefixTests {
    @Test("are none of the other") func families() {
        #expect(IPv6Prefix("10.0.0.0/8") == nil)
        #expect(IPv4Prefix("2001:db8::/32") == nil)
        #expect(IPv6Prefix("2001:db8::1")?.length == 128)
        #expect(IPv4Prefix("10.0.0.1")?.length == 32)
    }

    @Test("are not longer than their address") func lengths() throws {
        let (v6, v4) = (try #require(IPv6Address("::1")), try #require(IPv4Address("10.0.0.1")))
        #expect(IPv6Prefix(v6, length: 128) != nil)
        #expect(IPv6Prefix(v6, length: 129) == nil)
        #expect(IPv4Prefix(v4, length: 32) != nil)
        #expect(IPv4Prefix(v4, length: 33) == nil)
        #expect(IPv6Prefix("::/129") == nil)
        #expect(IPv4Prefix("10.0.0.0/33") == nil)
    }

    @Test(
        "are networks if nothing is behind their bits",
        arguments: [
            ("2001:db8::/48", true), ("2001:db8::1/48", false), ("2001:db8:0:1::/48", false), ("2001:db8::1/128", true),
            ("::/0", true), ("8000::/0", false), ("2001:db8::8000:0:0:0/65", true),
        ]
    )
    func networks(text: String, isNetwork: Bool) throws {
        let prefix = try #require(IPv6Prefix(text))
        #expect(prefix.isNetwork == isNetwork)
        #expect(prefix.masked.isNetwork)
        #expect(prefix.masked.ipPrefix == prefix.ipPrefix.masked)
    }

    @Test(
        "of IPv4 too",
        arguments: [
            ("10.0.0.0/8", true), ("10.0.0.1/8", false), ("10.0.0.1/32", true), ("0.0.0.0/0", true),
            ("128.0.0.0/0", false),
        ]
    )
    func networks4(text: String, isNetwork: Bool) throws {
        let prefix = try #require(IPv4Prefix(text))
        #expect(prefix.isNetwork == isNetwork)
        #expect(prefix.masked.ipPrefix == prefix.ipPrefix.masked)
    }

    @Test("hold what is in them, and overlap what holds them") func relations() throws {
        let (outer, inner) = (try #require(IPv6Prefix("2001:db8::/32")), try #require(IPv6Prefix("2001:db8:1::/48")))
        let other = try #require(IPv6Prefix("2001:db9::/32"))
        #expect(outer.contains(inner) && !inner.contains(outer) && !outer.contains(other))
        #expect(outer.overlaps(inner) && inner.overlaps(outer) && !other.overlaps(inner))
        #expect(inner.contains(try #require(IPv6Address("2001:db8:1:ffff::1"))))
        #expect(!inner.contains(try #require(IPv6Address("2001:db8:2::1"))))
        let (outer4, inner4) = (try #require(IPv4Prefix("10.0.0.0/8")), try #require(IPv4Prefix("10.255.0.0/16")))
        #expect(outer4.contains(inner4) && !inner4.contains(outer4))
        #expect(outer4.overlaps(inner4) && inner4.overlaps(outer4))
        #expect(outer4.contains(try #require(IPv4Address("10.255.255.255"))))
        #expect(!outer4.contains(try #require(IPv4Address("11.0.0.0"))))
        #expect(try #require(IPv4Prefix("0.0.0.0/0")).contains(try #require(IPv4Address("255.255.255.255"))))
    }

    @Test("are written with their length") func description() {
        #expect(IPv6Prefix("2001:DB8:0::/48")?.description == "2001:db8::/48")
        #expect(IPv4Prefix("10.0.0.1/8")?.description == "10.0.0.1/8")
    }
}
