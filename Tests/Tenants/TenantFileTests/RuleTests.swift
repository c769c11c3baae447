import NetworkAddresses
import TenantFile
import TenantModel
import Testing

@Suite("Rules of a document") struct RuleTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let rule: String
        /// Lines in place of those of ``ValueTests/lines``.
        let changes: [Int: String]
        let mistakes: [String]

        init(_ rule: String, _ changes: [Int: String], _ mistakes: String...) {
            (self.rule, self.changes, self.mistakes) = (rule, changes, mistakes)
        }

        var testDescription: String { "\(rule) \(changes.values.sorted().first ?? "")" }
    }

    static let homeKey = "u8p9TxGBGTyOyKJHFvTMGXgKgSzYqdwmPK9ENB0dz1Q="
    static let farm = "      farm: {key: abxBRHoa8e5MKFNGhitWZpOKMTxd48Pvsm5CbmRxyAY=, "
    static let home = "      home: {key: \(homeKey), "
    static let vpn = "  farm: {ipv4: {public: 198.51.100.1}, ipv6: {public: '2a02:1807:1::1'}}"
    static let noKey = "make a key for each network on each node: `wg genkey`"

    static let rows = [
        // I1
        Row(
            "I1",
            [13: "    exit: barn"],
            "13: the exit barn is no member of mine; add it to members"
        ),
        Row(
            "I1",
            [13: "    exit: home"],
            "13: the exit home is hidden, and hidden members could not reach it; "
                + "name a node that is public by IPv4 or IPv6, or give this one a leg with a public address"
        ),
        Row(
            "I1",
            [13: "    exit: {node: home}"],
            "13: the exit home is hidden, and hidden members could not reach it; name a node that is public by IPv4 or IPv6, or give this one a leg with a public address"
        ),
        Row(
            "I1",
            [5: "  farm: {ipv6: {public: '2a02::1'}, may_be_exit: false}"],
            "13: farm is to be no exit (`may_be_exit: false`)"
        ),
        Row(
            "I1",
            [12: home + "device: true}", 6: "  barn: {ipv6: hidden}", 13: "    exit: home"],
            "13: home is a device, and an exit must be a node; name a public node"
        ),
        // I2
        Row(
            "I2",
            [12: home + "prefix: '2a02:1807:1100::/60'}"],
            "12: 2a02:1807:1100::/60 is no /64, and a member has exactly one"
        ),
        Row(
            "I2",
            [12: home + "prefix: '2a02:1807:1101:100::/64'}"],
            "12: 2a02:1807:1101:100::/64 is in no allocation of mine (2a02:1807:1100::/48); leave prefix out and the ledger gives one, "
                + "or say `static: true` of a prefix that somebody else routes"
        ),
        Row(
            "I2",
            [12: home + "prefix: '2a02:1807:1100:ff::/64'}"],
            "12: 2a02:1807:1100:ff::/64 is in the reserved part of 2a02:1807:1100::/48: its first 256 /64 are for routers; "
                + "the first that members can have is 2a02:1807:1100:100::/64"
        ),
        Row(
            "I2",
            [3: "  - {number: 0, prefix: '2a02:1802::/40'}", 12: home + "prefix: '2a02:1802:1:f::/64'}"],
            "12: 2a02:1802:1:f::/64 is in the reserved part of 2a02:1802::/40: its first 256 /64 of each /48 are for routers; "
                + "the first that members can have is 2a02:1802:1:100::/64"
        ),
        Row(
            "I2",
            [11: farm + "prefix: '2a02:1807:1100:100::/64'}", 12: home + "prefix: '2a02:1807:1100:100::/64'}"],
            "12: 2a02:1807:1100:100::/64 is the prefix of networks.mine.members.farm already; a prefix has one member",
            "12: home and farm both have the tag 0100 in mine, so both would be fe80::100; take another prefix for one of them",
            "12: home and farm both have 10.1.0.0/24 inside mine; give one of them another prefix, or another range with `ipv4`"
        ),
        Row(
            "I2",
            [12: home + "prefix: '2a02:1807:1100:100::/64', static: true}"],
            "12: the static prefix 2a02:1807:1100:100::/64 is in allocation 0, which could hand it out again; "
                + "leave `static` out, and the ledger keeps it"
        ),
        Row(
            "I2",
            [12: home + "static: true}"],
            "12: a static prefix is to be named; say `prefix: …`, or leave `static` out"
        ),
        Row(
            "I2",
            [12: home + "prefix: 'fe80:0:0:5::/64', static: true}"],
            "12: fe80:0:0:5::/64 cannot be routed to a network: it is link-local (fe80::/10)"
        ),
        Row(
            "I2",
            [12: home + "prefix: '2a03::/64', static: true}"],
            "12: 2a03::/64 has a tag whose link-local address is that of every router (fe80::1) or nobody's",
            "12: the tag 0000 of home ends with 0000, and no IPv4 network can be derived from it; take another prefix, or say `ipv4: false` of the network"
        ),
        Row(
            "I2",
            [12: home + "prefix: '2a02:1807:1100:ffff::/64'}"],
            "12: the tag ffff of home ends with ffff, and no IPv4 network can be derived from it; "
                + "take another prefix, or say `ipv4: false` of the network"
        ),
        // I3
        Row(
            "I3",
            [
                3:
                    "  - {number: 0, prefix: '2a02:1807:1100::/48'}\n  - {number: 1, prefix: '2a02:1807:1100:ab00::/56'}",
                14: "    allocations: [0]",
            ],
            "4: 2a02:1807:1100:ab00::/56 overlaps allocation 0, 2a02:1807:1100::/48 (allocations[0]), so one address could be handed out twice; keep one of them"
        ),
        Row(
            "I3",
            [
                3: "  - {number: 0, prefix: '2a02:1807:1100::/48'}\n  - {number: 0, prefix: '2a02:1807:1101::/48'}",
                14: "    allocations: [0]",
            ],
            "4: a second allocation with number 0; the number stands in names of interfaces; give each allocation its own"
        ),
        Row(
            "I3",
            [3: "  - {number: 0, prefix: 'ff02::/48'}"],
            "3: ff02::/48 cannot be routed to networks: it is for groups (ff00::/8)"
        ),
        Row(
            "I3",
            [3: "  - {number: 0, prefix: '::/48'}"],
            "3: ::/48 cannot be routed to networks: it is in ::/8, which has mapped IPv4 addresses and loopback in it"
        ),
        Row(
            "I3",
            [3: "  - {number: 0, prefix: '2a02:1807:1100::/56', reserve: 256}"],
            "3: reserve 256 leaves nothing of 2a02:1807:1100::/56, which has 256 /64; leave reserve out, or name less than 256"
        ),
        Row(
            "I3",
            [3: "  - {number: 0, prefix: '2a02:1807:1100::/48', gateway: '2a02:1807:1100:1::1'}"],
            "3: the gateway 2a02:1807:1100:1::1 is not in 2a02:1807:1100::/64, the first /64 of the allocation, where the routers are; leave it out for 2a02:1807:1100::1, or name a link-local address"
        ),
        // I4, also across two allocations
        Row(
            "I4",
            [
                3: "  - {number: 0, prefix: '2a02:1807:1100::/48'}\n  - {number: 1, prefix: '2a02:1807:1101::/48'}",
                11: farm + "prefix: '2a02:1807:1100:100::/64'}", 12: home + "prefix: '2a02:1807:1101:100::/64'}",
                14: "    allocations: [0, 1]",
            ],
            "13: home and farm both have the tag 0100 in mine, so both would be fe80::100; take another prefix for one of them",
            "13: home and farm both have 10.1.0.0/24 inside mine; give one of them another prefix, or another range with `ipv4`"
        ),
        Row(
            "I4",
            [
                3: "  - {number: 0, prefix: '2a02:1802::/40'}", 11: farm + "prefix: '2a02:1802:0:100::/64'}",
                12: home + "prefix: '2a02:1802:1:100::/64'}",
            ],
            "12: the tags of home and farm end alike in mine, so both would have 10.1.0.0/24; "
                + "take another prefix for one of them, or say `ipv4: false` of the network",
            "12: home and farm both have 10.1.0.0/24 inside mine; give one of them another prefix, or another range with `ipv4`"
        ),
        // I5
        Row(
            "I5",
            [
                11: farm + "prefix: '2a02:1807:1100:100::/64'}",
                12: home + "ipv4: 10.1.0.0/24, prefix: '2a02:1807:1100:101::/64'}",
            ],
            "12: home and farm both have 10.1.0.0/24 inside mine; give one of them another prefix, or another range with `ipv4`"
        ),
        Row("I5", [12: home + "ipv4: 10.1.0.0/16}"], "12: 10.1.0.0/16 is no /24, and a member has exactly one"),
        Row(
            "I5",
            [12: home + "ipv4: 100.64.1.0/24}"],
            "12: 100.64.1.0/24 is in 100.64.0.0/10, where members and exits have their addresses to each other"
        ),
        // I7
        Row(
            "I7",
            [6: "  home: {ipv4: hidden}"],
            "12: home cannot reach the exit farm: home is hidden by IPv4 and has no IPv6, and farm has no IPv4 and is public by IPv6; "
                + "let the exit be public in a family that home speaks, or take another exit"
        ),
        Row(
            "I7",
            [5: "  farm: {ipv4: hidden, ipv6: {public: '2a02:1807:1::1'}}", 6: "  home: {ipv4: hidden}"],
            "12: home cannot reach the exit farm: home is hidden by IPv4 and has no IPv6, and farm is hidden by IPv4 and is public by IPv6; "
                + "let the exit be public in a family that home speaks, or take another exit"
        ),
        Row(
            "I7",
            [5: "  farm: {ipv6: hidden}", 13: "    mtu: 1420"],
            "12: farm and home cannot reach each other without an exit: farm has no IPv4 and is hidden by IPv6, "
                + "and home has no IPv4 and is hidden by IPv6; say `exit: NODE` with a public member"
        ),
        // I9
        Row(
            "I9",
            [
                14:
                    "  other:\n    version: 1\n    members: {farm: {key: \(homeKey.replacing("u8p9", with: "u8p8")), port: 17000}}",
                11: farm + "port: 17000}",
            ],
            "16: port 17000 on farm is that of networks.mine.members.farm already, and a socket has a port for itself; "
                + "leave `port` out, and each gets one of its own"
        ),
        // I10
        Row(
            "I10",
            [11: "      farm: \(homeKey)"],
            "12: the key of home is at networks.mine.members.farm already; \(noKey)"
        ),
        Row(
            "I10",
            [14: "  other:\n    version: 1\n    members: {farm: \(homeKey)}"],
            "16: the key of farm is at networks.mine.members.home already; \(noKey)"
        ),
        // I11
        Row(
            "I11",
            [
                5: vpn, 11: farm + "prefix: '2a02:1807:1100:100::/64'}",
                12: home + "prefix: '2a02:1807:1100:101::/64'}",
                13: "    exit: {node: farm, ipv4: shared, forwards: [{port: 80, protocol: tcp, to: 10.1.1.5}, "
                    + "{port: 80, protocol: udp, to: 10.1.1.5}, {port: 80, protocol: tcp, to: 10.1.0.5}]}",
            ],
            "13: tcp port 80 leads elsewhere already: networks.mine.exit.forwards[0]; a port of an address leads to one place"
        ),
        Row(
            "I11",
            [
                5: vpn, 11: farm + "prefix: '2a02:1807:1100:100::/64'}",
                12: home + "prefix: '2a02:1807:1100:101::/64'}",
                13: "    exit: {node: farm, ipv4: shared, forwards: [{port: 80, protocol: tcp, to: 10.9.1.5}]}",
            ],
            "13: 10.9.1.5 is of no member of mine; forwards lead inside: 10.1.0.0/24, 10.1.1.0/24"
        ),
        Row(
            "I11",
            [
                5: vpn, 11: farm + "port: 17000}",
                13: "    exit: {node: farm, ipv4: shared, forwards: [{port: 17000, protocol: udp, to: 10.1.1.5}]}",
            ],
            "13: UDP port 17000 is where WireGuard of networks.mine.members.farm listens"
        ),
        Row(
            "I11",
            [13: "    exit: {node: farm, forwards: [{port: 80, protocol: tcp, to: 10.1.1.5}]}"],
            "13: mine has no IPv4 address outside that a port could be of; say `ipv4: shared`, or give the exit an address"
        ),
        // Nodes
        Row(
            "node",
            [6: "  home: {site: home}"],
            "6: home speaks neither IPv4 nor IPv6, so nobody can reach it; say `ipv4: hidden` or `ipv6: hidden` of a machine behind a router",
            "12: home cannot reach the exit farm: home has no IPv4 and has no IPv6, and farm has no IPv4 and is public by IPv6; let the exit be public in a family that home speaks, or take another exit"
        ),
        Row(
            "node",
            [6: "  home: {ipv6: {public: '2a02:1807:1::1'}}"],
            "6: a public address of home is one of farm too, and only one of them can be reached"
        ),
        Row(
            "node",
            [6: "  home: {ipv6: {public: 'fe80::1'}}"],
            "6: fe80::1 is no address that others can reach; name a global one; link-local addresses mean nothing without an interface"
        ),
        Row(
            "node",
            [6: "  home: {ipv6: {public: []}}"],
            "6: home is public by IPv6 and has no address that others could speak to"
        ),
        Row(
            "leg",
            [
                6:
                    "  home: {legs: [{nic: eth0, ipv4: {address: 198.51.100.2/24, gateway: 198.51.101.1}, ipv6: {address: '2a02::2/64', gateway: 'fe80::1'}}]}"
            ],
            "6: the gateway 198.51.101.1 is not in 198.51.100.0/24, so nobody could reach it; compare address, length and gateway with what the provider says"
        ),
        Row(
            "leg",
            [6: "  home: {legs: [{nic: eth0, ipv6: {address: '2a02::2/64', gateway: '2a02::2'}}]}"],
            "6: the gateway 2a02::2 is the machine's own address"
        ),
        Row(
            "leg",
            [
                6:
                    "  home: {legs: [{nic: eth0, ipv6: {address: '2a02::2/64', gateway: 'fe80::1'}}, {vlan: {parent: eth0, id: 5}, ipv6: {address: '2a02::3/64', gateway: 'fe80::1'}}]}"
            ],
            "6: two legs of home need eth0 for themselves; let both be a vlan or a macvlan over it"
        ),
        Row(
            "leg",
            [6: "  home: {ipv6: hidden, legs: [{nic: eth0}]}"],
            "6: home speaks neither IPv4 nor IPv6, so nobody can reach it; say `ipv4: hidden` or `ipv6: hidden` of a machine behind a router",
            "6: a leg without an address; give it ipv4 or ipv6, each with address and gateway",
            "12: home cannot reach the exit farm: home has no IPv4 and has no IPv6, and farm has no IPv4 and is public by IPv6; let the exit be public in a family that home speaks, or take another exit"
        ),
        // Members
        Row(
            "member",
            [12: "      barn: \(homeKey)"],
            "12: there is no node barn; add it to nodes, or say `device: true` of a router or a phone"
        ),
        Row(
            "member",
            [12: home + "device: true}"],
            "12: home is a node and cannot be a device as well; call the device something else, or leave `device` out"
        ),
        Row(
            "member",
            [10: "    members: {}", 11: "", 12: "", 13: ""],
            "10: mine has no members; name at least one node with its key"
        ),
        Row(
            "allocation",
            [14: "    allocations: [0, 5, 0]"],
            "14: there is no allocation 5",
            "14: allocation 0 is there twice"
        ),
        Row(
            "allocation",
            [2: "", 3: ""],
            "8: mine names no allocation, and its members need prefixes; say `allocations: [NUMBER]`, or give each member a static prefix"
        ),
        // Exits
        Row(
            "exit",
            [13: "    exit: {node: farm, ipv4: shared}"],
            "13: farm has no IPv4 address that networks could share; give its leg one, or say `ipv4: none`"
        ),
        Row(
            "exit",
            [5: vpn, 13: "    exit: {node: farm, ipv4: shared}", 14: "    ipv4: false"],
            "13: mine has no IPv4 inside (`ipv4: false`), so its exit needs none"
        ),
        Row(
            "exit",
            [13: "    exit: {node: farm, ipv6: {nat: masquerade}}", 11: farm + "prefix: '2a02:1807:1100:100::/64'}"],
            "13: 2a02:1807:1100:100::/64 is global, and IPv6 is translated only where all prefixes are local (fc00::/7); say `nat: none`"
        ),
        Row(
            "exit",
            [11: farm + "prefix: '2a03:0:0:7::/64', static: true}"],
            "13: the exit farm has a static prefix, so no address beside its router can be derived; say `ipv6: {address: …, gateway: …}`, or `ipv6: none`"
        ),
        Row(
            "exit",
            [5: vpn, 13: "    exit: {node: farm, ipv4: {address: 198.51.100.1/24}}"],
            "13: the exit of mine would have 198.51.100.1, and that is an address of farm; "
                + "say `ipv4: shared` to share that of the node"
        ),
        Row(
            "exit",
            [
                5: "  farm: {ipv6: {public: '2a02:1807:1100::100'}}",
                11: farm + "prefix: '2a02:1807:1100:100::/64'}",
            ],
            "13: the exit of mine would have 2a02:1807:1100::100, and that is an address of farm; name another address"
        ),
        Row(
            "allow",
            [11: farm + "prefix: '2a02:1807:1100:100::/64', allow: [{to: '2a02:1807:1100:101::5', ports: 5}]}"],
            "11: ports are of tcp and udp; say `protocol: tcp` or `protocol: udp`",
            "11: 2a02:1807:1100:101::5/128 is in no prefix of farm; allow rules open addresses inside: 2a02:1807:1100:100::/64"
        ),
        // VXLAN
        Row(
            "vxlan",
            [14: "    vxlan: [{lan: flat, trust: lan}]"],
            "14: mine has 0 members in the LAN flat, and a segment joins two or more"
        ),
        Row(
            "vxlan",
            [
                5: "  farm: {lan: flat, ipv6: {public: '2a02::1'}}", 6: "  home: {lan: flat, ipv6: hidden}",
                14: "    vxlan: [{lan: flat, trust: lan}]",
            ],
            "14: the members in the LAN flat have no family in which all of them name an address there; say `ipv4: {hidden: ADDRESS}` of each node"
        ),
        Row(
            "vxlan",
            [
                5: "  farm: {lan: flat, ipv6: {public: '2a02::1'}}",
                6: "  home: {lan: {name: flat, interface: eth0}, ipv6: hidden}",
                14: "    vxlan: [{lan: flat, trust: lan, group: 10.1.2.3}]",
            ],
            "14: 10.1.2.3 is no address of a group (224.0.0.0/4, ff00::/8)",
            "14: farm names no IPv4 address in the LAN, and the group 10.1.2.3 needs one; "
                + "say `ipv4: {hidden: ADDRESS}` of the node",
            "14: home names no IPv4 address in the LAN, and the group 10.1.2.3 needs one; "
                + "say `ipv4: {hidden: ADDRESS}` of the node",
            "14: farm does not say which nic is in the LAN, and a group needs one; say `lan: {name: flat, interface: NIC}` of the node"
        ),
    ]

    @Test("are mistakes with line, reason and what would help", arguments: rows) func mistake(row: Row) {
        #expect(mistakes(in: ValueTests.document(row.changes)) == row.mistakes)
    }

    @Test("hold for what the ledger has given too") func assigned() throws {
        let text = ValueTests.document([12: Self.home + "prefix: '2a02:1807:1100:101::/64'}"])
        let document = try TenantFile(bytes: Array(text.utf8), path: "f").document
        let network = try #require(NetworkName("mine"))
        let farm = MemberID(network: network, node: try #require(NodeName("farm")))
        let home = MemberID(network: network, node: try #require(NodeName("home")))
        let taken = try #require(IPv6Prefix("2a02:1807:1100:101::/64").flatMap { Segment($0) })
        let assigned = Assignments(prefixes: [farm: .init(taken, allocation: 0)], ports: [farm: 17000, home: 17000])
        #expect(
            document.mistakes(assigned: assigned).map(\.description) == [
                "networks.mine.members.home.prefix: 2a02:1807:1100:101::/64 is the prefix of networks.mine.members.farm already; a prefix has one member",
                "networks.mine.members.home: home and farm both have the tag 0101 in mine, so both would be fe80::101; take another prefix for one of them",
                "networks.mine.members.home: home and farm both have 10.1.1.0/24 inside mine; give one of them another prefix, or another range with `ipv4`",
            ]
        )
        #expect(document.mistakes().isEmpty)
    }
}
