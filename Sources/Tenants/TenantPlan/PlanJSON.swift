public import JSONText
internal import NetworkAddresses
public import TenantModel

extension Plan {
    /// The newest form of ``json(of:)``. It grows when a program that reads the old one would understand something wrong.
    static let jsonFormat: Int64 = 1

    /// The plan for machines, of one node or of all. docs/TENANTS.md describes it.
    public func json(of node: NodeName? = nil) -> JSONValue {
        let chosen = node.map { name in nodes.filter { $0.name == name } } ?? nodes
        let concerned = networks.filter { network in
            node == nil || network.pairs.contains { $0.first == node || $0.second == node }
        }
        return .members([
            "format": .number(Self.jsonFormat),
            "networks": .list(concerned.map { $0.json(of: node) }),
            "nodes": .list(chosen.map(\.json)),
        ])
    }
}

extension NetworkPlan {
    fileprivate func json(of node: NodeName?) -> JSONValue {
        let chosen = node.map { name in pairs.filter { $0.first == name || $0.second == name } } ?? pairs
        return .members([
            "name": .words(name),
            "version": .number(version),
            "exit": exit.map { .words($0) },
            "pairs": .list(chosen.map(\.json)),
        ])
    }
}

extension Pair {
    fileprivate var json: JSONValue {
        .members([
            "first": .words(first),
            "second": .words(second),
            "relation": .text(relation.kind.rawValue),
            "family": relation.family.map { .text($0.word) },
            "reason": .text(reason),
        ])
    }
}

extension NodePlan {
    fileprivate var json: JSONValue {
        .members([
            "name": .words(name),
            "kind": .text(kind == .node ? "node" : "device"),
            "namespaces": .list(namespaces.map(\.json)),
        ])
    }
}

extension NamespacePlan {
    fileprivate var json: JSONValue {
        var leg: Int64?
        var network: NetworkName?
        switch role {
        case .host: break
        case .leg(let index): leg = Int64(index)
        case .network(let name): network = name
        }
        return .members([
            "name": name.map { .text($0) } ?? .null,
            "leg": leg.map { .number($0) },
            "network": network.map { .words($0) },
            "forwarding": .bool(forwards),
            "nics": .list(nics.map(\.json)),
            "routes": .list(routes.map(\.json)),
            "firewall": firewall.isEmpty ? nil : firewall.json,
            "relays": relays.isEmpty ? nil : .list(relays.map(\.json)),
        ])
    }
}

extension RelayPort {
    fileprivate var json: JSONValue {
        .members(["port": .number(port), "network": .words(member.network), "node": .words(member.node)])
    }
}

extension Nic {
    fileprivate var json: JSONValue {
        let common: [JSONValue.Member] = [
            .init("name", .text(name)), .init("birth", birth.map { .text($0) } ?? .null),
            .init("addresses", .list(addresses.map { .words($0) })), .init("mtu", mtu.map { .number($0) } ?? .null),
        ]
        return .object(common + kind.members)
    }
}

extension Nic.Kind {
    fileprivate var members: [JSONValue.Member] {
        switch self {
        case .wireGuard(let wireGuard):
            return [
                .init("kind", .text("wireguard")), .init("key", .words(wireGuard.key)),
                .init("port", .number(wireGuard.port)), .init("peers", .list(wireGuard.peers.map(\.json))),
            ]
        case .vxlan(let vxlan):
            var members: [JSONValue.Member] = [
                .init("kind", .text("vxlan")), .init("id", .number(vxlan.identifier)),
                .init("local", .text(vxlan.local.text)),
            ]
            switch vxlan.delivery {
            case .peers(let peers): members.append(.init("peers", .list(peers.map { .text($0.text) })))
            case .group(let group, let nic):
                members += [.init("group", .text(group.text)), .init("parent", .text(nic))]
            }
            return members
        case .bridge: return [.init("kind", .text("bridge"))]
        case .inside(let bridge): return [.init("kind", .text("veth")), .init("bridge", .text(bridge))]
        case .transit(let namespace):
            return [.init("kind", .text("veth")), .init("namespace", namespace.map { .text($0) } ?? .null)]
        case .outside(let outside): return outside.members
        }
    }
}

extension Nic.Outside {
    fileprivate var members: [JSONValue.Member] {
        switch self {
        case .vlan(let parent, let identifier):
            [.init("kind", .text("vlan")), .init("parent", .text(parent)), .init("id", .number(identifier))]
        case .macvlan(let parent, let namespace, let mac):
            [
                .init("kind", .text("macvlan")), .init("parent", .text(parent)),
                .init("parent-namespace", namespace.map { .text($0) } ?? .null),
                .init("mac", mac.map { .words($0) } ?? .null),
            ]
        case .veth(let bridge): [.init("kind", .text("outer-veth")), .init("bridge", .text(bridge))]
        case .moved(let nic): [.init("kind", .text("nic")), .init("parent", .text(nic))]
        case .existing(let nic): [.init("kind", .text("existing")), .init("parent", .text(nic))]
        }
    }
}

extension WireGuardPeer {
    fileprivate var json: JSONValue {
        .members([
            "node": .words(node),
            "key": .words(key),
            "endpoint": endpoint.map { .words($0) } ?? .null,
            "relayed": isRelayed ? .bool(true) : nil,
            "keepalive": .number(keepalive),
            "allowed-ips": .list(allowedIPs.map { .words($0) }),
        ])
    }
}

extension Route {
    fileprivate var json: JSONValue {
        var nic: JSONValue?
        var hop: JSONValue?
        if case .nic(let name, let next) = target {
            nic = .text(name)
            hop = next.map { .text($0.text) }
        }
        return .members([
            "destination": .words(destination),
            "nic": nic,
            "via": hop,
            "unreachable": nic == nil ? .bool(true) : nil,
            "metric": metric == 0 ? nil : .number(metric),
        ])
    }
}

extension Firewall {
    fileprivate var json: JSONValue {
        .members([
            "forward-policy": .text(forwardPolicy.rawValue),
            "forward": .list(forward.map(\.json)),
            "input-policy": .text(inputPolicy.rawValue),
            "input": .list(input.map(\.json)),
            "dnat": .list(forwards.map(\.json)),
            "snat": .list(translations.map(\.json)),
            "clamp-mss": .bool(clampsSegments),
        ])
    }
}

extension FilterRule {
    fileprivate var json: JSONValue {
        .members([
            "verdict": .text(verdict.rawValue),
            "state": state.map { .text($0.rawValue) },
            "from": from.map { .text($0) },
            "to": to.map { .text($0) },
            "source": source.map { .words($0) },
            "destination": destination.map { .words($0) },
            "transport": transport.map { .text($0.rawValue) },
            "ports": ports.isEmpty ? nil : .text(ports.map(\.words).joined(separator: ",")),
        ])
    }
}

extension DestinationRule {
    fileprivate var json: JSONValue {
        .members([
            "from": from.map { .text($0) },
            "address": .words(address),
            "transport": .text(transport.rawValue),
            "port": .number(port),
            "target": .words(target),
            "target-port": .number(targetPort),
        ])
    }
}

extension SourceRule {
    fileprivate var json: JSONValue {
        .members(["to": to.map { .text($0) }, "source": .words(source), "becomes": .text(becomes.words)])
    }
}

extension SourceRule.Source {
    var words: String {
        switch self {
        case .masquerade: "masquerade"
        case .address(let address): "\(address)"
        case .prefix(let prefix): "\(prefix)"
        }
    }
}

extension ClosedRange<UInt16> {
    var words: String { lowerBound == upperBound ? "\(lowerBound)" : "\(lowerBound)-\(upperBound)" }
}

extension AddressFamily {
    var word: String {
        switch self {
        case .ipv4: "ipv4"
        case .ipv6: "ipv6"
        }
    }
}
