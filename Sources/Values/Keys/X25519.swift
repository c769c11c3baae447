internal import CSodium
public import Secrets
public import WireGuardTypes

// Source: RFC 7748, section 6.1.

extension PrivateKey {
    /// A new key.
    public init() {
        var bytes = Sodium.randomBytes(PublicKey.length)
        defer { SecretBytes.wipe(&bytes) }
        guard let key = PrivateKey(bytes: bytes) else { preconditionFailure("a private key has 32 bytes") }
        self = key
    }

    /// The key that others know this one by.
    public var publicKey: PublicKey {
        Sodium.start()
        var secret = bytes
        defer { SecretBytes.wipe(&secret) }
        var key = [UInt8](repeating: 0, count: PublicKey.length)
        guard unsafe crypto_scalarmult_base(&key, secret) == 0, let key = PublicKey(bytes: key.span) else {
            preconditionFailure("multiplying the base point never fails")
        }
        return key
    }

    /// What this key and `other` have in common, and nobody else can find out. It is no key yet: both sides make their
    /// keys out of it, with all that they have agreed on.
    ///
    /// - Throws: ``KeyError/weakPublicKey``.
    public func sharedSecret(with other: PublicKey) throws(KeyError) -> SharedSecret {
        Sodium.start()
        var secret = bytes
        var product = [UInt8](repeating: 0, count: SharedSecret.length)
        defer {
            SecretBytes.wipe(&secret)
            SecretBytes.wipe(&product)
        }
        // libsodium refuses a product of zeros.
        guard unsafe crypto_scalarmult(&product, secret, other.bytes) == 0 else { throw .weakPublicKey }
        return SharedSecret(bytes: SecretBytes(product))
    }
}

/// The product of two X25519 keys.
public struct SharedSecret: Hashable, Sendable, Secret {
    /// Length in bytes. Source: RFC 7748, section 6.1.
    public static let length = 32

    public let bytes: SecretBytes

    init(bytes: SecretBytes) { self.bytes = bytes }

    /// Takes over the secret that another process has computed, or returns `nil` if it is not ``length`` bytes.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == Self.length else { return nil }
        self.bytes = SecretBytes(bytes)
    }
}
