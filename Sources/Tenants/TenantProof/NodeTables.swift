public import NetworkAddresses
public import TenantModel
public import TenantPlan
public import WireGuardTypes

/// What decides where a node's packets go: as a plan has it, or as it was read from the node's kernel.
public struct NodeTables: Hashable, Sendable {
    public var node: NodeName
    public var namespaces: [NamespaceTables]

    public init(node: NodeName, namespaces: [NamespaceTables]) {
        self.node = node
        self.namespaces = namespaces
    }
}

/// Of one namespace.
public struct NamespaceTables: Hashable, Sendable {
    /// `nil` for the host's.
    public var name: String?
    /// Whose it is; `nil` for the host's and those of legs.
    public var network: NetworkName?
    public var nics: [NicTable]
    /// With or without those that the kernel makes itself for addresses.
    public var routes: [Route]
    public var firewall: Firewall
    public var forwardsIPv4: Bool
    public var forwardsIPv6: Bool
    public var relays: [RelayPort]

    public init(
        name: String?,
        network: NetworkName?,
        nics: [NicTable] = [],
        routes: [Route] = [],
        firewall: Firewall = Firewall(),
        forwardsIPv4: Bool = false,
        forwardsIPv6: Bool = false,
        relays: [RelayPort] = []
    ) {
        self.name = name
        self.network = network
        self.nics = nics
        self.routes = routes
        self.firewall = firewall
        self.forwardsIPv4 = forwardsIPv4
        self.forwardsIPv6 = forwardsIPv6
        self.relays = relays
    }
}

/// An interface, as far as packets pass through it.
public struct NicTable: Hashable, Sendable {
    public enum Kind: Hashable, Sendable {
        case wireGuard(WireGuardTable)
        case vxlan(VXLANNic)
        /// Leads to what lives in the network.
        case inside
        /// Leads to a nic of another namespace of the node.
        case transit(namespace: String?, nic: String)
        /// Leads outside.
        case outside
        /// No packet of a network passes through it.
        case other
    }

    public var name: String
    public var kind: Kind
    public var isUp: Bool
    /// With the length of the link's network.
    public var addresses: [IPPrefix]

    public init(_ name: String, _ kind: Kind, isUp: Bool = true, addresses: [IPPrefix] = []) {
        self.name = name
        self.kind = kind
        self.isUp = isUp
        self.addresses = addresses
    }
}

/// What WireGuard says of one of its nics.
public struct WireGuardTable: Hashable, Sendable {
    public struct Peer: Hashable, Sendable {
        public var key: PublicKey
        /// That of the configuration. One that has only been learned is none.
        public var endpoint: Endpoint?
        /// Seconds; 0 for none.
        public var keepalive: UInt16
        public var allowedIPs: [IPPrefix]

        public init(key: PublicKey, endpoint: Endpoint?, keepalive: UInt16, allowedIPs: [IPPrefix]) {
            self.key = key
            self.endpoint = endpoint
            self.keepalive = keepalive
            self.allowedIPs = allowedIPs
        }
    }

    public var key: PublicKey
    public var port: UInt16
    /// The namespace where its socket is; `nil` is the host's.
    public var birth: String?
    public var peers: [Peer]

    public init(key: PublicKey, port: UInt16, birth: String?, peers: [Peer]) {
        self.key = key
        self.port = port
        self.birth = birth
        self.peers = peers
    }
}
