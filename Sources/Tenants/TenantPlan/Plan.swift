public import TenantModel

/// What each node must have, so that each network is what its document says.
///
/// A plan is made even of a document that breaks a rule, so that ``mistakes`` can name everything at once. It is not to be
/// applied unless there are none.
public struct Plan: Hashable, Sendable {
    /// In the order of the document.
    public var networks: [NetworkPlan]
    /// By name; nodes that are in no network are left out.
    public var nodes: [NodePlan]
    public var mistakes: [DocumentMistake]

    public init(networks: [NetworkPlan], nodes: [NodePlan], mistakes: [DocumentMistake] = []) {
        self.networks = networks
        self.nodes = nodes
        self.mistakes = mistakes
    }

    public subscript(node: NodeName) -> NodePlan? { nodes.first { $0.name == node } }
}

/// How the members of one network reach each other.
public struct NetworkPlan: Hashable, Sendable {
    public var name: NetworkName
    public var version: UInt32
    public var exit: NodeName?
    /// Each unordered pair once: the first with all others, then the second, and so on.
    public var pairs: [Pair]

    public init(name: NetworkName, version: UInt32, exit: NodeName?, pairs: [Pair]) {
        self.name = name
        self.version = version
        self.exit = exit
        self.pairs = pairs
    }
}

/// What one node must have.
public struct NodePlan: Hashable, Sendable {
    public var name: NodeName
    /// Nobody applies the plan of a device: it is exported.
    public var kind: Member.Kind
    /// The host's first, then those with a public address, then the networks' in the order of the document.
    public var namespaces: [NamespacePlan]

    public init(name: NodeName, kind: Member.Kind, namespaces: [NamespacePlan]) {
        self.name = name
        self.kind = kind
        self.namespaces = namespaces
    }
}

/// What one namespace of a node must have.
public struct NamespacePlan: Hashable, Sendable {
    public enum Role: Hashable, Sendable {
        case host
        /// That of the leg with this index.
        case leg(Int)
        /// That of a network. On a device it is the machine itself.
        case network(NetworkName)
    }

    /// `nil` for the host's.
    public var name: String?
    public var role: Role
    public var nics: [Nic]
    public var routes: [Route]
    public var firewall: Firewall
    /// Whether it passes packets on.
    public var forwards: Bool
    /// Ports of UDP in here that lead to members of networks whose exit is here.
    public var relays: [RelayPort]

    public init(
        name: String?,
        role: Role,
        nics: [Nic] = [],
        routes: [Route] = [],
        firewall: Firewall = Firewall(),
        forwards: Bool = false,
        relays: [RelayPort] = []
    ) {
        self.name = name
        self.role = role
        self.nics = nics
        self.routes = routes
        self.firewall = firewall
        self.forwards = forwards
        self.relays = relays
    }
}

/// A port of an exit that leads to a member, whose session with another one goes over it unread.
public struct RelayPort: Hashable, Sendable {
    public var port: UInt16
    public var member: MemberID

    public init(port: UInt16, member: MemberID) {
        self.port = port
        self.member = member
    }
}
