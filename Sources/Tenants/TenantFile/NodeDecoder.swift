internal import NetworkAddresses
internal import TenantModel

/// Allocations and nodes of a document.
extension DocumentReader {
    mutating func allocation(_ place: Place) -> Allocation? {
        guard let table = table(place, .allocation) else { return nil }
        let prefixPlace = table["prefix"]
        if prefixPlace == nil { fail(place.line, "an allocation needs prefix, such as 2001:db8:1::/48") }
        if table["number"] == nil {
            fail(place.line, "an allocation needs number, which stands in names of interfaces and never changes")
        }
        let prefix = ipv6Network(prefixPlace)
        let number = number(table["number"], in: Allocation.numbers)
        let gateway = ipv6(table["gateway"])
        let site = placeName(table["site"])
        let reserve = self.number(table["reserve"], in: 2...UInt32.max)
        guard let prefix, let number else { return nil }
        let allocation = Allocation(prefix: prefix, number: number, gateway: gateway, site: site, reserve: reserve)
        if allocation == nil {
            let lengths = Allocation.lengths
            let why =
                prefix.length < lengths.lowerBound
                ? "its tags would be too long for names of interfaces; name a part of it"
                : "nothing is left in it beside the routers' /64"
            fail(
                prefixPlace?.line,
                "\(prefix) is no allocation: from /\(lengths.lowerBound) to /\(lengths.upperBound); \(why)"
            )
        }
        return allocation
    }

    mutating func node(_ name: NodeName, _ place: Place) -> Node? {
        guard let table = table(place, .node) else { return nil }
        var node = Node(name: name)
        node.site = placeName(table["site"])
        node.lan = lan(table["lan"])
        node.ipv4 = reachability(table["ipv4"], .ipv4)
        node.ipv6 = reachability(table["ipv6"], .ipv6)
        node.legs = list(table["legs"], "legs", limit: DocumentLimit.legs).compactMap { leg($0) }
        if let flag = flag(table["may_be_exit"]) { node.mayBeExit = flag }
        if let limit = number(table["wireguard_limit"], in: 1...UInt16.max) { node.wireGuardLimit = limit }
        node.hostName = value(table["host_name"], "a name of a host, without a port") { text in
            HostPort(text, defaultPort: 1).flatMap { $0.port == 1 && $0.host == text ? text : nil }
        }
        return node
    }

    private mutating func lan(_ place: Place?) -> LANAttachment? {
        guard let place else { return nil }
        if case .text = place.value.content { return placeName(place).map { LANAttachment($0) } }
        guard let table = table(place, .lan) else { return nil }
        if table["name"] == nil { fail(place.line, "lan needs name") }
        let name = placeName(table["name"])
        let interface = interfaceName(table["interface"])
        let isDirect = flag(table["direct"]) ?? true
        return name.map { LANAttachment($0, interface: interface, isDirect: isDirect) }
    }

    /// `hidden`, `{hidden: ADDRESSES}` or `{public: ADDRESSES}`.
    private mutating func reachability(_ place: Place?, _ family: AddressFamily) -> Reachability? {
        guard let place else { return nil }
        let expected = "hidden, {hidden: ADDRESS} or {public: ADDRESS}"
        if case .text(let text, _) = place.value.content {
            note(place)
            if text == "hidden" { return Reachability(.hidden) }
            let hint =
                text == "public"
                ? "; a public node needs the address that others speak to" : ""
            fail(place.line, "\(Self.subject(place)): \(quoted(text)) is not \(expected)\(hint)")
            return nil
        }
        let kind: DocumentTable =
            switch family {
            case .ipv4: .reachabilityIPv4
            case .ipv6: .reachabilityIPv6
            }
        guard let table = table(place, kind) else { return nil }
        let kinds = [("hidden", Reachability.Kind.hidden), ("public", .public)].filter { table[$0.0] != nil }
        guard let (key, kind) = kinds.first, kinds.count == 1 else {
            fail(place.line, "\(Self.subject(place)) is hidden or public in one family; expected \(expected)")
            return nil
        }
        let places = oneOrMore(table[key], "addresses", limit: DocumentLimit.addresses)
        return Reachability(kind, addresses: places.compactMap { address($0, family) })
    }

    private mutating func leg(_ place: Place) -> PublicLeg? {
        guard let table = table(place, .leg) else { return nil }
        let kind = legKind(table)
        var (ipv4, ipv6): (PublicLeg.IPv4?, PublicLeg.IPv6?)
        if let part = self.table(table["ipv4"], .legIPv4) {
            let (address, gateway) = (ipv4Interface(part["address"]), self.ipv4(part["gateway"]))
            needBoth(part)
            if let address, let gateway { ipv4 = PublicLeg.IPv4(address: address, gateway: gateway) }
        }
        if let part = self.table(table["ipv6"], .legIPv6) {
            let (address, gateway) = (ipv6Interface(part["address"]), self.ipv6(part["gateway"]))
            needBoth(part)
            if let address, let gateway { ipv6 = PublicLeg.IPv6(address: address, gateway: gateway) }
        }
        return kind.map { PublicLeg($0, ipv4: ipv4, ipv6: ipv6) }
    }

    private mutating func needBoth(_ table: Table) {
        for key in ["address", "gateway"] where table[key] == nil {
            fail(table.place.line, "\(Self.subject(table.place)) of a leg needs \(key); a family has both or neither")
        }
    }

    /// What a leg, or the public side of an exit, stands on: exactly one of the kinds.
    mutating func legKind(_ table: Table) -> PublicLeg.Kind? {
        let kinds = DocumentTable.exitInterface.keys
        let given = kinds.filter { table[$0] != nil }
        guard given.count == 1, let key = given.first else {
            let subject = Self.subject(table.place)
            let found = given.isEmpty ? "none" : Self.list(given)
            fail(table.place.line, "\(subject) stands on one of \(Self.list(kinds)), and here is \(found)")
            return nil
        }
        let place = table[key]
        switch key {
        case "nic": return interfaceName(place).map { .nic($0) }
        case "existing": return interfaceName(place).map { .existing($0) }
        case "vlan":
            guard let part = self.table(place, .vlan) else { return nil }
            need(["parent", "id"], part)
            let (parent, identifier) = (
                interfaceName(part["parent"]), number(part["id"], in: PublicLeg.vlanIdentifiers)
            )
            guard let parent, let identifier else { return nil }
            return .vlan(parent: parent, identifier: identifier)
        case "macvlan":
            guard let part = self.table(place, .macvlan) else { return nil }
            need(["parent"], part)
            let mac = value(part["mac"], "a MAC address of one machine, such as 02:de:5d:b8:5b:59") { text in
                MACAddress(text).flatMap { $0 != .zero && $0.bytes[0] & 1 == 0 ? $0 : nil }
            }
            return interfaceName(part["parent"]).map { .macvlan(parent: $0, mac: mac) }
        default:
            guard let part = self.table(place, .veth) else { return nil }
            need(["bridge"], part)
            return interfaceName(part["bridge"]).map { .veth(bridge: $0) }
        }
    }

    /// A mistake for each key that is not there.
    mutating func need(_ keys: [String], _ table: Table) {
        for key in keys where table[key] == nil {
            fail(table.place.line, "\(Self.subject(table.place)) needs \(key)")
        }
    }
}
