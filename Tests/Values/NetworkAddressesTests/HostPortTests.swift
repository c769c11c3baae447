import NetworkAddresses
import Testing

@Suite("A host and a port") struct HostPortTests {
    @Test(
        "is read in every form that users write",
        arguments: [
            ("gw.example.org", "gw.example.org", 10012),
            ("gw.example.org:1", "gw.example.org", 1),
            ("gw_1", "gw_1", 10012),
            ("192.0.2.1:65535", "192.0.2.1", 65535),
            ("2001:db8::1", "2001:db8::1", 10012),
            ("::1", "::1", 10012),
            ("[2001:db8::1]", "2001:db8::1", 10012),
            ("[2001:db8::1]:10013", "2001:db8::1", 10013),
            ("fe80::1%eth0", "fe80::1%eth0", 10012),
            ("[fe80::1%eth0]:7", "fe80::1%eth0", 7),
            (String(repeating: "a", count: 253), String(repeating: "a", count: 253), 10012),
        ]
    )
    func reads(text: String, host: String, port: Int) throws {
        let address = try #require(HostPort(text, defaultPort: 10012))
        #expect(address.host == host)
        #expect(address.port == UInt16(port))
        #expect(HostPort("\(address)", defaultPort: nil) == address)
    }

    @Test(
        "is refused in every other form",
        arguments: [
            "", ":10012", "gw:", "gw:0", "gw:65536", "gw:+1", "gw:1x", "gw:1:2", "[gw]:1", "[::1", "[::1]1", "[]:1",
            "[::1]:",
            "fe80::1%", "fe80::1%eth/0", "g w", "gw/x", "user@gw", "-gw", "gw!", "gw\u{e4}", "gw\n",
            String(repeating: "a", count: 254),
        ]
    )
    func refuses(text: String) { #expect(HostPort(text, defaultPort: 10012) == nil) }

    @Test("must have a port where none is usual", arguments: ["gw", "::1", "[::1]"])
    func needsPort(text: String) { #expect(HostPort(text, defaultPort: nil) == nil) }
}
