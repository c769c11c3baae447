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
