internal import NetworkAddresses
internal import TenantModel
internal import WireGuardTypes

/// What only a plan can tell: what follows from several members, networks or nodes together. Keys, names, listen ports and
/// where forwards lead are for the rules of the document.
struct PlanChecks {
    private(set) var mistakes: [DocumentMistake] = []
    private var sockets: [Socket: Claim] = [:]
    private var forwards: [Outside: Claim] = [:]
    private var interfaces: [PortBook.Namespace: Int] = [:]
    private var outsides: [Outlet: MemberID] = [:]

    /// A UDP port of a namespace.
    private struct Socket: Hashable {
        var namespace: PortBook.Namespace
        var port: UInt16
    }

    /// A port of an address to which strangers speak.
    private struct Outside: Hashable {
        var address: IPv4Address
        var transport: PortForward.Transport
        var port: UInt16
    }

    /// A nic of a node of which there is one: it is moved, or it is a VLAN.
    private struct Outlet: Hashable {
        var node: NodeName
        var nic: Nic.Outside
    }

    /// Who has something, and as what.
    private struct Claim: CustomStringConvertible {
        var member: MemberID
        var what: String
        var description: String { "\(what) of \(member)" }
    }

    mutating func check(_ network: ResolvedNetwork, _ planner: NetworkPlanner) {
        let path = DocumentPath().appending("networks").appending(network.network.name.text)
        for (first, resource) in network.resources.enumerated() {
            let place = path.appending("members").appending(resource.id.node.text)
            checkOwn(resource, place)
            for second in network.resources.indices.dropFirst(first + 1) {
                checkPair(resource, network.resources[second], planner.relations[first][second], network, place)
            }
        }
        checkRelays(network, planner, path)
        checkSegments(network, planner, path)
        if let exit = network.network.exit, let resource = network.exit {
            checkExit(exit, resource, network, path.appending("exit"))
        }
    }

    private mutating func tell(_ path: DocumentPath, _ reason: String, _ advice: String? = nil) {
        mistakes.append(DocumentMistake(path, reason, advice: advice))
    }

    // MARK: - Members

    private mutating func checkOwn(_ resource: Resource, _ place: DocumentPath) {
        // Sockets of devices are not ours to arrange.
        guard resource.kind == .node else { return }
        let namespace = PortBook.Namespace(node: resource.id.node, leg: resource.birth.leg ?? 0)
        // That no two of these are one is a rule of the document.
        let socket = Socket(namespace: namespace, port: resource.listenPort)
        sockets[socket] = Claim(member: resource.id, what: "the listen port")
        let count = interfaces[namespace, default: 0] + 1
        interfaces[namespace] = count
        if count == Int(resource.node.wireGuardLimit) + 1 {
            tell(
                place,
                "\(resource.id.node) has more than \(resource.node.wireGuardLimit) interfaces of WireGuard in "
                    + "\(resource.birth.namespace ?? "its own namespace")",
                "give the node another leg with an address of its own, or a higher limit"
            )
        }
    }

    private mutating func claim(
        _ namespace: PortBook.Namespace,
        _ port: UInt16,
        _ claim: Claim,
        _ place: DocumentPath
    ) {
        guard let other = sockets.updateValue(claim, forKey: Socket(namespace: namespace, port: port)) else { return }
        tell(place, "UDP port \(port) of \(namespace.node) is \(claim) and \(other)")
    }

    private mutating func checkPair(
        _ first: Resource,
        _ second: Resource,
        _ relation: Relation,
        _ network: ResolvedNetwork,
        _ place: DocumentPath
    ) {
        guard case .apart(let separation) = relation else { return }
        let pair = "\(first.id.node) (\(first.speech)) and \(second.id.node) (\(second.speech))"
        switch separation {
        case .noExit(let obstacle):
            tell(place, "no path between \(pair): \(obstacle)", "give the network an exit that both reach")
        case .exitUnreachable(let obstacle):
            let exit = network.exit.map { "\($0.id.node) (\($0.speech))" } ?? "the exit"
            tell(
                place,
                "no path between \(pair): \(obstacle), and not both reach the exit, \(exit)",
                "an exit must be public in a family that each hidden member speaks"
            )
        }
    }

    // MARK: - Relay and VXLAN

    private mutating func checkRelays(
        _ network: ResolvedNetwork,
        _ planner: NetworkPlanner,
        _ path: DocumentPath
    ) {
        for (index, resource) in network.resources.enumerated() where resource.relayPort == nil {
            let isRelayed = planner.relations[index].contains { if case .relayed = $0 { true } else { false } }
            guard isRelayed else { continue }
            tell(
                path.appending("members").appending(resource.id.node.text),
                "no relay port yet for \(resource.id.node)",
                "`kex-net allocate` gives one"
            )
        }
        guard let exit = network.exit else { return }
        let namespace = PortBook.Namespace(node: exit.id.node, leg: exit.birth.leg ?? 0)
        for resource in network.resources {
            guard let port = resource.relayPort else { continue }
            let place = path.appending("members").appending(resource.id.node.text)
            claim(namespace, port, Claim(member: resource.id, what: "the relay port"), place)
        }
    }

    private mutating func checkSegments(
        _ network: ResolvedNetwork,
        _ planner: NetworkPlanner,
        _ path: DocumentPath
    ) {
        for (index, vxlan) in network.network.vxlans.enumerated() {
            let used = network.resources.indices.contains { planner.rules.segment(of: $0)?.index == index }
            guard !used else { continue }
            tell(
                path.appending("vxlan").appending(index),
                "no two members speak VXLAN in \(vxlan.lan): they need addresses of one family there, and for a group "
                    + "of that family the name of the nic"
            )
        }
    }

    // MARK: - Exits

    private mutating func checkExit(
        _ exit: Exit,
        _ resource: Resource,
        _ network: ResolvedNetwork,
        _ path: DocumentPath
    ) {
        let isTransit = ExitSide.ofIPv6(exit, resource) == .transit
        if isTransit, case .own? = exit.ipv4 {
            tell(
                path.appending("ipv4"),
                "nobody knows by which nic of \(exit.node) the exit's own IPv4 address is reached",
                "name the interface, or share the address of the node"
            )
        }
        if !isTransit, exit.ipv6 != nil, network.exitIPv6 == nil {
            tell(
                path.appending("ipv6"),
                "the exit's IPv6 address cannot be derived, for the prefix of \(exit.node) is static",
                "give the address"
            )
        }
        checkOutlet(exit, resource, path.appending("interface"))
        if exit.ipv4 == .shared, !resource.birth.speaks(.ipv4) {
            tell(path.appending("ipv4"), "\(exit.node) has no IPv4 address to share")
        }
        if isTransit, exit.ipv6 != nil, !resource.birth.speaks(.ipv6) {
            tell(path.appending("ipv6"), "\(exit.node) has no IPv6 outside", "say `ipv6: none`, or name an interface")
        }
        checkOpenings(exit, resource, network, path)
        if let ipv6 = exit.ipv6, ipv6.translation != .none,
            !(exit.allow.isEmpty && network.resources.allSatisfy(\.allow.isEmpty))
        {
            tell(path.appending("allow"), "nobody outside reaches an address that is translated")
        }
        checkForwards(exit, resource, network, path)
    }

    private mutating func checkOutlet(_ exit: Exit, _ resource: Resource, _ path: DocumentPath) {
        guard let kind = exit.interface else { return }
        let nic = ExitSide.outside(kind)
        switch nic {
        case .macvlan, .veth: return
        case .vlan, .moved, .existing: break
        }
        if resource.node.legs.contains(where: { ExitSide.outside($0.kind) == nic }) {
            tell(path, "\(kind.interface) is a leg of \(exit.node), and is there once", "leave `interface` out")
        }
        guard let other = outsides.updateValue(resource.id, forKey: Outlet(node: exit.node, nic: nic)) else { return }
        tell(path, "\(kind.interface) of \(exit.node) is that of \(other), and is there once", "take a macvlan on it")
    }

    /// Members take only from the exit what they would send to it: of strangers nothing, unless it is their way out.
    private mutating func checkOpenings(
        _ exit: Exit,
        _ resource: Resource,
        _ network: ResolvedNetwork,
        _ path: DocumentPath
    ) {
        guard !exit.isDefaultRoute else { return }
        let advice = "let the exit be the default route"
        for (index, forward) in exit.forwards.enumerated()
        where !(resource.ipv4?.contains(forward.target) ?? false) {
            tell(
                path.appending("forwards").appending(index),
                "\(forward.target) is not at the exit, and other members take nothing from strangers",
                advice
            )
        }
        let rules = exit.allow + network.resources.flatMap(\.allow)
        for rule in rules where !resource.segment.prefix.contains(rule.destination) {
            tell(
                path.appending("allow"),
                "\(rule.destination) is not at the exit, and other members take nothing from strangers",
                advice
            )
        }
    }

    private mutating func checkForwards(
        _ exit: Exit,
        _ resource: Resource,
        _ network: ResolvedNetwork,
        _ path: DocumentPath
    ) {
        for (index, forward) in exit.forwards.enumerated() {
            let place = path.appending("forwards").appending(index)
            guard let address = forward.address ?? usualAddress(exit, resource) else {
                tell(place, "the exit has no IPv4 address that strangers reach", "give the exit one")
                continue
            }
            let claim = Claim(member: resource.id, what: "a port forward")
            let outside = Outside(address: address, transport: forward.transport, port: forward.port)
            if let other = forwards.updateValue(claim, forKey: outside) {
                tell(place, "\(forward.transport) port \(forward.port) of \(address) is \(claim) and \(other)")
            }
            if exit.ipv4 == .shared, forward.transport == .udp {
                let namespace = PortBook.Namespace(node: exit.node, leg: resource.birth.leg ?? 0)
                if let other = sockets[Socket(namespace: namespace, port: forward.port)] {
                    tell(place, "UDP port \(forward.port) of \(exit.node) is \(claim) and \(other)")
                }
            }
        }
    }

    private func usualAddress(_ exit: Exit, _ resource: Resource) -> IPv4Address? {
        switch exit.ipv4 {
        case .own(let own): return own.address.address
        case .shared:
            guard case .v4(let address)? = resource.publicAddress(.ipv4) else { return nil }
            return address
        case nil: return nil
        }
    }

    // MARK: - Cryptokey routing

    /// WireGuard has one table of allowed IPs for each nic, and one peer for each prefix in it.
    mutating func check(_ namespace: NamespacePlan, of resource: Resource) {
        for nic in namespace.nics {
            guard case .wireGuard(let wireGuard) = nic.kind else { continue }
            let place = DocumentPath().appending("networks").appending(resource.id.network.text)
                .appending("members").appending(resource.id.node.text)
            for (wider, narrower) in Overlap.all(in: wireGuard.peers) {
                tell(
                    place,
                    "\(resource.id.node) cannot send \(narrower.prefix) to \(narrower.node), for \(wider.prefix) is "
                        + "that of \(wider.node)",
                    "give one of the two another prefix"
                )
            }
        }
    }
}

/// An allowed IP of a peer.
private struct Overlap {
    var prefix: IPPrefix
    var node: NodeName

    /// Each allowed IP that is in one of another peer. That the exit has everything is right: the longer one wins.
    static func all(in peers: [WireGuardPeer]) -> [(wider: Overlap, narrower: Overlap)] {
        let entries = peers.flatMap { peer in
            peer.allowedIPs.filter { $0.length > 0 }.map { prefix in
                let mapped = prefix.masked.mapped
                return (
                    high: mapped.address.high, low: mapped.address.low, length: mapped.length, node: peer.node,
                    prefix: prefix
                )
            }
        }
        // Each one comes right after all that it is in.
        let sorted = entries.sorted { ($0.high, $0.low, $0.length) < ($1.high, $1.low, $1.length) }
        var overlaps: [(wider: Overlap, narrower: Overlap)] = []
        var around: [Overlap] = []
        for entry in sorted {
            while let last = around.last, !last.prefix.contains(entry.prefix) { around.removeLast() }
            let narrower = Overlap(prefix: entry.prefix, node: entry.node)
            if let wider = around.last(where: { $0.node != entry.node }) { overlaps.append((wider, narrower)) }
            around.append(narrower)
        }
        return overlaps
    }
}

extension Resource {
    /// What it speaks, in words: `public by IPv6, hidden by IPv4`.
    var speech: String {
        let families = AddressFamily.allCases.compactMap { family in
            birth.reachability(family).map { "\($0.isPublic ? "public" : "hidden") by \(family)" }
        }
        return families.isEmpty ? "speaks nothing" : families.joined(separator: ", ")
    }
}
