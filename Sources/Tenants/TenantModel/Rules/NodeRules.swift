internal import NetworkAddresses

extension RuleCheck {
    mutating func checkNodes(_ path: DocumentPath) {
        var names: Set<NodeName> = []
        for node in document.nodes {
            let place = path.appending(node.name.text)
            if !names.insert(node.name).inserted { fail(place, "a second node \(node.name)") }
            check(node, place)
        }
    }

    private mutating func check(_ node: Node, _ path: DocumentPath) {
        if node.births.allSatisfy({ $0.ipv4 == nil && $0.ipv6 == nil }) {
            fail(
                path,
                "\(node.name) speaks neither IPv4 nor IPv6, so nobody can reach it",
                advice: "say `ipv4: hidden` or `ipv6: hidden` of a machine behind a router"
            )
        }
        for family in AddressFamily.allCases {
            guard let own = node.ownReachability(family) else { continue }
            let place = path.appending(Self.key(of: family))
            if own.isPublic, own.addresses.isEmpty {
                fail(place, "\(node.name) is public by \(family) and has no address that others could speak to")
            }
            for address in own.addresses {
                check(address, of: node, isPublic: own.isPublic, place)
                if own.isPublic { take(address, node.name, place) }
            }
        }
        if node.legs.count > DocumentLimit.legs {
            fail(path.appending("legs"), "more than \(DocumentLimit.legs) legs")
        }
        for (index, leg) in node.legs.enumerated() {
            let place = path.appending("legs").appending(index)
            check(leg, place)
            if let ipv4 = leg.ipv4 { take(.v4(ipv4.address.address), node.name, place) }
            if let ipv6 = leg.ipv6 { take(.v6(ipv6.address.address), node.name, place) }
            for earlier in node.legs[..<index] where Self.excludes(earlier.kind, leg.kind) {
                fail(
                    place,
                    "two legs of \(node.name) need \(leg.kind.interface) for themselves",
                    advice: "let both be a vlan or a macvlan over it"
                )
            }
        }
    }

    /// Whether two legs cannot be made of one interface.
    private static func excludes(_ one: PublicLeg.Kind, _ other: PublicLeg.Kind) -> Bool {
        guard one.interface == other.interface else { return false }
        switch (one, other) {
        case (.macvlan, .macvlan), (.veth, .veth), (.vlan, .macvlan), (.macvlan, .vlan): return false
        case (.vlan(_, let one), .vlan(_, let other)): return one == other
        default: return true
        }
    }

    private mutating func check(_ leg: PublicLeg, _ place: DocumentPath) {
        if leg.ipv4 == nil, leg.ipv6 == nil {
            fail(place, "a leg without an address", advice: "give it ipv4 or ipv6, each with address and gateway")
        }
        if let ipv4 = leg.ipv4 {
            let (address, gateway) = (ipv4.address.address, ipv4.gateway)
            let place = place.appending("ipv4")
            if address.isNobodys { fail(place.appending("address"), "\(address) is no address of a machine") }
            checkGateway(gateway, of: ipv4.address, place)
        }
        if let ipv6 = leg.ipv6 {
            let (address, gateway) = (ipv6.address.address, ipv6.gateway)
            let place = place.appending("ipv6")
            if address.isNobodys { fail(place.appending("address"), "\(address) is no address that others can reach") }
            checkGateway(gateway, of: ipv6.address, place)
        }
    }

    mutating func checkGateway(_ gateway: IPv4Address, of address: IPv4Prefix, _ place: DocumentPath) {
        if gateway == address.address {
            fail(place.appending("gateway"), "the gateway \(gateway) is the machine's own address")
        } else if !address.contains(gateway) {
            fail(
                place.appending("gateway"),
                "the gateway \(gateway) is not in \(address.masked), so nobody could reach it",
                advice: "compare address, length and gateway with what the provider says"
            )
        }
    }

    mutating func checkGateway(_ gateway: IPv6Address, of address: IPv6Prefix, _ place: DocumentPath) {
        if gateway == address.address {
            fail(place.appending("gateway"), "the gateway \(gateway) is the machine's own address")
        } else if !gateway.isLinkLocal, !address.contains(gateway) {
            fail(
                place.appending("gateway"),
                "the gateway \(gateway) is neither in \(address.masked) nor link-local, so nobody could reach it",
                advice: "compare address, length and gateway with what the provider says"
            )
        }
    }

    private mutating func check(_ address: IPPrefix.Address, of node: Node, isPublic: Bool, _ place: DocumentPath) {
        switch address {
        case .v4(let address):
            if address.isNobodys { fail(place, "\(address) is no address of a machine") }
            if isPublic, address.isPrivate {
                warn(place, "\(address) is private, and \(node.name) says that it is public there")
            }
        case .v6(let address):
            if address.isNobodys {
                fail(
                    place,
                    "\(address) is no address that others can reach",
                    advice: "name a global one; link-local addresses mean nothing without an interface"
                )
            }
        }
    }

    private mutating func take(_ address: IPPrefix.Address, _ node: NodeName, _ place: DocumentPath) {
        guard let other = addresses.updateValue(node.text, forKey: address) else { return }
        fail(
            place,
            other == node.text
                ? "a public address of \(node) is there twice"
                : "a public address of \(node) is one of \(other) too, and only one of them can be reached"
        )
    }

    static func key(of family: AddressFamily) -> String {
        switch family {
        case .ipv4: "ipv4"
        case .ipv6: "ipv6"
        }
    }
}

extension IPv4Address {
    /// No address of one machine that others could reach: unspecified, loopback, groups, broadcast.
    var isNobodys: Bool {
        let mapped = IPv6Address(mapping: self)
        return mapped.isUnspecified || mapped.isLoopback || mapped.isMulticast
    }

    /// Source: RFC 1918; RFC 6598; RFC 3927.
    var isPrivate: Bool { Self.privateNetworks.contains { $0.contains(self) } }

    private static let privateNetworks = [
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16",
    ]
    .compactMap { IPv4Prefix($0) }
}

extension IPv6Address {
    /// No address of one machine that others could reach: unspecified, loopback, mapped, groups, link-local.
    var isNobodys: Bool { isUnspecified || isLoopback || isMulticast || isLinkLocal || mappedIPv4 != nil }
}

extension IPPrefix.Address {
    var text: String {
        switch self {
        case .v4(let address): "\(address)"
        case .v6(let address): "\(address)"
        }
    }
}
