internal import NetworkAddresses
public import TenantModel
internal import WireGuardTypes

extension TenantFile {
    /// A document as a file that would be read to the same. Everything is said, also what is so by itself.
    public static func text(of document: TenantDocument) -> String {
        var writer = DocumentWriter()
        writer.write(document)
        return writer.lines.joined(separator: "\n") + "\n"
    }
}

/// Writes a document: what has a name gets a line of its own, and all of it is behind that.
private struct DocumentWriter {
    var lines: [String] = []

    mutating func write(_ document: TenantDocument) {
        lines.append("format: \(TenantDocument.currentFormat)")
        lines.append("allocations:\(document.allocations.isEmpty ? " []" : "")")
        for allocation in document.allocations { lines.append("  - \(text(allocation))") }
        lines.append("nodes:\(document.nodes.isEmpty ? " {}" : "")")
        for node in document.nodes { lines.append("  \(quoted(node.name)): \(text(node))") }
        lines.append("networks:\(document.networks.isEmpty ? " {}" : "")")
        for network in document.networks { write(network) }
    }

    /// `{key: value, …}` without the keys that have none.
    private func table(_ entries: [(key: String, value: String?)]) -> String {
        "{\(entries.compactMap { entry in entry.value.map { "\(entry.key): \($0)" } }.joined(separator: ", "))}"
    }

    private func list(_ values: [String]) -> String { "[\(values.joined(separator: ", "))]" }

    /// In single quotes, which take everything but themselves.
    private func quoted(_ value: some CustomStringConvertible) -> String {
        "'\(value.description.replacing("'", with: "''"))'"
    }

    private func text(_ allocation: Allocation) -> String {
        table([
            ("number", "\(allocation.number)"), ("prefix", quoted(allocation.prefix)),
            ("gateway", allocation.gateway.map(quoted)), ("site", allocation.site.map(quoted)),
            ("reserve", allocation.reserve.map(String.init)),
        ])
    }

    private func text(_ node: Node) -> String {
        table([
            ("site", node.site.map(quoted)),
            (
                "lan",
                node.lan.map { lan in
                    table([
                        ("name", quoted(lan.lan)), ("interface", lan.interface.map(quoted)),
                        ("direct", "\(lan.isDirect)"),
                    ])
                }
            ),
            ("ipv4", node.ipv4.map(text)), ("ipv6", node.ipv6.map(text)),
            ("legs", list(node.legs.map(text))), ("may_be_exit", "\(node.mayBeExit)"),
            ("wireguard_limit", "\(node.wireGuardLimit)"), ("host_name", node.hostName.map(quoted)),
        ])
    }

    private func text(_ reachability: Reachability) -> String {
        let addresses = reachability.addresses.map { address in
            switch address {
            case .v4(let address): quoted(address)
            case .v6(let address): quoted(address)
            }
        }
        return table([(reachability.isPublic ? "public" : "hidden", list(addresses))])
    }

    private func text(_ leg: PublicLeg) -> String {
        table([
            kind(leg.kind),
            ("ipv4", leg.ipv4.map { table([("address", quoted($0.address)), ("gateway", quoted($0.gateway))]) }),
            ("ipv6", leg.ipv6.map { table([("address", quoted($0.address)), ("gateway", quoted($0.gateway))]) }),
        ])
    }

    private func kind(_ kind: PublicLeg.Kind) -> (key: String, value: String?) {
        switch kind {
        case .nic(let name): ("nic", quoted(name))
        case .vlan(let parent, let identifier): ("vlan", table([("parent", quoted(parent)), ("id", "\(identifier)")]))
        case .macvlan(let parent, let mac):
            ("macvlan", table([("parent", quoted(parent)), ("mac", mac.map(quoted))]))
        case .veth(let bridge): ("veth", table([("bridge", quoted(bridge))]))
        case .existing(let name): ("existing", quoted(name))
        }
    }

    private mutating func write(_ network: TenantNetwork) {
        lines.append("  \(quoted(network.name)):")
        lines.append("    version: \(network.version)")
        lines.append("    allocations: \(list(network.allocations.map(String.init)))")
        lines.append("    ipv4: \(network.hasIPv4)")
        lines.append("    mtu: \(network.mtu)")
        lines.append("    hidden_pairs: \(network.hiddenPairs.rawValue)")
        lines.append("    members:\(network.members.isEmpty ? " {}" : "")")
        for member in network.members { lines.append("      \(quoted(member.node)): \(text(member))") }
        if let exit = network.exit { lines.append("    exit: \(text(exit))") }
        lines.append("    vxlan: \(list(network.vxlans.map(text)))")
    }

    private func text(_ member: Member) -> String {
        table([
            ("key", quoted(member.key)), ("device", "\(member.kind == .device)"),
            ("prefix", member.prefix.map(quoted)), ("static", "\(member.isStatic)"),
            ("ipv4", member.ipv4.map(quoted)), ("port", member.listenPort.map(String.init)),
            ("allow", list(member.allow.map(text))),
        ])
    }

    private func text(_ segment: VXLANSegment) -> String {
        let group: String? =
            switch segment.delivery {
            case .peers: nil
            case .group(.v4(let address)): quoted(address)
            case .group(.v6(let address)): quoted(address)
            }
        return table([
            ("lan", quoted(segment.lan)), ("trust", "lan"), ("members", segment.members.map { list($0.map(quoted)) }),
            ("group", group), ("id", segment.identifier.map(String.init)),
        ])
    }

    private func text(_ exit: Exit) -> String {
        table([
            ("node", quoted(exit.node)), ("default_route", "\(exit.isDefaultRoute)"),
            ("interface", exit.interface.map { table([kind($0)]) }), ("ipv4", text(exit.ipv4)),
            ("ipv6", text(exit.ipv6)), ("forwards", list(exit.forwards.map(text))),
            ("allow", list(exit.allow.map(text))),
        ])
    }

    private func text(_ ipv4: ExitIPv4?) -> String {
        switch ipv4 {
        case nil: return "none"
        case .shared?: return "shared"
        case .own(let own)?:
            let translation =
                switch own.translation {
                case .none: "none"
                case .masquerade: "masquerade"
                case .source(let address): quoted(address)
                }
            return table([
                ("address", quoted(own.address)), ("gateway", own.gateway.map(quoted)), ("metric", "\(own.metric)"),
                ("nat", translation),
            ])
        }
    }

    private func text(_ ipv6: ExitIPv6?) -> String {
        guard let ipv6 else { return "none" }
        let translation =
            switch ipv6.translation {
            case .none: "none"
            case .masquerade: "masquerade"
            case .prefix(let prefix): quoted(prefix)
            }
        return table([
            ("address", ipv6.address.map(quoted)), ("gateway", ipv6.gateway.map(quoted)),
            ("metric", "\(ipv6.metric)"), ("nat", translation),
        ])
    }

    private func text(_ forward: PortForward) -> String {
        table([
            ("port", "\(forward.port)"), ("protocol", forward.transport.rawValue),
            ("to", quoted(Endpoint.v4(forward.target, port: forward.targetPort))),
            ("address", forward.address.map(quoted)),
        ])
    }

    private func text(_ rule: AllowRule) -> String {
        let ports = rule.ports.map {
            quoted($0.lowerBound == $0.upperBound ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)")
        }
        return table([
            ("to", quoted(rule.destination)), ("protocol", rule.transport?.rawValue), ("ports", list(ports)),
            ("from", rule.source.map(quoted)),
        ])
    }
}
