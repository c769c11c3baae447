internal import Keys
internal import Secrets

/// The key of two members: the shared secret of their keys, without a hash. It is the same in both directions and never
/// changes.
///
/// It hides nothing. The facts are the authenticated bytes of an empty message. Source: wirelink's wire format,
/// measured.
struct PairKey: Sendable {
    private let key: SymmetricKey

    init(_ secret: SharedSecret) {
        var secret = secret.bytes.copy
        defer { SecretBytes.wipe(&secret) }
        guard let key = SymmetricKey(bytes: secret) else { preconditionFailure("a shared secret has 32 bytes") }
        self.key = key
    }

    /// - Parameter nonce: ``WireFormat/nonceLength`` bytes.
    func tag(of facts: [UInt8], nonce: [UInt8]) -> [UInt8] { key.seal([], nonce: nonce, authenticating: facts) }

    /// Whether a tag is that of ``tag(of:nonce:)``.
    func verifies(_ tag: [UInt8], of facts: [UInt8], nonce: [UInt8]) -> Bool {
        (try? key.open(tag, nonce: nonce, authenticating: facts)) != nil
    }
}
