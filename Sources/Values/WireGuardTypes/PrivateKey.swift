/// A Curve25519 private key. It has no description, so that it cannot reach a log.
public struct PrivateKey: Sendable {
    /// The 32 bytes of the key.
    public let bytes: [UInt8]

    /// Takes the key from `bytes`, or returns `nil` if they are not ``PublicKey/length``.
    public init?(bytes: [UInt8]) {
        guard bytes.count == PublicKey.length else { return nil }
        self.bytes = bytes
    }

    /// Reads the text form, canonical base64 as for a public key.
    public init?(text: some StringProtocol) {
        // The two kinds of key share their encoding, and the parser is exact.
        guard let same = PublicKey(text: text) else { return nil }
        bytes = same.bytes
    }
}
