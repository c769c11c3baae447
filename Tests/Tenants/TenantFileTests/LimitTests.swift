import TenantFile
import TenantModel
import TenantSamples
import Testing

@Suite("How much a document may have") struct LimitTests {
    /// What makes documents with so many of something, the limit, and the mistake above it.
    struct Row: Sendable, CustomTestStringConvertible {
        let limit: Int
        let mistake: String
        let text: @Sendable (Int) -> String

        var testDescription: String { mistake }
    }

    static func list(_ count: Int, _ element: (Int) -> String) -> String {
        (0..<count).map(element).joined(separator: ", ")
    }

    /// A document in which the node, the member or the exit has one more key.
    static func document(node: String = "", member: String = "", exit: String = "") -> String {
        ValueTests.document([
            5: "  farm: {ipv4: {public: 198.51.100.1}, ipv6: {public: '2a02:1807:1::1'}}",
            6: "  home: {ipv6: hidden\(node)}",
            12: "      home: {key: \(RuleTests.homeKey), prefix: '2a02:1807:1100:100::/64'\(member)}",
            13: "    exit: {node: farm, ipv4: shared\(exit)}",
        ])
    }

    static let rows = [
        Row(limit: DocumentLimit.nodes, mistake: "2: nodes has 10001 entries, and at most 10000 are taken") {
            "format: 1\nnodes: {\(list($0) { "n\($0): {ipv6: hidden}" })}\n"
        },
        Row(limit: DocumentLimit.networks, mistake: "8: networks has 10001 entries, and at most 10000 are taken") {
            let head = ValueTests.lines[..<6].joined(separator: "\n")
            return "\(head)\n# none\nnetworks: {\(list($0) { "n\($0): {version: 1, members: {home: \(key($0))}}" })}\n"
        },
        Row(limit: DocumentLimit.members, mistake: "3: mine has 1001 members, and at most 1000 are taken") { count in
            "format: 1\nnetworks:\n  mine: {version: 1, members: {\(list(count) { "n\($0): \(key($0))" })}}\n"
        },
        Row(limit: DocumentLimit.addresses, mistake: "6: hidden has 9 entries, and at most 8 are taken") { count in
            document(node: ", ipv4: {hidden: [\(list(count) { "192.168.1.\($0)" })]}")
        },
        Row(limit: DocumentLimit.legs, mistake: "6: legs has 17 entries, and at most 16 are taken") { count in
            let legs = list(count) {
                "{macvlan: {parent: eth0}, ipv6: {address: '2a02:9::\($0 + 2)/64', gateway: 'fe80::1'}}"
            }
            return document(node: ", legs: [\(legs)]")
        },
        Row(limit: DocumentLimit.forwards, mistake: "13: forwards has 1001 entries, and at most 1000 are taken") {
            count in
            document(exit: ", forwards: [\(list(count) { "{port: \($0 + 1), protocol: tcp, to: 10.1.0.5}" })]")
        },
        Row(limit: DocumentLimit.allowRules, mistake: "12: allow has 1001 entries, and at most 1000 are taken") {
            count in
            document(member: ", allow: [\(list(count) { "{to: '2a02:1807:1100:100::\($0)'}" })]")
        },
        Row(limit: DocumentLimit.portRanges, mistake: "12: ports has 65 entries, and at most 64 are taken") { count in
            let ports = list(count) { "\($0 + 1)" }
            return document(member: ", allow: [{to: '2a02:1807:1100:100::5', protocol: tcp, ports: [\(ports)]}]")
        },
        Row(limit: DocumentLimit.vxlans, mistake: "14: vxlan has 17 entries, and at most 16 are taken") { count in
            ValueTests.document([14: "    vxlan: [\(list(count) { "{lan: l\($0), trust: lan}" })]"])
        },
        Row(limit: DocumentLimit.allocations, mistake: "2: allocations has 101 entries, and at most 100 are taken") {
            let blocks = list($0) { "{number: \($0 % 100), prefix: '2a02:18\(10 + $0 % 90):\($0)::/48'}" }
            return "format: 1\nallocations: [\(blocks)]\n"
        },
    ]

    @Test("is as much as its limit, and no more", arguments: rows) func limit(row: Row) {
        #expect(!mistakes(in: row.text(row.limit)).contains { $0.contains("at most") })
        #expect(mistakes(in: row.text(row.limit + 1)).contains(row.mistake))
    }
}
