import Glibc
import NetworkAddresses
import Testing

@Suite("IPv6 addresses") struct IPv6AddressTests {
    @Test(
        "are read in every form of RFC 4291, section 2.2, and written in the one of RFC 5952",
        arguments: [
            ("2001:DB8:0:0:8:800:200C:417A", "2001:db8::8:800:200c:417a"),
            ("FF01:0:0:0:0:0:0:101", "ff01::101"),
            ("0:0:0:0:0:0:0:1", "::1"),
            ("::", "::"),
            ("0:0:0:0:0:FFFF:129.144.52.38", "::ffff:129.144.52.38"),
            ("::13.1.68.3", "::13.1.68.3"),
            ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
            ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"),
            ("fe80::0a:00ff:fe01:0203", "fe80::a:ff:fe01:203"),
        ]
    )
    func forms(text: String, preferred: String) throws {
        let address = try #require(IPv6Address(text))
        #expect(address.description == preferred)
        #expect(IPv6Address(preferred) == address)
        #expect(IPv6Address(bytes: address.bytes) == address)
    }

    @Test(
        "are nothing else",
        arguments: [
            "", ":", ":::", "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "12345::", "g::", "fe80::1%eth0", "[::1]",
            "::1/128",
            " ::1", "::1\n", "::1\0", "192.0.2.1", "::256.0.0.1",
        ]
    )
    func refusals(text: String) {
        #expect(IPv6Address(text) == nil)
    }

    @Test("are written as inet_ntop writes them, wherever the zeros are")
    func writing() {
        // Each group is zero, one or any: all ways for them to lie beside each other.
        for pattern in 0..<6561 {
            var (rest, groups) = (pattern, [UInt16]())
            for _ in 0..<8 {
                groups.append([0, 1, UInt16.random(in: 0...0xffff)][rest % 3])
                rest /= 3
            }
            let bytes = groups.flatMap { [UInt8($0 >> 8), UInt8($0 & 255)] }
            var text = [CChar](repeating: 0, count: 46)
            inet_ntop(AF_INET6, bytes, &text, 46)
            let expected = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            #expect(IPv6Address(bytes: bytes)?.description == expected)
        }
    }

    @Test("have their bytes in network order")
    func bytes() {
        let address = IPv6Address(high: 0xfe80_0000_0000_0000, low: 0x00de_5dff_feb8_5b59)
        #expect(address.bytes == [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0xde, 0x5d, 0xff, 0xfe, 0xb8, 0x5b, 0x59])
        #expect(address == IPv6Address("fe80::de:5dff:feb8:5b59"))
    }

    @Test("have sixteen bytes", arguments: [0, 4, 15, 16, 17])
    func length(count: Int) {
        #expect((IPv6Address(bytes: [UInt8](repeating: 0, count: count)) != nil) == (count == 16))
    }

    @Test(
        "are link-local within fe80::/10",
        arguments: [
            ("fe80::", true), ("febf:ffff::", true), ("fe7f:ffff::", false), ("fec0::", false), ("2001:db8::1", false),
        ]
    )
    func linkLocal(text: String, isLinkLocal: Bool) throws {
        #expect(try #require(IPv6Address(text)).isLinkLocal == isLinkLocal)
    }

    @Test("have their link in them if they are link-local, whatever was there; others stay as they are")
    func scoped() {
        let address = IPv6Address("fe80:1:2:3::5")!.scoped(to: .max)
        #expect(address.scope == .max)
        #expect(address.unscoped == IPv6Address("fe80::5"))
        #expect(address.sourceDescription == "fe80::5%4294967295")
        #expect(IPv6Address("fe80::5")!.sourceDescription == "fe80::5")
        #expect(IPv6Address("fe80:0:1:2::5")!.unmappedDescription == "fe80:0:1:2::5")
        for text in ["2001:db8:0:7::5", "::", "::ffff:192.0.2.1", "fec0::1"] {
            let address = IPv6Address(text)!
            #expect(address.scoped(to: 7) == address)
            #expect(address.scope == 0)
        }
        #expect(Endpoint.v6(IPv6Address("fe80::5")!, port: 1, scope: 7).source.scope == 7)
        #expect(Endpoint.v4(IPv4Address("192.0.2.1")!, port: 1).source == IPv6Address("::ffff:192.0.2.1"))
    }

    @Test("stand for IPv4 ones only under ::ffff:0:0/96")
    func mapping() throws {
        let v4 = try #require(IPv4Address("192.0.2.1"))
        #expect(IPv6Address(mapping: v4).description == "::ffff:192.0.2.1")
        #expect(IPv6Address(mapping: v4).mappedIPv4 == v4)
        for text in ["::192.0.2.1", "::fffe:192.0.2.1", "::1:ffff:192.0.2.1", "1::ffff:192.0.2.1"] {
            #expect(try #require(IPv6Address(text)).mappedIPv4 == nil, "\(text)")
        }
    }
}

@Suite("IPv4 addresses") struct IPv4AddressTests {
    @Test("are four decimal numbers", arguments: ["0.0.0.0", "192.0.2.1", "255.255.255.255"])
    func forms(text: String) throws {
        let address = try #require(IPv4Address(text))
        #expect(address.description == text)
        #expect(IPv4Address(bytes: address.bytes) == address)
    }

    @Test(
        "are none of the other forms that inet_aton takes",
        arguments: ["", "1", "1.2.3", "1.2.3.4.5", "0x1.2.3.4", "1.2.3.256", "1.2.3.4 ", "1.2.3.4\0", "::1"]
    )
    func refusals(text: String) {
        #expect(IPv4Address(text) == nil)
    }

    @Test("have their first byte on top")
    func value() {
        #expect(IPv4Address(value: 0xc000_0201).description == "192.0.2.1")
        #expect(IPv4Address(bytes: [192, 0, 2]) == nil)
        #expect(IPv4Address(bytes: [192, 0, 2, 1, 0]) == nil)
    }
}

@Suite("MAC addresses") struct MACAddressTests {
    @Test("are read in either case and written in lower case")
    func forms() throws {
        let mac = try #require(MACAddress("02:DE:5d:B8:5b:09"))
        #expect(mac.description == "02:de:5d:b8:5b:09")
        #expect(mac.bytes == [0x02, 0xde, 0x5d, 0xb8, 0x5b, 0x09])
        #expect(mac == MACAddress(0x02, 0xde, 0x5d, 0xb8, 0x5b, 0x09))
        #expect(MACAddress(bytes: mac.bytes) == mac)
        #expect(MACAddress("00:00:00:00:00:00") == .zero)
    }

    @Test(
        "are six groups of two digits",
        arguments: [
            "", "02:de:5d:b8:5b", "02:de:5d:b8:5b:59:00", "2:de:5d:b8:5b:59", "002:de:5d:b8:5b:59", "02-de-5d-b8-5b-59",
            "02:de:5d:b8:5b:5g", "02:de:5d:b8:5b:", ":02:de:5d:b8:5b:59", "+2:de:5d:b8:5b:59", "-1:de:5d:b8:5b:59",
            "02:de:5d:b8:5b:59\n",
        ]
    )
    func refusals(text: String) {
        #expect(MACAddress(text) == nil)
    }

    @Test("have six bytes", arguments: [5, 6, 7])
    func length(count: Int) {
        #expect((MACAddress(bytes: [UInt8](repeating: 1, count: count)) != nil) == (count == 6))
    }
}

@Suite("Prefixes") struct IPPrefixTests {
    @Test(
        "are read with and without length",
        arguments: [
            ("fe80::1/64", "fe80::1/64"), ("fe80::1", "fe80::1/128"), ("192.0.2.0/24", "192.0.2.0/24"),
            ("192.0.2.1", "192.0.2.1/32"),
            ("::/0", "::/0"), ("0.0.0.0/0", "0.0.0.0/0"), ("::1/128", "::1/128"), ("192.0.2.1/32", "192.0.2.1/32"),
        ]
    )
    func forms(text: String, full: String) throws {
        #expect(try #require(IPPrefix(text)).description == full)
    }

    @Test(
        "are not longer than their address, and nothing else",
        arguments: [
            "", "/", "::/", "/64", "::1/129", "192.0.2.1/33", "::1/-1", "::1/+1", "::1/6 4", "::1/64/64", "::1/256",
            "x/64",
        ]
    )
    func refusals(text: String) {
        #expect(IPPrefix(text) == nil)
    }

    @Test("of a host hold that address only")
    func host() throws {
        let address = try #require(IPv6Address("fe80::1"))
        #expect(IPPrefix(host: address) == IPPrefix("fe80::1/128"))
        #expect(IPPrefix(.v6(address), length: 128) == IPPrefix(host: address))
        #expect(IPPrefix(.v6(address), length: 129) == nil)
        #expect(IPPrefix(.v4(IPv4Address(value: 1)), length: 33) == nil)
    }
}

@Suite("Endpoints") struct EndpointTests {
    @Test("are read and written", arguments: ["192.0.2.1:10012", "[2001:db8::1]:65535", "[::]:0"])
    func forms(text: String) throws {
        let endpoint = try #require(Endpoint(text))
        #expect(endpoint.description == text)
        #expect(endpoint.port == UInt16(text.split(separator: ":").last ?? ""))
    }

    @Test(
        "are nothing else",
        arguments: [
            "", ":", "192.0.2.1", "192.0.2.1:", "192.0.2.1:65536", "192.0.2.1:-1", "192.0.2.1:+1", "192.0.2.1: 1",
            "2001:db8::1:1",
            "[2001:db8::1]", "[192.0.2.1]:1", "[::1:1", "::1]:1", "localhost:1", "[fe80::1%eth0]:1",
        ]
    )
    func refusals(text: String) {
        #expect(Endpoint(text) == nil)
    }

    @Test("write the scope of an address that has one")
    func scope() throws {
        let address = try #require(IPv6Address("fe80::1"))
        #expect(Endpoint.v6(address, port: 1, scope: 3).description == "[fe80::1%3]:1")
    }
}

@Suite("Interface names") struct InterfaceNameTests {
    @Test("have up to 15 bytes", arguments: [0, 1, 15, 16])
    func length(count: Int) {
        #expect((InterfaceName(String(repeating: "w", count: count)) != nil) == (1...15).contains(count))
    }

    @Test(
        "may hold what the kernel takes and a log line can show",
        arguments: ["wgww01", "vx-ww.01", "a_b", "...", "@~!"]
    )
    func taken(text: String) {
        #expect(InterfaceName(text)?.description == text)
    }

    @Test(
        "hold nothing else",
        arguments: [".", "..", "a/b", "a:b", "a b", "a\tb", "a\n", "a\0", "a\u{7f}", "é", "wg\u{1}"]
    )
    func refused(text: String) {
        #expect(InterfaceName(text) == nil)
    }
}

@Suite("Interface numbers") struct InterfaceIndexTests {
    @Test("are any but 0")
    func zero() {
        #expect(InterfaceIndex(0) == nil)
        #expect(InterfaceIndex(1)?.number == 1)
        #expect(InterfaceIndex(.max)?.description == "4294967295")
    }
}

@Suite("What is in a prefix") struct PrefixContentTests {
    @Test(
        "An address is in a prefix of its own family that it begins with",
        arguments: [
            ("10.0.0.0/8", "10.255.0.1", true), ("10.0.0.0/8", "11.0.0.1", false), ("0.0.0.0/0", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.1", true), ("192.0.2.1", "192.0.2.0", false), ("::/0", "192.0.2.1", false),
            ("::/0", "2001:db8::1", true), ("0.0.0.0/0", "2001:db8::1", false),
            ("2001:db8::/32", "2001:db8:ffff::1", true), ("2001:db8::/32", "2001:db9::", false),
            ("2001:db8::/64", "2001:db8::1:2:3:4", true), ("2001:db8::/65", "2001:db8::8000:0:0:0", false),
            ("2001:db8::1/128", "2001:db8::1", true), ("2001:db8::1/128", "2001:db8::2", false),
        ]
    )
    func content(prefix: String, address: String, isInside: Bool) throws {
        let prefix = try #require(IPPrefix(prefix))
        let address = try #require(IPv4Address(address).map(IPv6Address.init(mapping:)) ?? IPv6Address(address))
        #expect(prefix.contains(address) == isInside)
    }
}
