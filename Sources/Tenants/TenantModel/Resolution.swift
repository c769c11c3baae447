internal import NetworkAddresses

extension TenantDocument {
    /// Every network with all that follows from the document and from what the ledger has given.
    ///
    /// A port that nobody has given is the first free one from ``Tag/wantedPort`` upwards.
    ///
    /// - Throws: what is missing: a member without a prefix or a node. Rules that are broken otherwise are for
    ///   ``mistakes(assigned:)`` to tell.
    public func resolve(_ assigned: Assignments = Assignments()) throws(DocumentError) -> [ResolvedNetwork] {
        var resolver = Resolver(document: self, assigned: assigned)
        let resolved = networks.map { resolver.resolve($0) }
        guard resolver.mistakes.isEmpty else { throw DocumentError(resolver.mistakes) }
        return resolved
    }
}

/// Joins members with their nodes, prefixes and ports.
struct Resolver {
    let assigned: Assignments
    private let allocations: [UInt8: Allocation]
    private let nodes: [NodeName: Node]
    private var ports: PortBook
    private(set) var mistakes: [DocumentMistake] = []

    init(document: TenantDocument, assigned: Assignments) {
        self.assigned = assigned
        // The first of those that have one number or name; that there are several is another mistake.
        allocations = Dictionary(document.allocations.map { ($0.number, $0) }) { first, _ in first }
        nodes = Dictionary(document.nodes.map { ($0.name, $0) }) { first, _ in first }
        ports = PortBook()
        for network in document.networks {
            for member in network.members {
                let id = MemberID(network: network.name, node: member.node)
                guard let port = member.listenPort ?? assigned.ports[id] else { continue }
                ports.take(port, in: PortBook.Namespace(node: member.node, leg: assigned.legs[id] ?? 0))
            }
        }
    }

    /// The node of a member; `nil` if the document has none of that name.
    func node(of member: Member) -> Node? {
        switch member.kind {
        case .node: nodes[member.node]
        case .device: Node(device: member.node)
        }
    }

    /// The prefix of a member, and what its parts are called; `nil` if it has none yet, or none that can be.
    func segment(of member: Member, in network: TenantNetwork) -> (segment: Segment, names: ResourceNames)? {
        if let prefix = member.prefix {
            guard let segment = Segment(prefix) else { return nil }
            if member.isStatic { return (segment, ResourceNames(tag: Tag(static: segment), allocation: nil)) }
            for number in network.allocations {
                guard let tag = allocations[number]?.tag(of: segment) else { continue }
                return (segment, ResourceNames(tag: tag, allocation: number))
            }
            return nil
        }
        guard let given = assigned.prefixes[MemberID(network: network.name, node: member.node)],
            let tag = allocations[given.allocation]?.tag(of: given.segment)
        else { return nil }
        return (given.segment, ResourceNames(tag: tag, allocation: given.allocation))
    }

    mutating func resolve(_ network: TenantNetwork) -> ResolvedNetwork {
        let path = DocumentPath().appending("networks").appending(network.name.text)
        var resources: [Resource] = []
        for member in network.members {
            let place = path.appending("members").appending(member.node.text)
            guard let node = node(of: member) else {
                mistakes.append(DocumentMistake(place, "there is no node \(member.node)"))
                continue
            }
            guard let (segment, names) = segment(of: member, in: network) else {
                mistakes.append(
                    DocumentMistake(place, "no prefix yet for \(member.node)", advice: "`kex-net allocate` gives one")
                )
                continue
            }
            let id = MemberID(network: network.name, node: member.node)
            let leg = assigned.legs[id] ?? 0
            let births = node.births
            resources.append(
                Resource(
                    id: id,
                    node: node,
                    kind: member.kind,
                    key: member.key,
                    segment: segment,
                    names: names,
                    ipv4: network.hasIPv4 ? member.ipv4 ?? names.tag.ipv4 : nil,
                    birth: births.indices.contains(leg) ? births[leg] : node.birth,
                    listenPort: port(of: member, id, leg, names.tag),
                    relayPort: assigned.relayPorts[id],
                    allow: member.allow
                )
            )
        }
        var resolved = ResolvedNetwork(network: network, resources: resources)
        if let ipv6 = network.exit?.ipv6, let exit = resolved.exit {
            let allocation = exit.names.allocation.flatMap { allocations[$0] }
            resolved.exitIPv6 =
                ipv6.address ?? allocation.flatMap { IPv6Prefix($0.exitAddress(of: exit.tag), length: 64) }
            resolved.exitIPv6Gateway = ipv6.gateway ?? allocation?.gateway ?? Self.siteRouter
        }
        return resolved
    }

    /// Source: the design documents, which give it to the router of a site.
    private static let siteRouter = IPv6Address(high: 0xfe80 << 48, low: 1)

    private mutating func port(of member: Member, _ id: MemberID, _ leg: Int, _ tag: Tag) -> UInt16 {
        if let port = member.listenPort ?? assigned.ports[id] { return port }
        return ports.takeFree(from: tag.wantedPort, in: PortBook.Namespace(node: member.node, leg: leg))
    }
}

/// The ports that are taken, where sockets are.
public struct PortBook: Hashable, Sendable {
    /// Below those that the kernel hands out by itself (`ip_local_port_range` begins at 32768).
    public static let range: ClosedRange<UInt16> = 16384...32767

    public struct Namespace: Hashable, Sendable {
        public var node: NodeName
        /// The index of the leg; 0 also for a node without legs.
        public var leg: Int

        public init(node: NodeName, leg: Int) {
            self.node = node
            self.leg = leg
        }
    }

    private var taken: [Namespace: Set<UInt16>] = [:]

    public init() {}

    /// Whether it was free.
    @discardableResult
    public mutating func take(_ port: UInt16, in namespace: Namespace) -> Bool {
        taken[namespace, default: []].insert(port).inserted
    }

    /// Takes the first free port from `wanted` upwards, and from the lowest again behind the highest. If none is left it
    /// is `wanted`: a node has fewer interfaces than ports.
    public mutating func takeFree(from wanted: UInt16, in namespace: Namespace) -> UInt16 {
        var port = wanted
        for _ in Self.range {
            if take(port, in: namespace) { return port }
            port = port >= Self.range.upperBound ? Self.range.lowerBound : port + 1
        }
        return wanted
    }
}
