import NetworkAddresses
import Testing

@Suite("Prefixes among each other") struct PrefixRelationTests {
    @Test(
        "have nothing behind their bits when they are masked",
        arguments: [
            ("10.1.2.3/8", "10.0.0.0/8"), ("10.1.2.3/32", "10.1.2.3/32"), ("255.255.255.255/0", "0.0.0.0/0"),
            ("10.1.2.3/31", "10.1.2.2/31"), ("2001:db8::ffff/127", "2001:db8::fffe/127"),
            ("ffff:ffff:ffff:ffff:ffff::/64", "ffff:ffff:ffff:ffff::/64"),
            ("ffff:ffff:ffff:ffff:ffff::/65", "ffff:ffff:ffff:ffff:8000::/65"), ("ffff::1/0", "::/0"),
            ("ffff:ffff::1/17", "ffff:8000::/17"), ("::1/128", "::1/128"),
        ]
    )
    func masked(text: String, masked: String) throws {
        #expect(try #require(IPPrefix(text)).masked.description == masked)
    }

    @Test(
        "hold those that lie in them",
        arguments: [
            ("10.0.0.0/8", "10.1.2.0/24", true), ("10.0.0.0/8", "10.0.0.0/8", true),
            ("10.0.0.0/9", "10.0.0.0/8", false),
            ("10.0.0.0/8", "11.0.0.0/24", false), ("0.0.0.0/0", "1.2.3.4/32", true), ("::/0", "1.2.3.4/32", false),
            ("0.0.0.0/0", "::/0", false), ("fd00::5/64", "fd00::/65", true), ("fd00::/64", "fd00:0:0:1::/65", false),
        ]
    )
    func contains(outer: String, inner: String, isInside: Bool) throws {
        let (outer, inner) = (try #require(IPPrefix(outer)), try #require(IPPrefix(inner)))
        #expect(outer.contains(inner) == isInside)
    }
}
