public import KexProtocol
public import Keys

/// What a signature is made of: see ``RouterNote``.
struct SignedText {
    let bytes: [UInt8]

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

    /// Reads the bytes of a file: in each line a key, a blank, and the name of its gateway; what comes behind a `#`
    /// with a blank before it does not count, nor do empty lines.
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
        guard candidates.contains(where: { $0.verifies(signature, of: text.bytes) }) else { throw .untrusted }
    }
}
