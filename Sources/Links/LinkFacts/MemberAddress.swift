public import NetworkAddresses
public import WireGuardTypes

/// The link-local address that follows from a member's key. Facts travel between these addresses only. The low half is
/// the first eight bytes of the SHA-1 digest of the key, as 32 bytes and not as text. No bit is set or cleared. Source:
/// wirelink's wire format, measured.
extension PublicKey {
    /// The address. Somebody could make a second key with the same one in 2^64 tries, so check before you add a peer.
    public var memberAddress: IPv6Address {
        let low = SHA1.digest(bytes).prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        return IPv6Address(high: 0xfe80 << 48, low: low)
    }

    /// The allowed IP that other members have for this one: the address, `/128`.
    public var memberAllowedIP: IPPrefix { IPPrefix(host: memberAddress) }

    /// What this member has on its own interface: the address, `/64`.
    public var memberInterfaceAddress: IPPrefix {
        guard let prefix = IPPrefix(.v6(memberAddress), length: 64) else { preconditionFailure("64 is not above 128") }
        return prefix
    }
}
