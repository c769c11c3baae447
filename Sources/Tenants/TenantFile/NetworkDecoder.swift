internal import NetworkAddresses
internal import TenantModel

/// Networks of a document.
extension DocumentReader {
    /// - Parameter allocations: numbers of all that the document has. A network that names none may use the only one.
    mutating func network(_ name: NetworkName, _ place: Place, allocations: [UInt8]) -> TenantNetwork? {
        guard let table = table(place, .network) else { return nil }
        need(["version", "members"], table)
        var network = TenantNetwork(name: name)
        if let version = number(table["version"], in: 0...UInt32.max) { network.version = version }
        let numbers = list(table["allocations"], "numbers of allocations", limit: DocumentLimit.allocations)
        network.allocations = numbers.compactMap { number($0, in: Allocation.numbers) }
        if table["allocations"] == nil, allocations.count == 1 { network.allocations = allocations }
        let members = named(table["members"], "a network has its members by the names of their nodes")
        if members.count > DocumentLimit.members {
            fail(
                place.line,
                "\(Self.subject(place)) has \(members.count) members, and at most \(DocumentLimit.members) are taken"
            )
        } else {
            network.members = members.compactMap { member($0.name, $0.place) }
        }
        network.exit = exit(table["exit"])
        if let flag = flag(table["ipv4"]) { network.hasIPv4 = flag }
        let kinds = HiddenPairs.allCases.map(\.rawValue).joined(separator: " or ")
        if let pairs = value(table["hidden_pairs"], kinds, { HiddenPairs(rawValue: $0) }) {
            network.hiddenPairs = pairs
        }
        network.vxlans = list(table["vxlan"], "segments", limit: DocumentLimit.vxlans).compactMap { vxlan($0) }
        if let mtu = number(table["mtu"], in: TenantNetwork.mtus) { network.mtu = mtu }
        return network
    }

    /// A key alone, or a table.
    private mutating func member(_ name: String, _ place: Place) -> Member? {
        guard let node = NodeName(name) else {
            fail(place.line, "\(quoted(name)) is not a name: \(Self.nameRule)")
            return nil
        }
        switch place.value.content {
        case .text: return publicKey(place).map { Member(node: node, key: $0) }
        case .nothing:
            fail(
                place.line,
                "\(node) has no key yet; `umask 077; wg genkey | tee FILE | wg pubkey` on the node makes one"
            )
            return nil
        case .list, .table, .refused: break
        }
        guard let table = table(place, .member) else { return nil }
        need(["key"], table)
        let key = publicKey(table["key"])
        let isDevice = flag(table["device"]) ?? false
        let prefix = ipv6Network(table["prefix"])
        let isStatic = flag(table["static"]) ?? false
        let ipv4 = ipv4Network(table["ipv4"])
        let port = number(table["port"], in: 1...UInt16.max)
        let allow = allowRules(table["allow"])
        guard let key else { return nil }
        return Member(
            node: node,
            kind: isDevice ? .device : .node,
            key: key,
            prefix: prefix,
            isStatic: isStatic,
            ipv4: ipv4,
            listenPort: port,
            allow: allow
        )
    }

    private mutating func vxlan(_ place: Place) -> VXLANSegment? {
        guard let table = table(place, .vxlan) else { return nil }
        need(["lan"], table)
        if let trust = table["trust"] {
            _ = value(trust, "lan") { $0 == "lan" ? $0 : nil }
        } else {
            fail(place.line, "a segment of vxlan needs `trust: lan`, since nothing in it is encrypted")
        }
        let lan = placeName(table["lan"])
        var members: [NodeName]?
        if let given = table["members"] {
            members = list(given, "names of members", limit: DocumentLimit.members).compactMap { nodeName($0) }
        }
        var delivery = VXLANSegment.Delivery.peers
        if let group = table["group"] {
            let address = value(group, "an address of a group, such as 239.1.2.3 or ff05::1:2") { text in
                IPv4Address(text).map { IPPrefix.Address.v4($0) } ?? IPv6Address(text).map { .v6($0) }
            }
            if let address { delivery = .group(address) }
        }
        let identifier = number(table["id"], in: VXLANSegment.identifiers)
        return lan.map { VXLANSegment(lan: $0, members: members, delivery: delivery, identifier: identifier) }
    }

    /// A name of a node alone, or a table.
    private mutating func exit(_ place: Place?) -> Exit? {
        guard let place else { return nil }
        if case .text = place.value.content { return nodeName(place).map { Exit(node: $0) } }
        guard let table = table(place, .exit) else { return nil }
        need(["node"], table)
        let node = nodeName(table["node"])
        let isDefaultRoute = flag(table["default_route"]) ?? true
        let interface = self.table(table["interface"], .exitInterface).flatMap { legKind($0) }
        let ipv4 = exitIPv4(table["ipv4"])
        let ipv6 = exitIPv6(table["ipv6"])
        let forwards = list(table["forwards"], "forwards", limit: DocumentLimit.forwards).compactMap { forward($0) }
        let allow = allowRules(table["allow"])
        return node.map {
            Exit(
                node: $0,
                isDefaultRoute: isDefaultRoute,
                interface: interface,
                ipv4: ipv4,
                ipv6: ipv6,
                forwards: forwards,
                allow: allow
            )
        }
    }

    /// `none`, `shared` or a table.
    private mutating func exitIPv4(_ place: Place?) -> ExitIPv4? {
        guard let place else { return nil }
        if case .text(let text, _) = place.value.content {
            note(place)
            if text == "shared" { return .shared }
            if text != "none" {
                fail(
                    place.line,
                    "\(Self.subject(place)): \(quoted(text)) is not none, shared or a table with an address"
                )
            }
            return nil
        }
        guard let table = table(place, .exitIPv4) else { return nil }
        need(["address"], table)
        let address = ipv4Interface(table["address"])
        let gateway = self.ipv4(table["gateway"])
        let metric = number(table["metric"], in: 0...UInt32.max) ?? 0
        let translation = value(table["nat"], "none, masquerade or an IPv4 address") { text in
            switch text {
            case "none": ExitIPv4Address.Translation.none
            case "masquerade": .masquerade
            default: IPv4Address(text).map { .source($0) }
            }
        }
        return address.map {
            .own(
                ExitIPv4Address(
                    address: $0,
                    gateway: gateway,
                    metric: metric,
                    translation: translation ?? .masquerade
                )
            )
        }
    }

    /// `none` or a table. What is not said is as by itself.
    private mutating func exitIPv6(_ place: Place?) -> ExitIPv6? {
        guard let place else { return ExitIPv6() }
        if case .text(let text, _) = place.value.content {
            note(place)
            if text != "none" {
                fail(place.line, "\(Self.subject(place)): \(quoted(text)) is not none or a table")
            }
            return nil
        }
        guard let table = table(place, .exitIPv6) else { return nil }
        var ipv6 = ExitIPv6(address: ipv6Interface(table["address"]), gateway: self.ipv6(table["gateway"]))
        if let metric = number(table["metric"], in: 0...UInt32.max) { ipv6.metric = metric }
        let translation = value(table["nat"], "none, masquerade or an IPv6 prefix") { text in
            switch text {
            case "none": ExitIPv6.Translation.none
            case "masquerade": .masquerade
            default: IPv6Prefix(text).flatMap { text.contains("/") && $0.isNetwork ? .prefix($0) : nil }
            }
        }
        if let translation { ipv6.translation = translation }
        return ipv6
    }

    private mutating func forward(_ place: Place) -> PortForward? {
        guard let table = table(place, .forward) else { return nil }
        need(["port", "protocol", "to"], table)
        let port = number(table["port"], in: 1...UInt16.max)
        let transport = value(table["protocol"], "tcp or udp") { PortForward.Transport(rawValue: $0) }
        let target = value(
            table["to"],
            "an IPv4 address inside, with a port or without, such as 10.1.0.5:80 (IPv6 needs no forward: see allow)"
        ) { text -> (address: IPv4Address, port: UInt16?)? in
            if let address = IPv4Address(text) { return (address, nil) }
            guard case .v4(let address, let port)? = Endpoint(text), port > 0 else { return nil }
            return (address, port)
        }
        let address = ipv4(table["address"])
        guard let port, let transport, let target else { return nil }
        return PortForward(
            address: address,
            transport: transport,
            port: port,
            target: target.address,
            targetPort: target.port ?? port
        )
    }

    private mutating func allowRules(_ place: Place?) -> [AllowRule] {
        list(place, "allow rules", limit: DocumentLimit.allowRules).compactMap { allow($0) }
    }

    private mutating func allow(_ place: Place) -> AllowRule? {
        guard let table = table(place, .allow) else { return nil }
        need(["to"], table)
        let destination = ipv6Network(table["to"], isAddressEnough: true)
        let transport = value(table["protocol"], "tcp, udp or icmpv6") { AllowRule.Transport(rawValue: $0) }
        let places = oneOrMore(table["ports"], "ports", limit: DocumentLimit.portRanges)
        let ports = places.compactMap { place in
            value(place, "a port from 1 to 65535, or two with a hyphen such as 8000-8010") { Self.ports($0) }
        }
        let source = ipv6Network(table["from"], isAddressEnough: true)
        return destination.map { AllowRule(destination: $0, transport: transport, ports: ports, source: source) }
    }

    private static func ports(_ text: String) -> ClosedRange<UInt16>? {
        let ends = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false).map { part -> UInt16? in
            guard !part.isEmpty, part.first != "0", part.utf8.allSatisfy({ (0x30...0x39).contains($0) })
            else { return nil }
            return UInt16(part)
        }
        guard let first = ends.first ?? nil, let last = ends.last ?? nil, first <= last else { return nil }
        return first...last
    }
}
