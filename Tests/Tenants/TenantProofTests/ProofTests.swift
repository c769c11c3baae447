import NetworkAddresses
import TenantModel
import TenantPlan
import TenantProof
import TenantSamples
import Testing

@Suite("The proof") struct ProofTests {
    private static func verdicts(_ networks: [ResolvedNetwork], _ plan: Plan) -> [String] {
        var texts: [String] = []
        Proof(networks, plan).forEach { texts += $0.verdicts.map(\.description) }
        return texts
    }

    @Test("says which way packets go, or why there is none")
    func words() {
        let networks = Farm.example.resolved()
        let texts = Self.verdicts(networks, Plan(networks))
        for text in [
            "cellar → flat IPv6: path: cellar, WireGuard, exit, WireGuard, flat",
            "flat → cellar IPv4: path: flat, WireGuard, exit, WireGuard, cellar",
            "flat → attic IPv4: path: flat, WireGuard, attic",
            "public → cellar IPv6: path: public, WireGuard, cellar",
            "cellar → internet IPv6: path: cellar, WireGuard, exit, internet",
            "cellar → internet IPv4: no path: because exit has no route to 198.18.0.12",
            "internet → cellar IPv6: no path: because the firewall of exit stops what is for 2a02:1807:1100:102::100",
        ] { #expect(texts.contains(text), "\(text)") }
    }

    /// What was measured with such a stanza on one end: nothing arrives in either direction.
    @Test("finds the naive stanza for another hidden one on one end, and both ways that it breaks")
    func naive() throws {
        let networks = Farm.example.resolved()
        var plan = Plan(networks)
        let flat = networks[0].resources[3]
        plan.change("cellar") { setup in
            setup.peers.append(
                WireGuardPeer(node: flat.id.node, key: flat.key, endpoint: nil, allowedIPs: flat.ownPrefixes)
            )
        }
        let findings = Proof(networks, plan).findings()
        #expect(
            findings.filter { $0.kind == .deadStanza }.map(\.text) == [
                "cellar has a stanza for flat, and what is for it ends there: cellar has no endpoint, flat has no stanza"
            ]
        )
        let lost = findings.filter { $0.kind == .missingPath }.map(\.text)
        #expect(lost.count == 4)
        #expect(
            lost.contains {
                $0.hasPrefix("cellar → flat IPv6: no path: because flat has no peer with the key of cellar")
            }
        )
        #expect(
            lost.contains { $0.hasPrefix("flat → cellar IPv6: no path: because cellar drops it: by its allowed IPs") }
        )
    }

    @Test("takes a stanza whose endpoint is a port of the exit for none of those")
    func relayed() {
        var document = Farm.example
        document.networks[0].hiddenPairs = .relay
        let networks = document.resolved()
        var plan = Plan(networks)
        #expect(Proof(networks, plan).findings().isEmpty)
        #expect(
            Self.verdicts(networks, plan).contains("cellar → flat IPv6: path: cellar, WireGuard over a relay, flat")
        )
        // A port that leads nowhere is one of those.
        plan.changeNamespaces("exit") { $0.relays = [] }
        #expect(Proof(networks, plan).findings().contains { $0.kind == .deadStanza })
    }

    @Test("notices that one end of a two-way pair cannot begin, though everything still works")
    func oneEnd() {
        let networks = Farm.example.resolved()
        var plan = Plan(networks)
        plan.change("public") { setup in setup.peers[0].endpoint = nil }
        let findings = Proof(networks, plan).findings()
        #expect(findings.map(\.kind) == [.otherPath])
        #expect(findings.first?.text == "exit can begin, public has no endpoint, although both are public by IPv6")
    }

    @Test("finds a peer of another network, and one that is nobody's")
    func foreign() {
        var document = Farm.example
        var other = document.networks[0]
        other.name = network("birch")
        for index in other.members.indices { other.members[index].key = key(50 + index) }
        document.networks.append(other)
        let networks = document.resolved()
        var plan = Plan(networks)
        #expect(Proof(networks, plan).findings().isEmpty)
        plan.change("cellar") { setup in setup.peers[0].key = key(52) }
        let kinds = Set(Proof(networks, plan).findings().map(\.kind))
        #expect(kinds.contains(.foreignPeer))
        plan.change("cellar") { setup in setup.peers[0].key = key(99) }
        #expect(Proof(networks, plan).findings().contains { $0.kind == .unknownPeer })
    }

    @Test("finds that networks which share an address reach each other when what keeps them apart is gone")
    func apart() {
        var document = Farm.example
        let forward = PortForward(transport: .tcp, port: 8080, target: v4("10.1.0.5"), targetPort: 80)
        document.networks[0].exit = Exit(node: node("exit"), ipv4: .shared, forwards: [forward])
        var other = document.networks[0]
        other.name = network("birch")
        other.members = [Member(node: node("exit"), key: key(50)), Member(node: node("cellar"), key: key(51))]
        other.exit?.forwards = []
        document.networks.append(other)
        let networks = document.resolved()
        var plan = Plan(networks)
        #expect(Proof(networks, plan).findings().isEmpty)
        plan.changeNamespaces("exit") { room in
            if case .leg = room.role { room.firewall.forward.removeAll { $0.verdict == .drop } }
        }
        #expect(Proof(networks, plan).findings().map(\.kind) == [.unwantedPath])
    }

    /// One thing that is wrong on one node, as it may be read from a kernel.
    struct KernelFault: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let reason: String
        let change: @Sendable (inout NamespaceTables) -> Void

        init(_ name: String, _ reason: String, _ change: @escaping @Sendable (inout NamespaceTables) -> Void) {
            testDescription = name
            self.reason = reason
            self.change = change
        }
    }

    static let kernelFaults = [
        KernelFault("forwarding is off", "exit does not forward") { $0.forwardsIPv6 = false },
        KernelFault("the tunnel is down", "exit") { room in
            for index in room.nics.indices where room.nics[index].name.hasPrefix("wg-") {
                room.nics[index].isUp = false
            }
        },
        KernelFault("the table of nftables is gone, and somebody else's drops", "the firewall of exit stops") {
            $0.firewall = Firewall(forwardPolicy: .drop)
        },
        KernelFault("a route is gone", "exit sends 2a02:1807:1100:103::100 outside, where the site's router") { room in
            room.routes.removeAll { $0.destination == prefix("2a02:1807:1100:103::/64") }
        },
        KernelFault("a route is unreachable", "exit has 2a02:1807:1100:103::100 for unreachable") { room in
            room.routes.removeAll { $0.destination == prefix("2a02:1807:1100:103::/64") }
            room.routes.append(Route(prefix("2a02:1807:1100:103::/64"), .unreachable))
        },
        KernelFault("WireGuard's IPv4 address is gone", "exit has no neighbour 100.64.1.3 on wg-0100-0") { room in
            for index in room.nics.indices { room.nics[index].addresses.removeAll { $0.length == 16 } }
        },
        KernelFault("WireGuard listens elsewhere", "has the endpoint 198.51.100.10:16640, where the other does not") {
            $0.changeWireGuard { $0.port += 1 }
        },
        KernelFault("the socket is in the host's namespace", "has the endpoint 198.51.100.10:16640, where the other") {
            $0.changeWireGuard { $0.birth = nil }
        },
    ]

    @Test("walks tables that no plan made, and names what is wrong", arguments: kernelFaults)
    func kernel(fault: KernelFault) {
        let networks = Farm.example.resolved()
        let plan = Plan(networks)
        let nodes = Dictionary(uniqueKeysWithValues: networks[0].resources.map { ($0.id.node, $0.node) })
        var tables = plan.nodes.compactMap { node in nodes[node.name].map { NodeTables(node, node: $0) } }
        #expect(Proof(networks, plan.networks, tables).findings().isEmpty)
        for node in tables.indices where tables[node].node.text == "exit" {
            for room in tables[node].namespaces.indices where tables[node].namespaces[room].network != nil {
                fault.change(&tables[node].namespaces[room])
            }
        }
        let findings = Proof(networks, plan.networks, tables).findings().map(\.text)
        #expect(findings.contains { $0.contains(fault.reason) }, "\(findings)")
    }

    @Test("ends a packet that goes round in circles")
    func loop() {
        var document = Farm.example
        document.networks[0].exit = Exit(node: node("exit"), ipv4: .shared)
        let networks = document.resolved()
        var plan = Plan(networks)
        plan.changeNamespaces("exit") { room in
            room.firewall = Firewall()
            guard case .leg = room.role else { return }
            // Back to where it came from.
            room.routes.removeAll { $0.destination == .everyIPv4 }
            room.routes.append(Route(.everyIPv4, .nic("nat-0100-0", hop: nil)))
        }
        let texts = Self.verdicts(networks, plan)
        #expect(texts.contains("cellar → internet IPv4: no path: because it goes round in circles at exit"), "\(texts)")
    }
}

extension Plan {
    fileprivate mutating func changeNamespaces(_ name: String, _ change: (inout NamespacePlan) -> Void) {
        for index in nodes.indices where nodes[index].name.text == name {
            for room in nodes[index].namespaces.indices { change(&nodes[index].namespaces[room]) }
        }
    }

    /// Changes the first tunnel of a node.
    fileprivate mutating func change(_ name: String, _ change: (inout WireGuardNic) -> Void) {
        var isDone = false
        changeNamespaces(name) { room in
            for nic in room.nics.indices where !isDone {
                guard case .wireGuard(var setup) = room.nics[nic].kind else { continue }
                change(&setup)
                room.nics[nic].kind = .wireGuard(setup)
                isDone = true
            }
        }
    }
}

extension NamespaceTables {
    fileprivate mutating func changeWireGuard(_ change: (inout WireGuardTable) -> Void) {
        for index in nics.indices {
            guard case .wireGuard(var table) = nics[index].kind else { continue }
            change(&table)
            nics[index].kind = .wireGuard(table)
        }
    }
}
