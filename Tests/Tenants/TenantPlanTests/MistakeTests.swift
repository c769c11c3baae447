import NetworkAddresses
import TenantModel
import TenantPlan
import TenantSamples
import Testing

@Suite("Mistakes that only a plan can tell") struct MistakeTests {
    struct Row: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let text: String
        let change: @Sendable (inout [ResolvedNetwork]) -> Void

        init(_ name: String, _ text: String, _ change: @escaping @Sendable (inout [ResolvedNetwork]) -> Void) {
            testDescription = name
            self.text = text
            self.change = change
        }
    }

    static let rows = [
        Row("I5: one prefix in another", "cannot send 10.9.9.0/25 to flat, for 10.9.9.0/24 is that of attic") {
            $0[0].resources[3].ipv4 = prefix4("10.9.9.0/25")
            $0[0].resources[4].ipv4 = prefix4("10.9.9.0/24")
        },
        Row("I7: no exit", "no path between cellar (hidden by IPv4) and flat (hidden by IPv4): neither is public") {
            $0[0].network.exit = nil
        },
        Row(
            "I7: an exit of another family",
            "not both reach the exit, exit (public by IPv6); an exit must be public in a family"
        ) {
            $0[0].resources[0].birth.ipv4 = nil
        },
        Row("I9: relay and listen port", "is the relay port of acme/flat and the listen port of acme/exit") {
            $0[0].resources[3].relayPort = $0[0].resources[0].listenPort
        },
        Row("I11: a port twice", "tcp port 80 of 198.51.100.10 is a port forward of acme/exit and a port forward") {
            $0[0].network.exit?.ipv4 = .shared
            let forward = PortForward(transport: .tcp, port: 80, target: v4("10.1.2.5"), targetPort: 80)
            $0[0].network.exit?.forwards = [forward, forward]
        },
        Row(
            "a forward to WireGuard's port",
            "UDP port 16640 of exit is a port forward of acme/exit and the listen port"
        ) {
            $0[0].network.exit?.ipv4 = .shared
            let forward = PortForward(transport: .udp, port: 16640, target: v4("10.1.2.5"), targetPort: 80)
            $0[0].network.exit?.forwards = [forward]
        },
        Row("a forward past an exit that is no default route", "other members take nothing from strangers") {
            $0[0].network.exit?.ipv4 = .shared
            $0[0].network.exit?.isDefaultRoute = false
            let forward = PortForward(transport: .tcp, port: 80, target: v4("10.1.2.5"), targetPort: 80)
            $0[0].network.exit?.forwards = [forward]
        },
        Row("an own address by an unknown nic", "nobody knows by which nic of exit") {
            $0[0].resources[0].node = Farm.publicNode("exit", 10)
            $0[0].resources[0].birth = Farm.publicNode("exit", 10).birth
            $0[0].network.exit?.ipv4 = .own(ExitIPv4Address(address: prefix4("198.51.100.11/24")))
        },
        Row("IPv6 out of a machine without", "exit has no IPv6 outside; say `ipv6: none`, or name an interface") {
            $0[0].resources[0].birth.ipv6 = nil
            $0[0].resources[0].node.legs[0].kind = .existing(nic("gre1"))
        },
        Row("a nic that is a leg", "eth1 is a leg of exit, and is there once; leave `interface` out") {
            $0[0].resources[0].node.legs[0].kind = .nic(nic("eth1"))
            $0[0].network.exit?.interface = .nic(nic("eth1"))
        },
        Row("a nic of two networks", "eth7 of exit is that of acme/exit, and is there once; take a macvlan on it") {
            $0[0].network.exit?.interface = .nic(nic("eth7"))
            $0.append($0[0])
        },
        Row("no relay port", "no relay port yet for cellar; `kex-net allocate` gives one") {
            $0[0].network.hiddenPairs = .relay
            $0[0].resources[2].relayPort = nil
        },
        Row("no VXLAN between two", "no two members speak VXLAN in two") {
            $0[0].network.vxlans = [VXLANSegment(lan: place("two"))]
            $0[0].resources[3].node.ipv4?.addresses = []
        },
        Row("more interfaces than a namespace takes", "exit has more than 1 interfaces of WireGuard in tn-public") {
            $0[0].resources[0].node.wireGuardLimit = 1
            $0.append($0[0])
        },
    ]

    @Test("are told with what would help", arguments: rows)
    func told(row: Row) {
        var networks = Farm.example.resolved()
        #expect(Plan(networks).mistakes.isEmpty)
        row.change(&networks)
        let texts = Plan(networks).mistakes.map(\.text)
        #expect(texts.contains { $0.contains(row.text) }, "\(texts)")
    }
}
