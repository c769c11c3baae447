/// Why an exchange was refused. Each case is one word on the wire; success is no byte at all.
public enum Refusal: UInt8, CaseIterable, Error, Sendable {
    /// The first line is empty or never came.
    case noDomain = 1
    /// The domain is not one of this gateway, or breaks the rules of a line.
    case invalidDomain = 2
    /// The line of the key is empty or never came.
    case noKey = 3
    /// The key is not 44 characters of canonical base64.
    case invalidKey = 4
    /// The key may not register here: the operator's list, a peer of the operator's own, or the gateway itself.
    case prohibitedKey = 5
    /// The gateway could not ask, or the kernel refused: worth another try later. Not in the deployed protocol.
    case unavailable = 6
    /// The key's address belongs to another router: only a new key helps. Not in the deployed protocol.
    case addressInUse = 7
    /// The domain has as many routers as its operator allows. Not in the deployed protocol.
    case domainFull = 8
    /// The source asks too often, or too many new keys come at a time: worth another try in a minute. Not in the
    /// deployed protocol.
    case rateLimited = 9

    /// The word on the wire.
    public var code: String {
        switch self {
        case .noDomain: "NO_DOMAIN"
        case .invalidDomain: "INVALID_DOMAIN"
        case .noKey: "NO_WGKEY"
        case .invalidKey: "INVALID_WGKEY"
        case .prohibitedKey: "PROHIBITED_WGKEY"
        case .unavailable: "UNAVAILABLE"
        case .addressInUse: "ADDRESS_IN_USE"
        case .domainFull: "DOMAIN_FULL"
        case .rateLimited: "RATE_LIMITED"
        }
    }

    /// The whole reply: `ERR: `, the code, a line feed.
    public var reply: String { "ERR: \(code)\n" }

    /// Reads the text form of ``reply``, with or without the line feed; `nil` for a code of another time.
    public init?(reply: some StringProtocol) {
        let line = reply.hasSuffix("\n") ? reply.dropLast() : reply[...]
        guard let known = Self.allCases.first(where: { "ERR: \($0.code)" == line }) else { return nil }
        self = known
    }
}
