import TenantFile
import TenantModel
import Testing

@Suite("Values of a document that are refused") struct ValueTests {
    /// Two nodes and a network; each test puts one line in the place of another, or behind all.
    static let lines = [
        "format: 1",
        "allocations:",
        "  - {number: 0, prefix: '2a02:1807:1100::/48'}",
        "nodes:",
        "  farm: {ipv6: {public: '2a02:1807:1::1'}}",
        "  home: {ipv6: hidden}",
        "networks:",
        "  mine:",
        "    version: 1",
        "    members:",
        "      farm: abxBRHoa8e5MKFNGhitWZpOKMTxd48Pvsm5CbmRxyAY=",
        "      home: {key: u8p9TxGBGTyOyKJHFvTMGXgKgSzYqdwmPK9ENB0dz1Q=}",
        "    exit: farm",
    ]

    /// The document with other lines in place of some, by their numbers from 1.
    static func document(_ changes: [Int: String]) -> String {
        var lines = lines
        for (number, line) in changes {
            if number <= lines.count { lines[number - 1] = line } else { lines.append(line) }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    @Test("is right by itself") func base() { #expect(mistakes(in: Self.document([:])).isEmpty) }

    struct Row: Sendable, CustomTestStringConvertible {
        let line: Int
        let text: String
        let mistake: String

        init(_ line: Int, _ text: String, _ mistake: String) {
            (self.line, self.text, self.mistake) = (line, text, mistake)
        }

        var testDescription: String { text }
    }

    static let name = "a name: 1 to 63 lower-case letters, digits and hyphens (or a UUID in lower case)"
    static let key = "      home: {key: u8p9TxGBGTyOyKJHFvTMGXgKgSzYqdwmPK9ENB0dz1Q="
    static let kinds = "nic, vlan, macvlan, veth and existing"

    static let rows = [
        // Types that are not what they should be
        Row(1, "format: 2", "1: format 2 is newer than this program, which reads up to 1; install a newer kex-net"),
        Row(
            1,
            "format: 01",
            "1: format: 01 begins with 0, which some read as octal; expected a number from 1 to 4294967295, without zeros in front"
        ),
        Row(
            1,
            "format: '1'",
            "1: format: 1 is a text in quotes; expected a number from 1 to 4294967295, without quotes"
        ),
        Row(1, "format: 0", "1: format: 0 is not a number from 1 to 4294967295"),
        Row(1, "format: 1.0", "1: format: 1.0 is not a number from 1 to 4294967295"),
        Row(1, "format: 0x1", "1: format: 0x1 is not a number from 1 to 4294967295"),
        Row(1, "format: +1", "1: format: +1 is not a number from 1 to 4294967295"),
        Row(1, "format: 99999999999999999999", "1: format: 99999999999999999999 is not a number from 1 to 4294967295"),
        Row(1, "# none", "1: the document needs `format: 1`, so that programs know how to read it"),
        Row(6, "  home: {ipv6: hidden, may_be_exit: no}", "6: may_be_exit: no is not true or false"),
        Row(6, "  home: {ipv6: hidden, may_be_exit: 'true'}", "6: may_be_exit: true is not true or false"),
        Row(6, "  home: {ipv6: hidden, site: }", "6: site has no value; expected \(name)"),
        Row(6, "  home: {ipv6: hidden, site: [a]}", "6: site has too much; expected \(name)"),
        Row(6, "  home: {ipv6: hidden, site: Home}", "6: site: Home is not \(name)"),
        Row(
            8,
            "  Mine:",
            "8: Mine is not a name: 1 to 63 lower-case letters, digits and hyphens (or a UUID in lower case)"
        ),
        Row(9, "    version: 2026-01-01", "9: version: 2026-01-01 is not a number from 0 to 4294967295"),
        Row(
            9,
            "    version: 0100",
            "9: version: 0100 begins with 0, which some read as octal; expected a number from 0 to 4294967295, without zeros in front"
        ),
        Row(9, "    vresion: 1", "8: mine needs version"),
        Row(
            13,
            "    exit: [farm]",
            "13: exit is no table; exit has node, default_route, interface, ipv4, ipv6, forwards and allow"
        ),
        // Addresses
        Row(
            3,
            "  - {number: 0, prefix: '2a02:1807:1100:::/48'}",
            "3: prefix: 2a02:1807:1100:::/48 has three colons; did you mean 2a02:1807:1100::/48?"
        ),
        Row(
            3,
            "  - {number: 0, prefix: '2a02:1807:1100:1::/48'}",
            "3: prefix: 2a02:1807:1100:1::/48 has bits behind its length; the network is 2a02:1807:1100::/48"
        ),
        Row(
            3,
            "  - {number: 0, prefix: '2a02:1807:1100::'}",
            "3: prefix: 2a02:1807:1100:: is not an IPv6 prefix with its length, such as 2001:db8:0:100::/64"
        ),
        Row(
            3,
            "  - {number: 0, prefix: 10.0.0.0/8}",
            "3: prefix: 10.0.0.0/8 is not an IPv6 prefix with its length, such as 2001:db8:0:100::/64"
        ),
        Row(
            3,
            "  - {number: 0, prefix: '2a05:2380::/29'}",
            "3: 2a05:2380::/29 is no allocation: from /32 to /62; its tags would be too long for names of interfaces; name a part of it"
        ),
        Row(
            3,
            "  - {number: 0, prefix: '2a02:1807:1100::/63'}",
            "3: 2a02:1807:1100::/63 is no allocation: from /32 to /62; nothing is left in it beside the routers' /64"
        ),
        Row(
            3,
            "  - {number: 100, prefix: '2a02:1807:1100::/48'}",
            "3: number: 100 is not a number from 0 to 99"
        ),
        Row(
            3,
            "  - {prefix: '2a02:1807:1100::/48'}",
            "3: an allocation needs number, which stands in names of interfaces and never changes"
        ),
        Row(3, "  - {number: 0}", "3: an allocation needs prefix, such as 2001:db8:1::/48"),
        Row(
            5,
            "  farm: {ipv6: public}",
            "5: ipv6: public is not hidden, {hidden: ADDRESS} or {public: ADDRESS}; a public node needs the address that others speak to"
        ),
        Row(
            5,
            "  farm: {ipv6: {public: 'fe80::1', hidden: 'fe80::2'}}",
            "5: ipv6 is hidden or public in one family; expected hidden, {hidden: ADDRESS} or {public: ADDRESS}"
        ),
        Row(
            5,
            "  farm: {ipv6: {public: 198.51.100.1}}",
            "5: public: 198.51.100.1 is not an IPv6 address such as 2001:db8::10"
        ),
        Row(
            11,
            "      farm: abc",
            "11: farm: abc is not a WireGuard public key: the 44 characters that `wg pubkey` prints"
        ),
        Row(12, "      home: {}", "12: home needs key"),
        Row(
            12,
            key + ", prefix: '2a02:1807:1100:100::1/64'}",
            "12: prefix: 2a02:1807:1100:100::1/64 has bits behind its length; the network is 2a02:1807:1100:100::/64"
        ),
        Row(12, key + ", port: 65536}", "12: port: 65536 is not a number from 1 to 65535"),
        Row(
            12,
            key + ", allow: [{to: '2a02::', ports: 9-1}]}",
            "12: ports: 9-1 is not a port from 1 to 65535, or two with a hyphen such as 8000-8010"
        ),
        Row(
            13,
            "    exit: {node: farm, ipv6: {address: '2a02:1807:1100:::100/64'}}",
            "13: address: 2a02:1807:1100:::100/64 has three colons; did you mean 2a02:1807:1100::100/64 (the exit's address of 2a02:1807:1100:100::/64)?"
        ),
        Row(
            13,
            "    exit: {node: farm, ipv4: {address: 198.51.100.1}}",
            "13: address: 198.51.100.1 is not an IPv4 address with its length, such as 198.51.100.10/24"
        ),
        Row(13, "    exit: {node: farm, ipv4: yes}", "13: ipv4: yes is not none, shared or a table with an address"),
        Row(
            13,
            "    exit: {node: farm, forwards: [{port: 1, protocol: tcp, to: '[2a02::1]:80'}]}",
            "13: to: [2a02::1]:80 is not an IPv4 address inside, with a port or without, such as 10.1.0.5:80 (IPv6 needs no forward: see allow)"
        ),
        // I12, and names of interfaces (I8)
        Row(
            6,
            "  home: {legs: [{vlan: {parent: eth0, id: 1}, macvlan: {parent: eth0}, ipv6: {address: '2a02::2/64', gateway: 'fe80::1'}}]}",
            "6: legs[0] stands on one of \(kinds), and here is vlan and macvlan"
        ),
        Row(
            6,
            "  home: {legs: [{ipv6: {address: '2a02::2/64', gateway: 'fe80::1'}}]}",
            "6: legs[0] stands on one of \(kinds), and here is none"
        ),
        Row(
            6,
            "  home: {legs: [{nic: abcdefghijklmnop, ipv6: {address: '2a02::2/64', gateway: 'fe80::1'}}]}",
            "6: nic: abcdefghijklmnop is not a name of an interface: 1 to 15 bytes, no blank, slash or colon"
        ),
        Row(
            6,
            "  home: {legs: [{nic: eth0, ipv6: {address: '2a02::2/64'}}]}",
            "6: ipv6 of a leg needs gateway; a family has both or neither"
        ),
        Row(
            6,
            "  home: {legs: [{vlan: {parent: eth0, id: 4095}, ipv6: {address: '2a02::2/64', gateway: 'fe80::1'}}]}",
            "6: id: 4095 is not a number from 1 to 4094"
        ),
        Row(
            6,
            "  home: {legs: [{macvlan: {parent: eth0, mac: '01:00:5e:00:00:01'}, ipv6: {address: '2a02::2/64', gateway: 'fe80::1'}}]}",
            "6: mac: 01:00:5e:00:00:01 is not a MAC address of one machine, such as 02:de:5d:b8:5b:59"
        ),
        Row(
            14,
            "    vxlan: [{lan: home}]",
            "14: a segment of vxlan needs `trust: lan`, since nothing in it is encrypted"
        ),
        Row(14, "    mtu: 1279", "14: mtu: 1279 is not a number from 1280 to 9000"),
        Row(14, "    hidden_pairs: direct", "14: hidden_pairs: direct is not exit or relay"),
    ]

    @Test("name line, reason and what would help", arguments: rows) func refusal(row: Row) {
        #expect(mistakes(in: Self.document([row.line: row.text])).contains(row.mistake))
    }

    @Test("are told all at once, in the order of the file") func allAtOnce() {
        let text = Self.document([3: "  - {number: x, prefix: y}", 5: "  farm: {ipv6: public}", 9: "    version: no"])
        let lines = mistakes(in: text).map { $0.prefix { $0 != ":" } }
        #expect(lines == ["3", "3", "5", "9"])
    }

    @Test("are none for names that YAML takes for something else")
    func namesOfOtherTypes() throws {
        let text = Self.document([
            5: "  no: {ipv6: {public: '2a02:1807:1::1'}, site: 0100}",
            6: "  2026-01-01: {ipv6: hidden, site: 0x10, lan: null}".replacing(", lan: null", with: ", lan: off"),
            11: "      no: abxBRHoa8e5MKFNGhitWZpOKMTxd48Pvsm5CbmRxyAY=",
            12: "      2026-01-01: {key: u8p9TxGBGTyOyKJHFvTMGXgKgSzYqdwmPK9ENB0dz1Q=}",
            13: "    exit: no",
        ])
        #expect(mistakes(in: text).isEmpty)
        let document = try TenantFile(bytes: Array(text.utf8), path: "f").document
        #expect(document.nodes.map(\.name.text) == ["no", "2026-01-01"])
        #expect(document.nodes.map(\.site?.text) == ["0100", "0x10"])
        #expect(document.networks.first?.exit?.node.text == "no")
    }
}
