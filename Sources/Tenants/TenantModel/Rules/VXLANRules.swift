internal import NetworkAddresses

extension RuleCheck {
    mutating func checkVXLANs(of network: TenantNetwork, _ path: DocumentPath) {
        var lans: Set<PlaceName> = []
        for (index, segment) in network.vxlans.enumerated() {
            let place = path.appending("vxlan").appending(index)
            if !lans.insert(segment.lan).inserted {
                fail(place, "a second segment of \(network.name) in the LAN \(segment.lan)", advice: "one is enough")
            }
            checkIdentifier(of: segment, in: network, place)
            checkMates(of: segment, in: network, place)
        }
    }

    /// Two networks with one number in one LAN would be one network.
    private mutating func checkIdentifier(of segment: VXLANSegment, in network: TenantNetwork, _ place: DocumentPath) {
        let identifier = segment.identifier(in: network.name)
        guard let other = vxlanIdentifiers[segment.lan, default: [:]].updateValue(place, forKey: identifier) else {
            return
        }
        fail(
            place.appending("id"),
            "the segment has the number \(identifier) in the LAN \(segment.lan), and so has \(other)",
            advice: "give one of them another `id`"
        )
    }

    private mutating func checkMates(of segment: VXLANSegment, in network: TenantNetwork, _ place: DocumentPath) {
        let members = Set(network.members.map(\.node))
        let named = segment.members ?? network.members.map(\.node).filter { nodes[$0]?.lan?.lan == segment.lan }
        for (index, name) in (segment.members ?? []).enumerated() {
            let place = place.appending("members").appending(index)
            if !members.contains(name) {
                fail(place, "\(name) is no member of \(network.name)")
            } else if nodes[name]?.lan?.lan != segment.lan {
                fail(place, "\(name) is not in the LAN \(segment.lan)", advice: "say `lan: \(segment.lan)` of the node")
            }
        }
        let mates = named.compactMap { nodes[$0] }.filter { $0.lan?.lan == segment.lan }
        if mates.count < 2 {
            fail(
                place,
                "\(network.name) has \(mates.count) members in the LAN \(segment.lan), and a segment joins two or more"
            )
        }
        for mate in mates where mate.lan?.isDirect == false {
            fail(place, "\(mate.name) is to speak to nobody in its LAN directly (`direct: false`)")
        }
        switch segment.delivery {
        case .peers:
            let family = AddressFamily.allCases.first { family in
                mates.allSatisfy { !($0.ownReachability(family)?.addresses.isEmpty ?? true) }
            }
            if family == nil, mates.count > 1 {
                fail(
                    place,
                    "the members in the LAN \(segment.lan) have no family in which all of them name an address there",
                    advice: "say `ipv4: {hidden: ADDRESS}` of each node"
                )
            }
        case .group(let group):
            if !group.isGroup {
                fail(place.appending("group"), "\(group.text) is no address of a group (224.0.0.0/4, ff00::/8)")
            }
            for mate in mates where mate.ownReachability(group.family)?.addresses.isEmpty ?? true {
                fail(
                    place.appending("group"),
                    "\(mate.name) names no \(group.family) address in the LAN, and the group \(group.text) needs one",
                    advice: "say `\(Self.key(of: group.family)): {hidden: ADDRESS}` of the node"
                )
            }
            for mate in mates where mate.lan?.interface == nil {
                fail(
                    place.appending("group"),
                    "\(mate.name) does not say which nic is in the LAN, and a group needs one",
                    advice: "say `lan: {name: \(segment.lan), interface: NIC}` of the node"
                )
            }
        }
    }
}

extension IPPrefix.Address {
    fileprivate var isGroup: Bool {
        switch self {
        case .v4(let address): address.value >> 28 == 0xe
        case .v6(let address): address.isMulticast
        }
    }
}
