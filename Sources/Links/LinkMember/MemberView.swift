public import NetworkAddresses
public import WireGuardTypes

/// What is known of one machine of the mesh, or of one peer of the device.
public struct MemberView: Hashable, Sendable {
    public let key: PublicKey
    /// The link-local address of its facts.
    public let address: IPv6Address
    /// What people call it: printable, at most ``FactLimits/longestName`` characters.
    public var name: String?
    /// Whether the operator or a router says that it is a member. A peer of the device need not be one.
    public var isMember = false
    /// Whether somebody who is there says so. If not, it is what was known last.
    public var isCurrent = false
    /// Who says so, by the keys.
    public var hubs: [PublicKey] = []
    /// Whether the device has it as a peer.
    public var isPeer = false
    /// Whether this program made the peer.
    public var isMade = false
    /// Whether it runs plain WireGuard.
    public var isBasic = false
    /// What it says of itself, or a router says of it, if it is a machine of ours.
    public var ours: OurBoot?
    /// Whether it says that it runs. Only the machine itself can say so, so it is `false` for all that are no peers.
    public var isAlive = false
    /// Whether there is a session.
    public var isHealthy = false
    /// Whether it may send from a network that is wider than one machine.
    public var isRouter = false
    /// Where it may be found, the best first. Each endpoint is there once.
    public var candidates: [CandidateEndpoint] = []
    /// Of a peer of the operator: what the device says. Of another member: what it may have, which collides with no
    /// other member and lies inside the allowed IPs of a router of the operator. Without its link-local address.
    public var allowedIPs: [IPPrefix] = []

    init(_ key: PublicKey, address: IPv6Address) {
        self.key = key
        self.address = address
    }
}
