internal import NetworkAddresses
internal import TenantModel

/// How the exit of a network reaches the internet.
enum ExitSide: Hashable {
    /// With a nic of its own in the network's namespace, made of this.
    case ownNic(Nic.Outside)
    /// Through the namespace where its WireGuard is born, which routes and translates.
    case transit

    /// A leg that the exit names is its own. Otherwise it stands beside the nic of the node's leg, if a second one can;
    /// a tunnel has no second one, and of a machine without legs nobody knows the nic.
    static func ofIPv6(_ exit: Exit, _ resource: Resource) -> ExitSide {
        if let kind = exit.interface { return .ownNic(outside(kind)) }
        guard let namespace = resource.birth.namespace, let leg = resource.leg else { return .transit }
        return switch leg.kind {
        case .macvlan(let parent, _): .ownNic(.macvlan(parent: parent.text, namespace: nil, mac: nil))
        case .veth(let bridge): .ownNic(.veth(bridge: bridge.text))
        // There is one nic of each VLAN, and one of each machine's nics: it is in that namespace by now.
        case .vlan, .nic: .ownNic(.macvlan(parent: NodeNames.publicNic, namespace: namespace, mac: nil))
        case .existing: .transit
        }
    }

    /// What the nic of a leg is made of.
    static func outside(_ kind: PublicLeg.Kind) -> Nic.Outside {
        switch kind {
        case .nic(let name): .moved(name.text)
        case .vlan(let parent, let identifier): .vlan(parent: parent.text, identifier: identifier)
        case .macvlan(let parent, let mac): .macvlan(parent: parent.text, namespace: nil, mac: mac)
        case .veth(let bridge): .veth(bridge: bridge.text)
        case .existing(let name): .existing(name.text)
        }
    }
}

extension Resource {
    /// The leg where its WireGuard is born; `nil` for the machine's own namespace.
    var leg: PublicLeg? {
        birth.leg.flatMap { node.legs.indices.contains($0) ? node.legs[$0] : nil }
    }
}

extension Exit {
    /// Whether it needs the way through the namespace of its WireGuard.
    func usesTransit(_ resource: Resource) -> Bool {
        ipv4 == .shared || (ipv6 != nil && ExitSide.ofIPv6(self, resource) == .transit)
    }
}
