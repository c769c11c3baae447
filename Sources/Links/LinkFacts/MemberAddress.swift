public import NetworkAddresses
public import WireGuardTypes

/// The link-local address that follows from a member's key: facts travel between these alone. `fe80::/64` and the first eight
/// bytes of the SHA-1 digest of the key, of its 32 bytes and not of its text; no bit is set or cleared. Source: wirelink's
/// wire format, measured.
extension PublicKey {
    /// The address. Two keys may have the same one, which somebody could make with 2^64 tries: whoever adds peers looks.
    public var memberAddress: IPv6Address {
        let low = SHA1.digest(bytes).prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        return IPv6Address(high: 0xfe80 << 48, low: low)
    }

    /// What other members have among this one's allowed IPs: the address with 128 bits.
    public var memberAllowedIP: IPPrefix { IPPrefix(host: memberAddress) }

    /// What this member has on its own interface: the address with 64 bits.
    public var memberInterfaceAddress: IPPrefix {
        guard let prefix = IPPrefix(.v6(memberAddress), length: 64) else { preconditionFailure("64 is not above 128") }
        return prefix
    }
}
