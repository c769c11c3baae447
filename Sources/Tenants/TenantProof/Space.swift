internal import NetworkAddresses
internal import TenantModel
internal import TenantPlan

/// A namespace, prepared for looking things up. A class, for a walk would copy all of its tables at each step.
final class Space: Sendable {
    struct Way: Sendable {
        /// `nil`: unreachable.
        var nic: Int?
        var hop: IPv6Address?
        var metric: UInt32
    }

    let node: NodeName
    let tables: NamespaceTables
    let routes: PrefixTable<Way>
    let local: Set<IPv6Address>
    private let nics: [String: Int]
    /// Nics of routes that are not there.
    let missing: [String]

    init(node: NodeName, _ tables: NamespaceTables) {
        self.node = node
        self.tables = tables
        nics = Dictionary(tables.nics.enumerated().map { ($1.name, $0) }) { first, _ in first }
        var routes = PrefixTable<Way>()
        var local: Set<IPv6Address> = []
        var missing: [String] = []
        let lower: (Way, Way) -> Way = { $1.metric < $0.metric ? $1 : $0 }
        for (index, nic) in tables.nics.enumerated() {
            for address in nic.addresses {
                local.insert(address.address.mapped)
                guard nic.isUp, address.length < address.address.bits else { continue }
                // Source: Linux gives these routes metric 256 for IPv6 and 0 for IPv4.
                let metric: UInt32 = address.address.mapped.isMapped ? 0 : 256
                routes.insert(address.masked, Way(nic: index, hop: nil, metric: metric), choosing: lower)
            }
        }
        for route in tables.routes {
            // Source: Linux takes 1024 for IPv6 if nothing is said.
            let isIPv6 = !route.destination.address.mapped.isMapped
            var way = Way(nic: nil, hop: nil, metric: route.metric == 0 && isIPv6 ? 1024 : route.metric)
            if case .nic(let name, let hop) = route.target {
                guard let nic = nics[name] else {
                    missing.append(name)
                    continue
                }
                // A nic that is down loses its routes.
                guard tables.nics[nic].isUp else { continue }
                way.nic = nic
                way.hop = hop?.mapped
            }
            routes.insert(route.destination.masked, way, choosing: lower)
        }
        self.routes = routes
        self.local = local
        self.missing = missing
    }

    func nic(_ name: String) -> Int? { nics[name] }

    func forwards(_ packet: Packet) -> Bool { packet.isIPv4 ? tables.forwardsIPv4 : tables.forwardsIPv6 }

    /// Whether a neighbour with this address can be on the nic.
    func isOnLink(_ hop: IPv6Address, nic: Int) -> Bool {
        if hop.isLinkLocal { return true }
        guard let way = routes.lookup(hop) else { return false }
        return way.nic == nic && way.hop == nil
    }

    // MARK: - Firewall

    enum Chain {
        case forward
        case input
    }

    /// What a packet brings along.
    struct Passage {
        var from: String?
        var to: String?
        var isEstablished: Bool
        var isForwarded: Bool
    }

    func accepts(_ packet: Packet, _ passage: Passage, _ chain: Chain) -> Bool {
        let firewall = tables.firewall
        let rules = chain == .forward ? firewall.forward : firewall.input
        for rule in rules where matches(rule, packet, passage) { return rule.verdict == .accept }
        return (chain == .forward ? firewall.forwardPolicy : firewall.inputPolicy) == .accept
    }

    private func matches(_ rule: FilterRule, _ packet: Packet, _ passage: Passage) -> Bool {
        if let from = rule.from, from != passage.from { return false }
        if let to = rule.to, to != passage.to { return false }
        switch rule.state {
        case .established where !passage.isEstablished: return false
        case .forwarded where !passage.isForwarded: return false
        case .invalid: return false
        default: break
        }
        if let transport = rule.transport, transport != packet.transport { return false }
        if let source = rule.source, !source.holds(packet.source) { return false }
        if let destination = rule.destination, !destination.holds(packet.destination) { return false }
        return rule.ports.isEmpty || rule.ports.contains { $0.contains(packet.port) }
    }

    /// Leads a new connection elsewhere. Whether it did.
    func redirect(_ packet: inout Packet, from nic: String?) -> Bool {
        guard packet.isIPv4 else { return false }
        let rule = tables.firewall.forwards.first { rule in
            packet.destination == IPv6Address(mapping: rule.address) && packet.port == rule.port
                && packet.transport.rawValue == rule.transport.rawValue && (rule.from == nil || rule.from == nic)
        }
        guard let rule else { return false }
        packet.destination = IPv6Address(mapping: rule.target)
        packet.port = rule.targetPort
        return true
    }

    /// Gives a new connection another source, as the first rule says that fits.
    func translate(_ packet: inout Packet, to nic: Int) {
        let name = tables.nics[nic].name
        let source = packet.source
        let rule = tables.firewall.translations.first { rule in
            (rule.to == nil || rule.to == name) && rule.source.holds(source)
        }
        switch rule?.becomes {
        case nil: return
        case .masquerade:
            let isIPv4 = packet.isIPv4
            let address = tables.nics[nic].addresses.lazy.map(\.address.mapped)
                .first { $0.isMapped == isIPv4 && !$0.isLinkLocal }
            if let address { packet.source = address }
        case .address(let address): packet.source = IPv6Address(mapping: address)
        case .prefix(let prefix):
            let kept = source.masked(prefix.length)
            packet.source = IPv6Address(
                high: prefix.address.high | (source.high ^ kept.high),
                low: prefix.address.low | (source.low ^ kept.low)
            )
        }
    }
}

extension IPPrefix.Address {
    var bits: UInt8 {
        switch self {
        case .v4: 32
        case .v6: 128
        }
    }
}
