internal import NetworkAddresses

extension RuleCheck {
    /// I7: who cannot speak to another member itself does it through the exit, so it must be able to speak to that.
    mutating func checkReach(_ network: TenantNetwork, _ path: DocumentPath) {
        let members = network.members.compactMap { member in
            resolver.node(of: member).map { node in
                (member: member, node: node, birth: birth(of: member, node, in: network))
            }
        }
        if let exit = network.exit {
            guard let hub = members.first(where: { $0.member.node == exit.node }) else { return }
            for other in members where other.member.node != exit.node {
                guard !Self.canMeet(hub.node, hub.birth, other.node, other.birth, in: network) else { continue }
                fail(
                    path.appending("members").appending(other.member.node.text),
                    "\(other.member.node) cannot reach the exit \(exit.node): "
                        + "\(Self.families(other.birth, of: other.member.node)), "
                        + "and \(Self.families(hub.birth, of: exit.node))",
                    advice: "let the exit be public in a family that \(other.member.node) speaks, or take another exit"
                )
            }
        } else {
            for (index, one) in members.enumerated() {
                guard
                    let other = members[..<index].first(where: {
                        !Self.canMeet($0.node, $0.birth, one.node, one.birth, in: network)
                    }
                    )
                else { continue }
                // One for each member is enough: an exit mends them all.
                fail(
                    path.appending("members").appending(one.member.node.text),
                    "\(other.member.node) and \(one.member.node) cannot reach each other without an exit: "
                        + "\(Self.families(other.birth, of: other.member.node)), "
                        + "and \(Self.families(one.birth, of: one.member.node))",
                    advice: "say `exit: NODE` with a public member"
                )
            }
        }
    }

    private func birth(of member: Member, _ node: Node, in network: TenantNetwork) -> Birth {
        let leg = assigned.legs[MemberID(network: network.name, node: member.node)] ?? 0
        let births = node.births
        return births.indices.contains(leg) ? births[leg] : node.birth
    }

    /// Whether two can speak without a third, by WireGuard or in a segment of VXLAN.
    private static func canMeet(
        _ one: Node,
        _ oneBirth: Birth,
        _ other: Node,
        _ otherBirth: Birth,
        in network: TenantNetwork
    ) -> Bool {
        if DirectWay(from: one, oneBirth, to: other, otherBirth) != nil { return true }
        guard let lan = one.lan, let otherLAN = other.lan, lan.lan == otherLAN.lan, lan.isDirect, otherLAN.isDirect
        else { return false }
        // VXLAN's socket is always in the LAN.
        return network.vxlans.contains { segment in
            segment.lan == lan.lan && [one, other].allSatisfy { segment.members?.contains($0.name) ?? true }
        }
    }

    /// `home is hidden by IPv4 and has no IPv6`.
    private static func families(_ birth: Birth, of name: NodeName) -> String {
        let words = AddressFamily.allCases.reversed().map { family in
            switch birth.reachability(family)?.kind {
            case .hidden?: "is hidden by \(family)"
            case .public?: "is public by \(family)"
            case nil: "has no \(family)"
            }
        }
        return "\(name) \(words.joined(separator: " and "))"
    }
}
