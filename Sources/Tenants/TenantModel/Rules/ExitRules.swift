internal import NetworkAddresses

/// Where a port forward begins.
struct ForwardPlace: Hashable {
    enum Address: Hashable {
        case own(IPv4Address)
        /// That of the namespace, which is not said in the document twice.
        case shared(PortBook.Namespace)
    }

    var address: Address
    var transport: PortForward.Transport
    var port: UInt16
}

extension RuleCheck {
    /// I1, and what an exit can do.
    mutating func checkExit(of network: TenantNetwork, _ path: DocumentPath) {
        guard let exit = network.exit else { return }
        let place = path.appending("exit")
        guard let member = network.members.first(where: { $0.node == exit.node }) else {
            fail(place, "the exit \(exit.node) is no member of \(network.name)", advice: "add it to members")
            return
        }
        checkNode(exit, member, place)
        if case .own(let own)? = exit.ipv4 {
            check(own, place.appending("ipv4"))
            take(.v4(own.address.address), of: network, place.appending("ipv4"))
        }
        if exit.ipv4 != nil, !network.hasIPv4 {
            fail(place.appending("ipv4"), "\(network.name) has no IPv4 inside (`ipv4: false`), so its exit needs none")
        }
        if case .shared? = exit.ipv4, let node = resolver.node(of: member), node.birth.ipv4 == nil {
            fail(
                place.appending("ipv4"),
                "\(exit.node) has no IPv4 address that networks could share",
                advice: "give its leg one, or say `ipv4: none`"
            )
        }
        if let ipv6 = exit.ipv6 {
            check(ipv6, of: exit, member, in: network, place)
            if let address = ipv6.address?.address ?? derivedAddress(of: member, in: network) {
                take(.v6(address), of: network, place.appending("ipv6"))
            }
        }
        for (index, rule) in exit.allow.enumerated() {
            check(rule, in: network, of: nil, place.appending("allow").appending(index))
        }
        if exit.ipv6 == nil, !exit.allow.isEmpty {
            fail(place.appending("allow"), "an exit without IPv6 (`ipv6: none`) lets nothing in that could be allowed")
        }
    }

    private mutating func checkNode(_ exit: Exit, _ member: Member, _ place: DocumentPath) {
        let place = place.appending("node")
        if member.kind == .device {
            fail(place, "\(exit.node) is a device, and an exit must be a node", advice: "name a public node")
            return
        }
        guard let node = resolver.node(of: member) else { return }
        if !node.mayBeExit { fail(place, "\(exit.node) is to be no exit (`may_be_exit: false`)") }
        if !AddressFamily.allCases.contains(where: { node.birth.isPublic($0) }) {
            fail(
                place,
                "the exit \(exit.node) is hidden, and hidden members could not reach it",
                advice: "name a node that is public by IPv4 or IPv6, or give this one a leg with a public address"
            )
        }
    }

    private func derivedAddress(of member: Member, in network: TenantNetwork) -> IPv6Address? {
        guard let names = resolver.segment(of: member, in: network)?.names,
            let allocation = names.allocation.flatMap({ allocations[$0] })
        else { return nil }
        return allocation.exitAddress(of: names.tag)
    }

    /// An exit has a nic of its own, so its address is nobody else's.
    private mutating func take(_ address: IPPrefix.Address, of network: TenantNetwork, _ place: DocumentPath) {
        guard let other = addresses.updateValue("the exit of \(network.name)", forKey: address) else { return }
        fail(
            place,
            "the exit of \(network.name) would have \(address.text), and that is an address of \(other)",
            advice: address.family == .ipv4 ? "say `ipv4: shared` to share that of the node" : "name another address"
        )
    }

    private mutating func check(_ own: ExitIPv4Address, _ place: DocumentPath) {
        if own.address.address.isNobodys {
            fail(place.appending("address"), "\(own.address.address) is no address of a machine")
        }
        if let gateway = own.gateway { checkGateway(gateway, of: own.address, place) }
        if case .source(let address) = own.translation, address.isNobodys {
            fail(place.appending("nat"), "\(address) is no address of a machine")
        }
    }

    private mutating func check(
        _ ipv6: ExitIPv6,
        of exit: Exit,
        _ member: Member,
        in network: TenantNetwork,
        _ place: DocumentPath
    ) {
        let place = place.appending("ipv6")
        if let address = ipv6.address {
            if address.address.isNobodys {
                fail(place.appending("address"), "\(address.address) is no address that others can reach")
            }
            if let gateway = ipv6.gateway { checkGateway(gateway, of: address, place) }
        } else if member.isStatic {
            fail(
                place,
                "the exit \(exit.node) has a static prefix, so no address beside its router can be derived",
                advice: "say `ipv6: {address: …, gateway: …}`, or `ipv6: none`"
            )
        }
        guard ipv6.translation != .none else { return }
        let prefixes = network.members.compactMap { resolver.segment(of: $0, in: network)?.segment.prefix }
        if let global = prefixes.first(where: { !Self.isLocal($0) }) {
            fail(
                place.appending("nat"),
                "\(global) is global, and IPv6 is translated only where all prefixes are local (fc00::/7)",
                advice: "say `nat: none`"
            )
        }
        if case .prefix(let outside) = ipv6.translation, let reason = Self.reasonAgainst(outside) {
            fail(place.appending("nat"), "\(outside) cannot be the outside: \(reason)")
        }
    }

    /// An allow rule opens something that is in the network: of the member, or of any.
    mutating func check(_ rule: AllowRule, in network: TenantNetwork, of member: Member?, _ place: DocumentPath) {
        if network.exit == nil {
            fail(place, "\(network.name) has no exit, so nothing comes in that could be allowed")
        }
        if rule.transport == .icmpv6 || rule.transport == nil, !rule.ports.isEmpty {
            fail(place.appending("ports"), "ports are of tcp and udp", advice: "say `protocol: tcp` or `protocol: udp`")
        }
        let members = member.map { [$0] } ?? network.members
        let segments = members.compactMap { resolver.segment(of: $0, in: network)?.segment.prefix }
        // A member without a prefix yet may get the one that is meant.
        guard segments.count == members.count else { return }
        if !segments.contains(where: { $0.contains(rule.destination) }) {
            fail(
                place.appending("to"),
                "\(rule.destination) is in no prefix of \(member.map { "\($0.node)" } ?? "\(network.name)")",
                advice: "allow rules open addresses inside: \(Self.some(segments))"
            )
        }
    }

    /// I11. Behind all networks, for several may share an address.
    mutating func checkForwards(_ network: TenantNetwork, _ path: DocumentPath) {
        guard let exit = network.exit, network.members.contains(where: { $0.node == exit.node }) else { return }
        let id = MemberID(network: network.name, node: exit.node)
        let namespace = PortBook.Namespace(node: exit.node, leg: assigned.legs[id] ?? 0)
        let ranges =
            network.hasIPv4
            ? network.members.compactMap { member in
                member.ipv4 ?? resolver.segment(of: member, in: network)?.names.tag.ipv4
            } : []
        for (index, forward) in exit.forwards.enumerated() {
            let place = path.appending("exit").appending("forwards").appending(index)
            guard let ipv4 = exit.ipv4 else {
                fail(
                    place,
                    "\(network.name) has no IPv4 address outside that a port could be of",
                    advice: "say `ipv4: shared`, or give the exit an address"
                )
                continue
            }
            if ranges.count == network.members.count, !ranges.contains(where: { $0.contains(forward.target) }) {
                fail(
                    place.appending("to"),
                    "\(forward.target) is of no member of \(network.name)",
                    advice: "forwards lead inside: \(Self.some(ranges))"
                )
            }
            check(forward, ipv4, namespace, place)
        }
    }

    private mutating func check(
        _ forward: PortForward,
        _ ipv4: ExitIPv4,
        _ namespace: PortBook.Namespace,
        _ place: DocumentPath
    ) {
        let begin: ForwardPlace.Address
        switch ipv4 {
        case .own(let own): begin = .own(forward.address ?? own.address.address)
        case .shared:
            if forward.address != nil {
                fail(
                    place.appending("address"),
                    "the address outside is that of the node, which several networks share",
                    advice: "leave `address` out"
                )
            }
            begin = .shared(namespace)
            if forward.transport == .udp, let other = ports[namespace]?[forward.port] {
                fail(place.appending("port"), "UDP port \(forward.port) is where WireGuard of \(other) listens")
            }
        }
        let whole = ForwardPlace(address: begin, transport: forward.transport, port: forward.port)
        guard let other = forwards.updateValue(place, forKey: whole) else { return }
        fail(
            place.appending("port"),
            "\(forward.transport.rawValue) port \(forward.port) leads elsewhere already: \(other)",
            advice: "a port of an address leads to one place"
        )
    }

    /// At most four of them, so that a line stays a line.
    private static func some(_ values: [some CustomStringConvertible]) -> String {
        values.prefix(4).map(\.description).joined(separator: ", ") + (values.count > 4 ? ", …" : "")
    }
}
