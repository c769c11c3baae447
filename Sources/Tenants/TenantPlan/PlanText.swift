internal import NetworkAddresses
public import TenantModel

extension Plan {
    /// The plan in words, of one node or of all: how pairs reach each other, and what each node has.
    public func lines(of node: NodeName? = nil) -> [String] {
        var lines: [String] = []
        for network in networks {
            let pairs = network.pairs.filter { node == nil || $0.first == node || $0.second == node }
            guard node == nil || !pairs.isEmpty else { continue }
            let exit = network.exit.map { ", exit \($0)" } ?? ", no exit"
            lines.append("network \(network.name), version \(network.version)\(exit)")
            lines += pairs.map { "  \($0.first) and \($0.second): \($0.reason)" }
        }
        for plan in nodes where node == nil || plan.name == node {
            lines.append("\(plan.kind == .node ? "node" : "device") \(plan.name)")
            lines += plan.namespaces.flatMap(\.lines).map { "  " + $0 }
        }
        return lines
    }
}

extension NamespacePlan {
    fileprivate var lines: [String] {
        let title =
            switch role {
            case .host: "the host's namespace"
            case .leg(let index): "namespace \(name ?? ""), leg \(index)"
            case .network(let network): name.map { "namespace \($0), network \(network)" } ?? "network \(network)"
            }
        let inside =
            nics.flatMap(\.lines) + routes.map { "route \($0)" } + firewall.lines
            + relays.map { "relay: UDP port \($0.port) leads to \($0.member)" } + (forwards ? ["forwards packets"] : [])
        return inside.isEmpty ? [] : [title] + inside.map { "  " + $0 }
    }
}

extension Nic {
    fileprivate var lines: [String] {
        var line = "\(name): \(kind.words)"
        if birth != nil || kind.isWireGuard { line += ", made in \(birth ?? "the host's namespace")" }
        if !addresses.isEmpty { line += ", " + addresses.map(\.description).joined(separator: " ") }
        if let mtu { line += ", MTU \(mtu)" }
        guard case .wireGuard(let setup) = kind else { return [line] }
        return [line] + setup.peers.map { "  peer \($0.words)" }
    }
}

extension Nic.Kind {
    fileprivate var isWireGuard: Bool { if case .wireGuard = self { true } else { false } }

    fileprivate var words: String {
        switch self {
        case .wireGuard(let setup): "WireGuard, port \(setup.port), key \(setup.key)"
        case .vxlan(let vxlan):
            switch vxlan.delivery {
            case .peers(let peers):
                "VXLAN \(vxlan.identifier) from \(vxlan.local.text) to \(peers.map(\.text).joined(separator: " "))"
            case .group(let group, let nic):
                "VXLAN \(vxlan.identifier) from \(vxlan.local.text) to group \(group.text) on \(nic)"
            }
        case .bridge: "bridge"
        case .inside(let bridge): "veth into bridge \(bridge)"
        case .transit(let namespace): "veth to \(namespace ?? "the host's namespace")"
        case .outside(.vlan(let parent, let identifier)): "VLAN \(identifier) of \(parent)"
        case .outside(.macvlan(let parent, let namespace, _)):
            "macvlan of \(parent)\(namespace.map { " in \($0)" } ?? "")"
        case .outside(.veth(let bridge)): "veth into bridge \(bridge)"
        case .outside(.moved(let nic)): "\(nic), moved"
        case .outside(.existing(let nic)): "\(nic), lent"
        }
    }
}

extension WireGuardPeer {
    fileprivate var words: String {
        let endpoint = endpoint.map { "at \($0)\(isRelayed ? ", a relay" : "")" } ?? "dials"
        let allowed = allowedIPs.map(\.description).joined(separator: " ")
        return "\(node) \(key) \(endpoint), keepalive \(keepalive), allowed \(allowed)"
    }
}

extension Firewall {
    fileprivate var lines: [String] {
        guard !isEmpty else { return [] }
        return forwards.map { "dnat \($0.words)" } + translations.map { "snat \($0.words)" }
            + forward.map { "forward \($0.words)" } + ["forward: otherwise \(forwardPolicy.rawValue)"]
            + input.map { "input \($0.words)" } + ["input: otherwise \(inputPolicy.rawValue)"]
            + (clampsSegments ? ["forward: TCP is told the size of what fits"] : [])
    }
}

extension FilterRule {
    fileprivate var words: String {
        var words: [String] = []
        if let state { words.append(state.rawValue) }
        if let from { words.append("from \(from)") }
        if let to { words.append("to \(to)") }
        if let source { words.append("source \(source)") }
        if let destination { words.append("destination \(destination)") }
        if let transport { words.append(transport.rawValue) }
        if !ports.isEmpty { words.append("port " + ports.map(\.words).joined(separator: ",")) }
        return (words + [verdict.rawValue]).joined(separator: " ")
    }
}

extension DestinationRule {
    fileprivate var words: String {
        "\(from.map { "from \($0) " } ?? "")\(address) \(transport.rawValue) port \(port) to \(target) port \(targetPort)"
    }
}

extension SourceRule {
    fileprivate var words: String { "\(to.map { "to \($0) " } ?? "")source \(source) becomes \(becomes.words)" }
}
