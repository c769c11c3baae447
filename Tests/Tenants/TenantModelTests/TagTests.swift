import NetworkAddresses
import TenantModel
import Testing

@Suite("What is derived from a tag") struct TagTests {
    struct Row: CustomTestStringConvertible, Sendable {
        let allocation, prefix, tag, nic, namespace, linkLocal, ipv4, wireGuardIPv4: String
        let port: UInt16

        var testDescription: String { prefix }
    }

    static let rows = [
        Row(
            allocation: "2a02:1807:1100::/48",
            prefix: "2a02:1807:1100:100::/64",
            tag: "0100",
            nic: "wg-0100-0",
            namespace: "tn-0100-0",
            linkLocal: "fe80::100",
            ipv4: "10.1.0.0/24",
            wireGuardIPv4: "100.64.1.0/16",
            port: 16640
        ),
        Row(
            allocation: "2a02:1807:1100::/48",
            prefix: "2a02:1807:1100:1bb::/64",
            tag: "01bb",
            nic: "wg-01bb-0",
            namespace: "tn-01bb-0",
            linkLocal: "fe80::1bb",
            ipv4: "10.1.187.0/24",
            wireGuardIPv4: "100.64.1.187/16",
            port: 16827
        ),
        Row(
            allocation: "2a02:1807:1100::/48",
            prefix: "2a02:1807:1100:11cd::/64",
            tag: "11cd",
            nic: "wg-11cd-0",
            namespace: "tn-11cd-0",
            linkLocal: "fe80::11cd",
            ipv4: "10.17.205.0/24",
            wireGuardIPv4: "100.64.17.205/16",
            port: 20941
        ),
    ]

    @Test("is what the worked names say", arguments: rows) func workedNames(row: Row) throws {
        let prefix = try #require(IPv6Prefix(row.allocation))
        let allocation = try #require(Allocation(prefix: prefix, number: 0))
        let segment = try #require(IPv6Prefix(row.prefix).flatMap { Segment($0) })
        let tag = try #require(allocation.tag(of: segment))
        let names = ResourceNames(tag: tag, allocation: allocation.number)
        #expect(tag.description == row.tag)
        #expect(names.wireGuard == row.nic)
        #expect(names.namespace == row.namespace)
        #expect(tag.linkLocal.description == row.linkLocal)
        #expect(tag.ipv4.description == row.ipv4)
        #expect(tag.wireGuardIPv4.description == row.wireGuardIPv4)
        #expect(tag.wantedPort == row.port)
    }
}

@Suite("Names and addresses at their limits") struct TagLimitTests {
    @Test(
        "have at most fifteen bytes, and the longest has exactly that",
        arguments: [
            ("2001:db8::/32", "2001:db8:ffff:fffe::/64", 9, "fffffffe-9", "veth-fffffffe-9"),
            ("2001:db8::/32", "2001:db8:ffff:fffe::/64", 10, "fffffffe-10", "v-fffffffe-10"),
            ("2001:db8::/32", "2001:db8:0:100::/64", 99, "00000100-99", "v-00000100-99"),
            ("2a02:1802::/40", "2a02:1802:1:100::/64", 99, "010100-99", "veth-010100-99"),
            ("2a02:1802::/41", "2a02:1802:1:100::/64", 0, "010100-0", "veth-010100-0"),
            ("2a02:1802::/44", "2a02:1802:1:100::/64", 0, "10100-0", "veth-10100-0"),
        ] as [(String, String, UInt8, String, String)]
    )
    func longest(text: String, prefix: String, number: UInt8, suffix: String, veth: String) throws {
        let allocation = try AllocationTests.allocation(text, number: number)
        let tag = try #require(allocation.tag(of: try AllocationTests.segment(prefix)))
        let names = ResourceNames(tag: tag, allocation: number)
        #expect(names.suffix == suffix)
        #expect(names.veth == veth)
        #expect(names.interfaces.allSatisfy { InterfaceName($0) != nil })
        #expect(Set(names.interfaces).count == names.interfaces.count)
    }

    @Test("of a static prefix end with s") func staticPrefix() throws {
        let tag = Tag(static: try AllocationTests.segment("2001:db8:5:beef::/64"))
        #expect(ResourceNames(tag: tag, allocation: nil).wireGuard == "wg-beef-s")
        #expect(tag.linkLocal.description == "fe80::beef")
    }

    @Test("of an exit's public nic are behind the tag") func publicLinkLocal() throws {
        let tag = Tag(static: try AllocationTests.segment("2001:db8:5:100::/64"))
        #expect(tag.publicLinkLocal.description == "fe80::100:1")
        #expect(
            try AllocationTests.allocation("2001:db8::/32").tag(of: AllocationTests.segment("2001:db8:ffff:fffe::/64"))?
                .publicLinkLocal.description == "fe80::ffff:fffe:1"
        )
    }

    @Test("allow IPv4 but at both ends", arguments: [("0", false), ("1", true), ("fffe", true), ("ffff", false)])
    func ipv4(group: String, isAllowed: Bool) throws {
        let tag = Tag(static: try AllocationTests.segment("2001:db8:5:\(group)::/64"))
        #expect(tag.allowsIPv4 == isAllowed)
        #expect(tag.isTaken == (group == "0" || group == "1"))
    }

    @Test("want a port below those that the kernel hands out") func ports() throws {
        let allocation = try AllocationTests.allocation("2001:db8::/32")
        for index in [0, 1, 16383, 16384, 65535, UInt64(UInt32.max)] {
            let tag = try #require(allocation.segment(at: index).flatMap { allocation.tag(of: $0) })
            #expect(PortBook.range.contains(tag.wantedPort))
        }
    }

    @Test("of namespaces with public addresses are counted from the second") func namespaces() {
        #expect((0..<3).map(NodeNames.publicNamespace) == ["tn-public", "tn-public-1", "tn-public-2"])
    }

    @Test("between exit and shared address are made of the port") func transit() {
        #expect(Transit.address(port: 16640).description == "100.127.65.0")
        #expect(Transit.address(port: 65535).description == "100.127.255.255")
    }

    @Test("of VXLAN are 24 bits of both names, and never 0") func vxlan() throws {
        let (acme, birch) = (try #require(NetworkName("acme")), try #require(NetworkName("birch")))
        let (flat, farm) = (try #require(PlaceName("flat")), try #require(PlaceName("farm")))
        let numbers = [(acme, flat), (acme, farm), (birch, flat)].map {
            VXLANSegment.derivedIdentifier(network: $0.0, lan: $0.1)
        }
        #expect(Set(numbers).count == 3)
        #expect(numbers.allSatisfy { VXLANSegment.identifiers.contains($0) })
        // Once given out it stays: a member of another version must find the same.
        #expect(numbers[0] == 850439)
    }
}

@Suite("Ports that are taken") struct PortBookTests {
    @Test("are passed over upwards, and from the lowest again behind the highest") func probing() throws {
        let namespace = PortBook.Namespace(node: try #require(NodeName("farm")), leg: 0)
        var book = PortBook()
        let ports = [32767, 32767, 16384].map { book.takeFree(from: $0, in: namespace) }
        #expect(ports == [32767, 16384, 16385])
        let isFree = [
            book.take(16385, in: namespace), book.take(16385, in: PortBook.Namespace(node: namespace.node, leg: 1)),
        ]
        #expect(isFree == [false, true])
    }

    @Test("may be all of them") func exhaustion() throws {
        let namespace = PortBook.Namespace(node: try #require(NodeName("farm")), leg: 0)
        var book = PortBook()
        for port in PortBook.range { book.take(port, in: namespace) }
        let port = book.takeFree(from: 20000, in: namespace)
        #expect(port == 20000)
    }
}
