public import Secrets

/// A Curve25519 private key.
public struct PrivateKey: Hashable, Sendable, Secret {
    private let secret: SecretBytes

    /// The 32 bytes of the key.
    public var bytes: [UInt8] { secret.copy }

    /// Takes the key from `bytes`, or returns `nil` if they are not ``PublicKey/length``.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == PublicKey.length else { return nil }
        secret = SecretBytes(bytes)
    }

    /// Reads the text form, canonical base64 as for a public key.
    public init?(text: some StringProtocol) {
        // The two kinds of key share their encoding, and the parser is exact.
        guard let same = PublicKey(text: text) else { return nil }
        secret = SecretBytes(same.bytes)
    }
}

/// A secret that both ends of a tunnel have beside their keys. It keeps what is recorded today from a computer that
/// breaks Curve25519 later.
public struct PresharedKey: Hashable, Sendable, Secret {
    private let secret: SecretBytes

    /// The 32 bytes of the key.
    public var bytes: [UInt8] { secret.copy }

    /// Takes the key from `bytes`, or returns `nil` if they are not ``PublicKey/length``. All zeros mean no key to
    /// WireGuard: ``zero``.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == PublicKey.length else { return nil }
        secret = SecretBytes(bytes)
    }

    /// Reads the text form, as that of a private key.
    public init?(text: some StringProtocol) {
        guard let same = PublicKey(text: text) else { return nil }
        secret = SecretBytes(same.bytes)
    }

    /// What takes a preshared key away.
    public static let zero = PresharedKey(zeros: ())

    private init(zeros _: Void) { secret = SecretBytes([UInt8](repeating: 0, count: PublicKey.length)) }
}
