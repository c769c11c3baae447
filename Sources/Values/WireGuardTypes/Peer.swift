public import NetworkAddresses

/// What a WireGuard device says of one of its peers.
public struct Peer: Hashable, Sendable {
    public var publicKey: PublicKey
    /// In the order in which the device lists them, which means nothing.
    public var allowedIPs: [IPPrefix]
    /// Where the peer was last heard; `nil` before its first packet if none was configured.
    public var endpoint: Endpoint?
    /// Whether a preshared key is set. The key itself is never kept.
    public var hasPresharedKey: Bool
    /// Seconds between the keepalives that this side sends; 0 if it sends none.
    public var persistentKeepalive: UInt16
    /// Seconds since 1970 by the wall clock of this machine; `nil` if there never was a handshake. Only the
    /// difference to the same clock means something, and a step of that clock changes it.
    public var lastHandshake: Int64?
    /// Authenticated bytes received since the peer was added. Refused or forged packets do not count (measured).
    public var receivedBytes: UInt64
    /// Bytes sent to the peer since it was added.
    public var sentBytes: UInt64

    public init(
        publicKey: PublicKey,
        allowedIPs: [IPPrefix] = [],
        endpoint: Endpoint? = nil,
        hasPresharedKey: Bool = false,
        persistentKeepalive: UInt16 = 0,
        lastHandshake: Int64? = nil,
        receivedBytes: UInt64 = 0,
        sentBytes: UInt64 = 0
    ) {
        self.publicKey = publicKey
        self.allowedIPs = allowedIPs
        self.endpoint = endpoint
        self.hasPresharedKey = hasPresharedKey
        self.persistentKeepalive = persistentKeepalive
        self.lastHandshake = lastHandshake
        self.receivedBytes = receivedBytes
        self.sentBytes = sentBytes
    }
}
