internal import CSodium
public import KexProtocol
internal import WireGuardTypes

/// The key with which a gateway signs what it says: Ed25519 (RFC 8032), by libsodium. It has no description, so that it
/// cannot reach a log.
public struct SigningKey: Hashable, Sendable {
    /// Length of a signature in bytes. Source: RFC 8032, section 5.1.6.
    public static let signatureLength = 64
    /// Length of the secret seed and of the public key in bytes. Source: RFC 8032, section 5.1.5.
    static let length = 32

    /// Seed and public key, as libsodium wants them.
    private let secret: [UInt8]
    public let publicKey: VerificationKey

    private init(seed: [UInt8]) {
        precondition(seed.count == Self.length && Self.length == crypto_sign_ed25519_SEEDBYTES)
        precondition(sodium_init() >= 0, "libsodium can always be started on Linux")
        var secret = [UInt8](repeating: 0, count: Int(crypto_sign_ed25519_SECRETKEYBYTES))
        var known = [UInt8](repeating: 0, count: Self.length)
        unsafe crypto_sign_ed25519_seed_keypair(&known, &secret, seed)
        self.secret = secret
        publicKey = VerificationKey(bytes: known)
    }

    /// A new key.
    public init() {
        precondition(sodium_init() >= 0, "libsodium can always be started on Linux")
        var seed = [UInt8](repeating: 0, count: Self.length)
        unsafe randombytes_buf(&seed, seed.count)
        self.init(seed: seed)
    }

    /// Reads the text of a key's file: the 32 secret bytes in base64, with a line feed or without.
    public init?(text: some StringProtocol) {
        let line = text.hasSuffix("\n") ? text.dropLast() : text[...]
        // Keys of both kinds have the same text, and the parser is exact.
        guard let same = PublicKey(text: line) else { return nil }
        self.init(seed: same.bytes)
    }

    /// The text of the key's file, which nobody else may read.
    public var text: String {
        guard let same = PublicKey(bytes: secret.span.extracting(0..<Self.length)) else {
            preconditionFailure("a seed has 32 bytes")
        }
        return "\(same)\n"
    }

    func signature(of text: SignedText) -> [UInt8] {
        var signature = [UInt8](repeating: 0, count: Self.signatureLength)
        unsafe crypto_sign_ed25519_detached(&signature, nil, text.bytes, UInt64(text.bytes.count), secret)
        return signature
    }
}

/// What the others need to know a gateway's signatures by.
public struct VerificationKey: Hashable, Sendable {
    fileprivate let bytes: [UInt8]

    fileprivate init(bytes: [UInt8]) { self.bytes = bytes }

    /// Reads the text form, canonical base64 as for a WireGuard key.
    public init?(text: some StringProtocol) {
        guard let same = PublicKey(text: text) else { return nil }
        bytes = same.bytes
    }

    /// libsodium refuses keys of small order and spellings that are not canonical.
    func verifies(_ signature: [UInt8], of text: SignedText) -> Bool {
        unsafe crypto_sign_ed25519_verify_detached(signature, text.bytes, UInt64(text.bytes.count), bytes) == 0
    }
}

extension VerificationKey: CustomStringConvertible {
    /// The text form, 44 characters.
    public var description: String {
        guard let same = PublicKey(bytes: bytes.span) else { preconditionFailure("a public key has 32 bytes") }
        return "\(same)"
    }
}

/// What a signature is made of: see ``RouterNote``.
struct SignedText {
    fileprivate let bytes: [UInt8]

    init(_ topic: BusTopic, _ body: some Sequence<UInt8>) {
        bytes = Array("kex-bus\0\(topic)\0".utf8) + body
    }
}

/// The keys of the gateways that are believed, each for its own name only.
public struct TrustedKeys: Hashable, Sendable {
    /// Most keys in all.
    public static let maximumKeys = 1024
    /// Most keys of one gateway: an old one and a new one, while they change. Each may cost a look at every signature.
    public static let maximumKeysOfGateway = 4

    private var keys: [GatewayName: [VerificationKey]] = [:]

    /// Trusts nobody.
    public init() {}

    /// Why a file of trusted keys cannot be used.
    public struct Mistake: Error, Hashable, Sendable {
        /// Counted from 1.
        public let line: Int
        public let reason: String
    }

    /// Reads the bytes of a file: in each line a key, a blank, and the name of its gateway; what comes behind a `#` with a
    /// blank before it does not count, nor do empty lines.
    public init(file bytes: [UInt8]) throws(Mistake) {
        var count = 0
        let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        for (index, line) in lines.enumerated() {
            func mistake(_ reason: String) -> Mistake { Mistake(line: index + 1, reason: reason) }
            let words = line.split { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") || $0 == UInt8(ascii: "\r") }
                .prefix { $0.first != UInt8(ascii: "#") }.map { String(decoding: $0, as: UTF8.self) }
            guard !words.isEmpty else { continue }
            guard words.count == 2, let key = VerificationKey(text: words[0]),
                let gateway = GatewayName(words[1])
            else { throw mistake("expected a key and the name of its gateway") }
            count += 1
            guard count <= Self.maximumKeys else { throw mistake("more than \(Self.maximumKeys) keys") }
            guard trust(key, of: gateway) else {
                throw mistake("more than \(Self.maximumKeysOfGateway) keys of \(gateway)")
            }
        }
    }

    /// - Returns: `false` if the gateway has as many keys as it may have.
    public mutating func trust(_ key: VerificationKey, of gateway: GatewayName) -> Bool {
        if keys[gateway, default: []].contains(key) { return true }
        guard keys[gateway, default: []].count < Self.maximumKeysOfGateway else { return false }
        keys[gateway, default: []].append(key)
        return true
    }

    /// Whether there is a key of this gateway.
    public func names(_ gateway: GatewayName) -> Bool { keys[gateway] != nil }

    /// - Parameter signed: how many bytes of the payload are signed; the others are the signature, if there are any.
    func check(
        _ topic: BusTopic,
        _ payload: Span<UInt8>,
        _ signed: Int,
        by gateway: GatewayName
    ) throws(MalformedMessage) {
        guard payload.count == signed + SigningKey.signatureLength, let candidates = keys[gateway] else {
            throw .untrusted
        }
        let text = SignedText(topic, (0..<signed).map { payload[$0] })
        let signature = (signed..<payload.count).map { payload[$0] }
        guard candidates.contains(where: { $0.verifies(signature, of: text) }) else { throw .untrusted }
    }
}
