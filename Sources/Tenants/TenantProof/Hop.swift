public import NetworkAddresses
public import TenantModel
public import WireGuardTypes

/// One step of a packet.
public struct Hop: Hashable, Sendable {
    public enum Link: Hashable, Sendable {
        case wireGuard
        /// WireGuard, by a port of the exit.
        case relay
        case vxlan
        /// Between two namespaces of one node.
        case transit
        /// To what lives in the network, or to the namespace itself.
        case inside
        case outside
    }

    public var node: NodeName
    /// `nil` for the host's namespace.
    public var namespace: String?
    /// By which it leaves.
    public var link: Link

    public init(node: NodeName, namespace: String?, link: Link) {
        self.node = node
        self.namespace = namespace
        self.link = link
    }
}

/// Where and why a packet ends.
public struct Failure: Error, Hashable, Sendable {
    public enum Reason: Hashable, Sendable {
        case noRoute(IPv6Address)
        case unreachable(IPv6Address)
        case nicMissing(String)
        case nicDown(String)
        /// No neighbour is found there.
        case hopNotOnLink(IPv6Address, nic: String)
        case doesNotForward
        case filtered(IPv6Address)
        /// Not a filter: nothing here listens at the address.
        case inputFiltered(IPv6Address)
        case noPeer(IPv6Address, nic: String)
        case unknownKey(PublicKey)
        /// The other end does not know this one.
        case notItsPeer(NodeName)
        case noSession(with: NodeName, Dial, Dial)
        /// The other end takes this source for somebody else's; `nil` for nobody's.
        case wrongSource(IPv6Address, at: NodeName, holder: NodeName?)
        case noMate(IPv6Address, nic: String)
        case loop
        /// The site's router has it, and sends it back.
        case sentBack(IPv6Address)
        case leaves(IPv6Address)
        case arrivesAt(NodeName)
        case noWayBack(IPv6Address)
        case noWayIn(IPv6Address)
    }

    public var node: NodeName
    public var reason: Reason
    /// Whether it is an answer that does not arrive.
    public var isAnswer: Bool

    public init(node: NodeName, reason: Reason, isAnswer: Bool) {
        self.node = node
        self.reason = reason
        self.isAnswer = isAnswer
    }
}

/// Whether one end of a session of WireGuard can begin it.
public enum Dial: Hashable, Sendable {
    case direct
    case relay
    /// It has no stanza for the other.
    case noPeer
    case noEndpoint
    /// The other's socket is not there.
    case wrongEndpoint(Endpoint)
    /// The firewall where the socket is drops it.
    case filtered(Endpoint)
    /// It has no address of that family.
    case noFamily(AddressFamily)

    public var succeeds: Bool { self == .direct || self == .relay }
}

extension Failure: CustomStringConvertible {
    public var description: String { (isAnswer ? "the answer: " : "") + text }

    private var text: String {
        switch reason {
        case .noRoute(let address): "\(node) has no route to \(address.words)"
        case .unreachable(let address): "\(node) has \(address.words) for unreachable"
        case .nicMissing(let nic): "\(node) has no interface \(nic)"
        case .nicDown(let nic): "\(nic) on \(node) is down"
        case .hopNotOnLink(let hop, let nic): "\(node) has no neighbour \(hop.words) on \(nic)"
        case .doesNotForward: "\(node) does not forward"
        case .filtered(let address): "the firewall of \(node) stops what is for \(address.words)"
        case .inputFiltered(let address): "the firewall of \(node) stops what is for its own address \(address.words)"
        case .noPeer(let address, let nic):
            "no peer of \(nic) on \(node) has \(address.words) among its allowed IPs"
        case .unknownKey(let key): "\(node) encrypts it for \(key), which is nobody's key"
        case .notItsPeer(let other): "\(other) has no peer with the key of \(node)"
        case .noSession(let other, let dial, let back):
            "\(node) and \(other) have no session: \(node) \(dial), \(other) \(back)"
        case .wrongSource(let address, let other, let holder):
            "\(other) drops it: by its allowed IPs \(address.words) is \(holder.map { "\($0)'s" } ?? "nobody's"), and not \(node)'s"
        case .noMate(let address, let nic): "\(node) finds nobody with \(address.words) on \(nic)"
        case .loop: "it goes round in circles at \(node)"
        case .sentBack(let address): "\(node) sends \(address.words) outside, where the site's router sends it back"
        case .leaves(let address): "\(node) sends \(address.words) to the internet"
        case .arrivesAt(let other): "it arrives at \(other)"
        case .noWayBack(let address): "nobody outside of \(node) knows the way to \(address.words)"
        case .noWayIn(let address): "nothing outside of \(node) leads to \(address.words)"
        }
    }
}

extension Dial: CustomStringConvertible {
    public var description: String {
        switch self {
        case .direct: "can begin"
        case .relay: "can begin over the relay"
        case .noPeer: "has no stanza"
        case .noEndpoint: "has no endpoint"
        case .wrongEndpoint(let endpoint): "has the endpoint \(endpoint), where the other does not listen"
        case .filtered(let endpoint): "is not let in at \(endpoint)"
        case .noFamily(let family): "does not speak \(family)"
        }
    }
}

extension IPv6Address {
    var words: String { unmappedDescription }
}
