internal import NetworkAddresses
internal import WireGuardTypes

extension RuleCheck {
    mutating func check(_ network: TenantNetwork, _ path: DocumentPath) {
        if network.members.isEmpty {
            fail(
                path.appending("members"),
                "\(network.name) has no members",
                advice: "name at least one node with its key"
            )
        }
        checkAllocations(of: network, path)
        var names: Set<NodeName> = []
        var tags = TagBook()
        var ranges: [(range: IPv4Prefix, name: NodeName)] = []
        for member in network.members {
            let place = path.appending("members").appending(member.node.text)
            if !names.insert(member.node).inserted {
                fail(place, "\(member.node) is a member of \(network.name) twice")
            }
            checkNode(of: member, place)
            checkKey(of: member, place)
            checkPrefix(of: member, in: network, place)
            checkIPv4(of: member, in: network, place)
            if let (segment, names) = resolver.segment(of: member, in: network) {
                checkOwner(of: segment, member, place)
                tags.take(names.tag, of: member, in: network, place, &self)
                checkNames(names, of: member, place)
                if network.hasIPv4, !names.tag.allowsIPv4, member.ipv4 == nil {
                    fail(
                        place,
                        "the tag \(names.tag) of \(member.node) ends with \(names.tag.low16 == 0 ? "0000" : "ffff"), "
                            + "and no IPv4 network can be derived from it",
                        advice: "take another prefix, or say `ipv4: false` of the network"
                    )
                }
                if let ipv4 = network.hasIPv4 ? member.ipv4 ?? names.tag.ipv4 : nil {
                    ranges.append((ipv4, member.node))
                }
            }
            checkPort(of: member, in: network, place)
            for (index, rule) in member.allow.enumerated() {
                check(rule, in: network, of: member, place.appending("allow").appending(index))
            }
        }
        checkRanges(ranges, in: network, path)
        checkReach(network, path)
        checkExit(of: network, path)
        checkVXLANs(of: network, path)
    }

    private mutating func checkAllocations(of network: TenantNetwork, _ path: DocumentPath) {
        let place = path.appending("allocations")
        var seen: Set<UInt8> = []
        for (index, number) in network.allocations.enumerated() {
            if allocations[number] == nil {
                fail(place.appending(index), "there is no allocation \(number)")
            } else if !seen.insert(number).inserted {
                fail(place.appending(index), "allocation \(number) is there twice")
            }
        }
        if network.allocations.isEmpty, network.members.contains(where: { !$0.isStatic }) {
            fail(
                path,
                "\(network.name) names no allocation, and its members need prefixes",
                advice: "say `allocations: [NUMBER]`, or give each member a static prefix"
            )
        }
    }

    private mutating func checkNode(of member: Member, _ place: DocumentPath) {
        switch (member.kind, nodes[member.node]) {
        case (.node, nil):
            fail(
                place,
                "there is no node \(member.node)",
                advice: "add it to nodes, or say `device: true` of a router or a phone"
            )
        case (.device, _?):
            fail(
                place,
                "\(member.node) is a node and cannot be a device as well",
                advice: "call the device something else, or leave `device` out"
            )
        default: break
        }
    }

    /// I10. A key in two networks would tell everybody that both are on one node.
    private mutating func checkKey(of member: Member, _ place: DocumentPath) {
        guard let other = keys.updateValue(place, forKey: member.key) else { return }
        fail(
            place.appending("key"),
            "the key of \(member.node) is at \(other) already",
            advice: "make a key for each network on each node: `wg genkey`"
        )
    }

    /// I2.
    private mutating func checkPrefix(of member: Member, in network: TenantNetwork, _ place: DocumentPath) {
        guard let prefix = member.prefix else {
            if member.isStatic {
                fail(
                    place.appending("static"),
                    "a static prefix is to be named",
                    advice: "say `prefix: …`, or leave `static` out"
                )
            }
            return
        }
        let place = place.appending("prefix")
        guard prefix.isNetwork, prefix.length == 64 else {
            fail(
                place,
                prefix.isNetwork
                    ? "\(prefix) is no /64, and a member has exactly one"
                    : "\(prefix) has bits behind its length; the network is \(prefix.masked)"
            )
            return
        }
        guard let segment = Segment(prefix) else { return }
        if member.isStatic {
            if let reason = Self.reasonAgainst(prefix) {
                fail(place, "\(prefix) cannot be routed to a network: \(reason)")
            }
            if let owner = document.allocations.first(where: { $0.prefix.overlaps(prefix) }) {
                fail(
                    place,
                    "the static prefix \(prefix) is in allocation \(owner.number), which could hand it out again",
                    advice: "leave `static` out, and the ledger keeps it"
                )
            }
            if Tag(static: segment).isTaken {
                fail(
                    place,
                    "\(prefix) has a tag whose link-local address is that of every router (fe80::1) or nobody's"
                )
            }
            return
        }
        let own = network.allocations.compactMap { allocations[$0] }
        guard let allocation = own.first(where: { $0.prefix.contains(prefix) }),
            let index = allocation.index(of: segment)
        else {
            let named = own.map { "\($0.prefix)" }.joined(separator: ", ")
            fail(
                place,
                "\(prefix) is in no allocation of \(network.name)\(named.isEmpty ? "" : " (\(named))")",
                advice:
                    "leave prefix out and the ledger gives one, or say `static: true` of a prefix that somebody else routes"
            )
            return
        }
        if allocation.isReserved(index) {
            let first = allocation.segment(at: index & ~0xffff | allocation.reservedCount)
            fail(
                place,
                "\(prefix) is in the reserved part of \(allocation.prefix): its first \(allocation.reservedCount) /64"
                    + (allocation.prefix.length < 48 ? " of each /48" : "") + " are for routers",
                advice: first.map { "the first that members can have is \($0)" }
            )
        }
    }

    /// I2: no two members of any networks have one prefix.
    private mutating func checkOwner(of segment: Segment, _ member: Member, _ place: DocumentPath) {
        guard let other = segments.updateValue(place, forKey: segment) else { return }
        fail(
            place.appending("prefix"),
            "\(segment) is the prefix of \(other) already",
            advice: "a prefix has one member"
        )
    }

    private mutating func checkIPv4(of member: Member, in network: TenantNetwork, _ place: DocumentPath) {
        guard let ipv4 = member.ipv4 else { return }
        let place = place.appending("ipv4")
        if !network.hasIPv4 {
            fail(place, "\(network.name) has no IPv4 (`ipv4: false`), so a range for \(member.node) means nothing")
        }
        if ipv4.length != 24 || !ipv4.isNetwork {
            fail(place, "\(ipv4) is no /24, and a member has exactly one")
        } else if ipv4.address.isNobodys {
            fail(place, "\(ipv4) has no addresses of machines")
        } else if let shared = IPv4Prefix("100.64.0.0/10"), shared.overlaps(ipv4) {
            fail(place, "\(ipv4) is in \(shared), where members and exits have their addresses to each other")
        }
    }

    /// I5 for IPv4: WireGuard sends an address to one peer only.
    private mutating func checkRanges(
        _ ranges: [(range: IPv4Prefix, name: NodeName)],
        in network: TenantNetwork,
        _ path: DocumentPath
    ) {
        var owners: [IPv4Prefix: NodeName] = [:]
        for (range, name) in ranges {
            guard let other = owners.updateValue(name, forKey: range.masked) else { continue }
            fail(
                path.appending("members").appending(name.text),
                "\(name) and \(other) both have \(range.masked) inside \(network.name)",
                advice: "give one of them another prefix, or another range with `ipv4`"
            )
        }
    }

    /// I8 holds by the way names are made; here: no two interfaces of a node with one name, for control sockets of
    /// WireGuard in user space are the machine's and not a namespace's.
    private mutating func checkNames(_ names: ResourceNames, of member: Member, _ place: DocumentPath) {
        guard member.kind == .node else { return }
        if let other = interfaces[member.node, default: [:]].updateValue(place, forKey: names.wireGuard) {
            fail(
                place,
                "the interface \(names.wireGuard) on \(member.node) is that of \(other) already",
                advice: "static prefixes whose last 16 bits are equal cannot be on one node: change one of them"
            )
        }
        for name in names.interfaces where name.utf8.count > InterfaceName.maximumLength {
            fail(place, "the interface \(name) would have more than \(InterfaceName.maximumLength) bytes")
        }
    }

    /// I9.
    private mutating func checkPort(of member: Member, in network: TenantNetwork, _ place: DocumentPath) {
        let id = MemberID(network: network.name, node: member.node)
        guard member.kind == .node, let port = member.listenPort ?? assigned.ports[id] else { return }
        let namespace = PortBook.Namespace(node: member.node, leg: assigned.legs[id] ?? 0)
        guard let other = ports[namespace, default: [:]].updateValue(place, forKey: port) else { return }
        fail(
            place.appending("port"),
            "port \(port) on \(member.node) is that of \(other) already, and a socket has a port for itself",
            advice: "leave `port` out, and each gets one of its own"
        )
    }
}

/// I4: link-local addresses and IPv4 are made of the tag alone.
private struct TagBook {
    private var values: [UInt32: NodeName] = [:]
    private var lows: [UInt16: NodeName] = [:]

    mutating func take(
        _ tag: Tag,
        of member: Member,
        in network: TenantNetwork,
        _ place: DocumentPath,
        _ check: inout RuleCheck
    ) {
        if let other = values.updateValue(member.node, forKey: tag.value) {
            check.fail(
                place,
                "\(member.node) and \(other) both have the tag \(tag) in \(network.name), "
                    + "so both would be \(tag.linkLocal)",
                advice: "take another prefix for one of them"
            )
        } else if network.hasIPv4, member.ipv4 == nil, let other = lows.updateValue(member.node, forKey: tag.low16) {
            check.fail(
                place,
                "the tags of \(member.node) and \(other) end alike in \(network.name), so both would have \(tag.ipv4)",
                advice: "take another prefix for one of them, or say `ipv4: false` of the network"
            )
        }
    }
}
