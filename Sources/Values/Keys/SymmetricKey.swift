internal import CSodium
public import Secrets

/// A key that seals and opens: XChaCha20-Poly1305. Source: draft-irtf-cfrg-xchacha-03, section 2.
public struct SymmetricKey: Hashable, Sendable, Secret {
    /// Length in bytes.
    public static let length = 32
    /// Length of a nonce in bytes: so long that one by chance never comes twice.
    public static let nonceLength = 24
    /// By how many bytes what is sealed is longer than the message, without the nonce.
    public static let tagLength = 16

    private let secret: SecretBytes

    /// A new key.
    public init() {
        var bytes = Sodium.randomBytes(Self.length)
        defer { SecretBytes.wipe(&bytes) }
        secret = SecretBytes(bytes)
    }

    /// Takes the key from `bytes`, or returns `nil` if they are not ``length``.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == Self.length else { return nil }
        secret = SecretBytes(bytes)
    }

    /// Lends the ``length`` bytes.
    func withKeyBytes<Result>(_ body: (UnsafePointer<UInt8>) -> Result) -> Result { unsafe secret.withBytes(body) }

    /// Seals `message` under a nonce by chance.
    ///
    /// - Parameter authenticated: bytes that are not in what is sealed, and that must be the same when it is opened.
    /// - Returns: the nonce, and behind it what is sealed.
    public func seal(_ message: [UInt8], authenticating authenticated: [UInt8] = []) -> [UInt8] {
        let nonce = Sodium.randomBytes(Self.nonceLength)
        return nonce + seal(message, nonce: nonce, authenticating: authenticated)
    }

    /// Seals `message` under a nonce of the caller's, ``nonceLength`` bytes that this key never sees again.
    ///
    /// - Returns: what is sealed, ``tagLength`` longer than the message.
    public func seal(_ message: [UInt8], nonce: [UInt8], authenticating authenticated: [UInt8] = []) -> [UInt8] {
        precondition(nonce.count == Self.nonceLength, "a nonce has 24 bytes")
        Sodium.start()
        var sealed = [UInt8](repeating: 0, count: message.count + Self.tagLength)
        unsafe secret.withBytes { key in
            _ = unsafe crypto_aead_xchacha20poly1305_ietf_encrypt(
                &sealed,
                nil,
                message,
                UInt64(message.count),
                authenticated,
                UInt64(authenticated.count),
                nil,
                nonce,
                key
            )
        }
        return sealed
    }

    /// Opens what ``seal(_:authenticating:)`` made. Bytes of any number from anywhere may be given.
    ///
    /// - Throws: ``KeyError/notAuthentic``.
    public func open(_ sealed: [UInt8], authenticating authenticated: [UInt8] = []) throws(KeyError) -> [UInt8] {
        let nonce = Array(sealed.prefix(Self.nonceLength))
        return try open(Array(sealed.dropFirst(nonce.count)), nonce: nonce, authenticating: authenticated)
    }

    /// Opens what was sealed under a nonce that is known otherwise.
    ///
    /// - Throws: ``KeyError/notAuthentic``.
    public func open(
        _ sealed: [UInt8],
        nonce: [UInt8],
        authenticating authenticated: [UInt8] = []
    ) throws(KeyError) -> [UInt8] {
        guard nonce.count == Self.nonceLength, sealed.count >= Self.tagLength else { throw .notAuthentic }
        Sodium.start()
        var message = [UInt8](repeating: 0, count: sealed.count - Self.tagLength)
        let result = unsafe secret.withBytes { key in
            unsafe crypto_aead_xchacha20poly1305_ietf_decrypt(
                &message,
                nil,
                nil,
                sealed,
                UInt64(sealed.count),
                authenticated,
                UInt64(authenticated.count),
                nonce,
                key
            )
        }
        guard result == 0 else { throw .notAuthentic }
        return message
    }
}
