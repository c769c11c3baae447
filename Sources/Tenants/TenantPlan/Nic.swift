public import NetworkAddresses
public import TenantModel
public import WireGuardTypes

/// An interface of one namespace.
public struct Nic: Hashable, Sendable {
    public enum Kind: Hashable, Sendable {
        case wireGuard(WireGuardNic)
        case vxlan(VXLANNic)
        /// In the host's namespace, for what lives in a network. It has no address, and IPv6 is off.
        case bridge
        /// Leads into a bridge of the host's namespace by a veth of the same name there.
        case inside(bridge: String)
        /// Leads to a nic of the same name in another namespace of the node; `nil` is the host's.
        case transit(namespace: String?)
        /// Leads outside.
        case outside(Outside)
    }

    /// What leads outside is made of.
    public enum Outside: Hashable, Sendable {
        case vlan(parent: String, identifier: UInt16)
        /// `namespace` has the parent; `nil` is the host's. Without a MAC address one is derived from the node's name.
        case macvlan(parent: String, namespace: String?, mac: MACAddress?)
        /// A veth whose other end, of the same name, is in this bridge of the host's.
        case veth(bridge: String)
        /// The host's nic is moved and renamed.
        case moved(String)
        /// So is this one, but something else made it: it is given back and never deleted.
        case existing(String)
    }

    public var name: String
    public var kind: Kind
    /// Where it is made, and where its socket stays if it has one; `nil` is the host's namespace.
    public var birth: String?
    /// With the length of the link's network.
    public var addresses: [IPPrefix]
    /// `nil` for the kernel's own choice.
    public var mtu: UInt16?

    public init(
        _ name: String,
        _ kind: Kind,
        birth: String? = nil,
        addresses: [IPPrefix] = [],
        mtu: UInt16? = nil
    ) {
        self.name = name
        self.kind = kind
        self.birth = birth
        self.addresses = addresses
        self.mtu = mtu
    }
}

/// What is special about a nic of WireGuard.
public struct WireGuardNic: Hashable, Sendable {
    /// Its private key stays on the node; this tells which one it is.
    public var key: PublicKey
    /// In the namespace where it is born.
    public var port: UInt16
    public var peers: [WireGuardPeer]

    public init(key: PublicKey, port: UInt16, peers: [WireGuardPeer]) {
        self.key = key
        self.port = port
        self.peers = peers
    }
}

/// A stanza.
public struct WireGuardPeer: Hashable, Sendable {
    /// Source: wg(8): 25 is sensible; mappings of UDP in NATs end after 30 seconds and more (RFC 4787, section 4.3, asks
    /// for 120).
    public static let keepalive: UInt16 = 20

    public var node: NodeName
    public var key: PublicKey
    /// `nil` for one that dials. It is never written over what has been learned.
    public var endpoint: Endpoint?
    /// The endpoint is a port of the exit that leads to this member.
    public var isRelayed: Bool
    /// Seconds. Everybody sends them: who has no endpoint yet cannot, and nothing happens.
    public var keepalive: UInt16
    public var allowedIPs: [IPPrefix]

    public init(
        node: NodeName,
        key: PublicKey,
        endpoint: Endpoint?,
        isRelayed: Bool = false,
        keepalive: UInt16 = WireGuardPeer.keepalive,
        allowedIPs: [IPPrefix]
    ) {
        self.node = node
        self.key = key
        self.endpoint = endpoint
        self.isRelayed = isRelayed
        self.keepalive = keepalive
        self.allowedIPs = allowedIPs
    }
}

/// What is special about a nic of VXLAN.
public struct VXLANNic: Hashable, Sendable {
    public enum Delivery: Hashable, Sendable {
        /// Addresses of mates in the LAN, each of which gets what is for all.
        case peers([IPPrefix.Address])
        /// `nic` is the host's in the LAN.
        case group(IPPrefix.Address, nic: String)
    }

    public var identifier: UInt32
    /// In the LAN.
    public var local: IPPrefix.Address
    public var delivery: Delivery

    public init(identifier: UInt32, local: IPPrefix.Address, delivery: Delivery) {
        self.identifier = identifier
        self.local = local
        self.delivery = delivery
    }

    /// Outer Ethernet, IP and UDP header and VXLAN's own, of 1500 bytes. Source: RFC 7348, section 5.
    static func mtu(_ family: AddressFamily) -> UInt16 {
        switch family {
        case .ipv4: 1450
        case .ipv6: 1430
        }
    }
}
