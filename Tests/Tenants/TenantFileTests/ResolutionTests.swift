import NetworkAddresses
import TenantFile
import TenantModel
import Testing

@Suite("A document with everything that follows from it") struct ResolutionTests {
    private func document(_ changes: [Int: String]) throws -> TenantDocument {
        try TenantFile(bytes: Array(ValueTests.document(changes).utf8), path: "f").document
    }

    private func member(_ node: String, of network: String = "mine") throws -> MemberID {
        MemberID(network: try #require(NetworkName(network)), node: try #require(NodeName(node)))
    }

    private func assigned(_ prefixes: [(MemberID, String)]) throws -> Assignments {
        var assigned = Assignments()
        for (member, text) in prefixes {
            let segment = try #require(IPv6Prefix(text).flatMap { Segment($0) })
            assigned.prefixes[member] = Assignments.Prefix(segment, allocation: 0)
        }
        return assigned
    }

    @Test("has names, addresses, ports and the exit's address") func everything() throws {
        let document = try document([12: RuleTests.home + "prefix: '2a02:1807:1100:11cd::/64', port: 20000}"])
        let network = try #require(
            document.resolve(assigned([(member("farm"), "2a02:1807:1100:100::/64")])).first
        )
        #expect(network.resources.map(\.names.wireGuard) == ["wg-0100-0", "wg-11cd-0"])
        #expect(network.resources.map(\.listenPort) == [16640, 20000])
        #expect(
            network.resources.map { $0.ownPrefixes.map(\.description) } == [
                ["fe80::100/128", "100.64.1.0/32", "2a02:1807:1100:100::/64", "10.1.0.0/24"],
                ["fe80::11cd/128", "100.64.17.205/32", "2a02:1807:1100:11cd::/64", "10.17.205.0/24"],
            ]
        )
        #expect(network.exit?.id.node.text == "farm")
        #expect(network.exitIPv6?.description == "2a02:1807:1100::100/64")
        #expect(network.exitIPv6Gateway?.description == "fe80::1")
        #expect(network.resources.allSatisfy { $0.birth.leg == nil })
    }

    @Test("has no IPv4 where the network has none") func withoutIPv4() throws {
        let document = try document([14: "    ipv4: false"])
        let assigned = try assigned([
            (member("farm"), "2a02:1807:1100:100::/64"), (member("home"), "2a02:1807:1100:101::/64"),
        ])
        let network = try #require(document.resolve(assigned).first)
        #expect(network.resources.map(\.ownPrefixes.count) == [2, 2])
        #expect(network.resources.allSatisfy { $0.wireGuardIPv4 == nil })
    }

    @Test("names all members that have no prefix yet") func missing() throws {
        let document = try document([:])
        let error = #expect(throws: DocumentError.self) { try document.resolve() }
        #expect(
            error?.mistakes.map(\.description) == [
                "networks.mine.members.farm: no prefix yet for farm; `kex-net allocate` gives one",
                "networks.mine.members.home: no prefix yet for home; `kex-net allocate` gives one",
            ]
        )
    }

    @Test("gives two networks on one node two ports, and the one that is asked for to who asks") func ports() throws {
        let key = RuleTests.homeKey.replacing("u8p9", with: "u8p8")
        let other =
            "  other:\n    version: 1\n    members: {farm: {key: \(key), port: 16640, "
            + "prefix: '2a02:1807:1100:200::/64'}}"
        let document = try document([
            11: RuleTests.farm + "prefix: '2a02:1807:1100:100::/64'}",
            12: RuleTests.home + "prefix: '2a02:1807:1100:101::/64'}", 14: other,
        ])
        #expect(try document.resolve().map { $0.resources.map(\.listenPort) } == [[16641, 16641], [16640]])
        var assigned = Assignments()
        assigned.ports[try member("farm")] = 30000
        #expect(try document.resolve(assigned).first?.resources.map(\.listenPort) == [30000, 16641])
    }

    @Test("has WireGuard born where the leg is, and at the second leg if the ledger says so") func births() throws {
        let legs =
            "  farm: {ipv4: hidden, legs: [{nic: eth0, ipv6: {address: '2a02::2/64', gateway: 'fe80::1'}}, "
            + "{nic: eth1, ipv6: {address: '2a02::3/64', gateway: 'fe80::1'}}]}"
        let document = try document([
            5: legs, 11: RuleTests.farm + "prefix: '2a02:1807:1100:100::/64'}",
            12: RuleTests.home + "prefix: '2a02:1807:1100:101::/64'}",
        ])
        #expect(document.mistakes().isEmpty)
        let first = try #require(document.resolve().first?.resources.first)
        #expect(first.birth.namespace == "tn-public")
        // The leg has no IPv4, so what is born there has none, whatever the host has.
        #expect(!first.birth.speaks(.ipv4))
        #expect(first.birth.isPublic(.ipv6))
        var assigned = Assignments()
        assigned.legs[try member("farm")] = 1
        #expect(try document.resolve(assigned).first?.resources.first?.birth.namespace == "tn-public-1")
        assigned.legs[try member("farm")] = 5
        #expect(try document.resolve(assigned).first?.resources.first?.birth.namespace == "tn-public")
    }

    @Test("takes a device for a hidden node") func device() throws {
        let key = RuleTests.homeKey.replacing("u8p9", with: "u8p8")
        let document = try document([
            11: RuleTests.farm + "prefix: '2a02:1807:1100:100::/64'}",
            12: RuleTests.home + "prefix: '2a02:1807:1100:101::/64'}\n"
                + "      phone: {key: \(key), device: true, prefix: '2a02:1807:1100:102::/64'}",
        ])
        #expect(document.mistakes().isEmpty)
        let phone = try #require(document.resolve().first?.resources.last)
        #expect(phone.kind == .device)
        #expect(AddressFamily.allCases.allSatisfy { phone.birth.speaks($0) && !phone.birth.isPublic($0) })
    }
}
