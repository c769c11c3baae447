internal import CSodium
public import WireGuardTypes

extension PrivateKey {
    /// The key that others know this one by.
    public var publicKey: PublicKey { x25519PublicKey(of: bytes) }
}

/// The public key that belongs to 32 secret bytes: X25519 of the base point. Source: RFC 7748, section 6.1.
func x25519PublicKey(of secret: [UInt8]) -> PublicKey {
    precondition(secret.count == PublicKey.length, "a private key has 32 bytes")
    precondition(sodium_init() >= 0, "libsodium can always be started on Linux")
    var key = [UInt8](repeating: 0, count: PublicKey.length)
    guard unsafe crypto_scalarmult_base(&key, secret) == 0, let key = PublicKey(bytes: key.span) else {
        preconditionFailure("multiplying the base point never fails")
    }
    return key
}
