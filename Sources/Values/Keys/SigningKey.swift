internal import CSodium
public import Secrets
internal import WireGuardTypes

/// A key that signs: Ed25519. Source: RFC 8032, section 5.1.
public struct SigningKey: Hashable, Sendable, Secret {
    /// Length of a signature in bytes. Source: RFC 8032, section 5.1.6.
    public static let signatureLength = 64
    /// Length of the secret seed and of the public key in bytes. Source: RFC 8032, section 5.1.5.
    public static let length = 32

    /// Seed and public key, as libsodium wants them.
    private let secret: SecretBytes
    public let publicKey: VerificationKey

    private init(seed: [UInt8]) {
        precondition(seed.count == Self.length && Self.length == crypto_sign_ed25519_SEEDBYTES)
        Sodium.start()
        var secret = [UInt8](repeating: 0, count: Int(crypto_sign_ed25519_SECRETKEYBYTES))
        defer { SecretBytes.wipe(&secret) }
        var known = [UInt8](repeating: 0, count: Self.length)
        unsafe crypto_sign_ed25519_seed_keypair(&known, &secret, seed)
        self.secret = SecretBytes(secret)
        publicKey = VerificationKey(bytes: known)
    }

    /// A new key.
    public init() {
        var seed = Sodium.randomBytes(Self.length)
        defer { SecretBytes.wipe(&seed) }
        self.init(seed: seed)
    }

    /// Reads the text of a key's file: the 32 secret bytes in base64, with a line feed or without.
    public init?(text: some StringProtocol) {
        let line = text.hasSuffix("\n") ? text.dropLast() : text[...]
        // Keys of both kinds have the same text, and the parser is exact.
        guard let same = PublicKey(text: line) else { return nil }
        var seed = same.bytes
        defer { SecretBytes.wipe(&seed) }
        self.init(seed: seed)
    }

    /// The text of the key's file, which nobody else may read.
    public var text: String {
        var bytes = secret.copy
        defer { SecretBytes.wipe(&bytes) }
        guard let same = PublicKey(bytes: bytes.span.extracting(0..<Self.length)) else {
            preconditionFailure("a seed has 32 bytes")
        }
        return "\(same)\n"
    }

    /// The signature of `message`, ``signatureLength`` bytes. The same message always has the same.
    public func signature(of message: [UInt8]) -> [UInt8] {
        var signature = [UInt8](repeating: 0, count: Self.signatureLength)
        unsafe secret.withBytes { secret in
            _ = unsafe crypto_sign_ed25519_detached(
                &signature,
                nil,
                message,
                UInt64(message.count),
                secret
            )
        }
        return signature
    }
}

/// What others need to know signatures by.
public struct VerificationKey: Hashable, Sendable {
    private let bytes: [UInt8]

    fileprivate init(bytes: [UInt8]) { self.bytes = bytes }

    /// Reads the text form, canonical base64 as for a WireGuard key.
    public init?(text: some StringProtocol) {
        guard let same = PublicKey(text: text) else { return nil }
        bytes = same.bytes
    }

    /// Whether the owner of the key signed `message`. Keys of small order and spellings that are not canonical are not
    /// taken.
    public func verifies(_ signature: [UInt8], of message: [UInt8]) -> Bool {
        guard signature.count == SigningKey.signatureLength else { return false }
        Sodium.start()
        return unsafe crypto_sign_ed25519_verify_detached(signature, message, UInt64(message.count), bytes) == 0
    }
}

extension VerificationKey: CustomStringConvertible {
    /// The text form, 44 characters.
    public var description: String {
        guard let same = PublicKey(bytes: bytes.span) else { preconditionFailure("a public key has 32 bytes") }
        return "\(same)"
    }
}
