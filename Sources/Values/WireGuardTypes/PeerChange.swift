public import NetworkAddresses

/// One change to the peers of a WireGuard device.
public enum PeerChange: Hashable, Sendable {
    /// Makes the peer if it is not there and adds what is given to what it has. Nothing is taken away unless
    /// ``PeerSettings/replacesAllowedIPs`` says so, so a peer that somebody else configured keeps its allowed IPs. An
    /// allowed IP of another peer **moves** here without a word.
    case add(PeerSettings)
    /// As ``add(_:)`` if the peer is there. If it is not, nothing happens, and nobody says so.
    case update(PeerSettings)
    /// Takes the peer out with its session, endpoint and counters. No error if it is not there.
    case remove(PublicKey)

    public var publicKey: PublicKey {
        switch self {
        case .add(let settings), .update(let settings): settings.publicKey
        case .remove(let key): key
        }
    }
}

/// What can be set on a peer.
public struct PeerSettings: Hashable, Sendable {
    public var publicKey: PublicKey
    public var allowedIPs: [IPPrefix]
    /// Whether the peer has no allowed IPs but these from then on. Its session stays; a packet that comes within the
    /// microseconds between the old ones and the new ones is lost.
    public var replacesAllowedIPs: Bool
    /// `nil` leaves the endpoint as it is; a new peer without one waits to be called.
    public var endpoint: Endpoint?
    /// Seconds between keepalives, 1 to 65535; 0 turns them off, `nil` leaves them as they are.
    public var persistentKeepalive: UInt16?
    /// A key beside those of Curve25519; ``PresharedKey/zero`` takes it away, `nil` leaves it as it is.
    public var presharedKey: PresharedKey?

    public init(
        publicKey: PublicKey,
        allowedIPs: [IPPrefix],
        replacesAllowedIPs: Bool = false,
        endpoint: Endpoint? = nil,
        persistentKeepalive: UInt16? = nil,
        presharedKey: PresharedKey? = nil
    ) {
        self.publicKey = publicKey
        self.allowedIPs = allowedIPs
        self.replacesAllowedIPs = replacesAllowedIPs
        self.endpoint = endpoint
        self.persistentKeepalive = persistentKeepalive
        self.presharedKey = presharedKey
    }
}
