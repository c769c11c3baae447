public import KexProtocol
public import WireGuardTypes

/// A report of another gateway on a router.
public struct RouterNews: Hashable, Sendable {
    /// What became of the router there.
    public enum Kind: UInt8, CaseIterable, Sendable {
        /// It shook hands, last at ``RouterNews/time``.
        case heard = 1
        /// It was removed there.
        case removed = 2
    }

    /// Chosen by the sender; the answer carries it back.
    public var id: UInt32
    public var kind: Kind
    /// Seconds since 1970, by that gateway's clock.
    public var time: Int64
    public var registration: Registration

    public init(id: UInt32, kind: Kind, time: Int64, registration: Registration) {
        self.id = id
        self.kind = kind
        self.time = time
        self.registration = registration
    }
}

/// A router of the handler's, for the other gateways.
public struct RouterRecord: Hashable, Sendable {
    public var key: PublicKey
    /// Seconds since 1970: the last handshake in this gateway's WireGuard interface; `nil` if there was none in it.
    public var lastHandshake: Int64?

    public init(key: PublicKey, lastHandshake: Int64?) {
        self.key = key
        self.lastHandshake = lastHandshake
    }
}

/// Asks for all routers of a domain, and for those that were removed on purpose.
public struct RouterListRequest: Hashable, Sendable {
    public var domain: DomainName
    /// Number of the last removal that is known; only later ones are reported. 0 for none.
    public var lastRemoval: UInt64

    public init(domain: DomainName, lastRemoval: UInt64) {
        self.domain = domain
        self.lastRemoval = lastRemoval
    }
}

/// A router that a sweep, the operator's lists or the operator's hand has removed. A router that is missing from a
/// list without this may have been lost by the machine.
public struct RouterRemoval: Hashable, Sendable {
    public var key: PublicKey

    public init(key: PublicKey) { self.key = key }
}

/// The end of a list of routers.
public struct RouterListEnd: Hashable, Sendable {
    public var domain: DomainName
    /// Number of the last removal.
    public var lastRemoval: UInt64
    /// Whether the list is complete. If not, the domain is out of service, and a missing router may be there.
    public var isWhole: Bool

    public init(domain: DomainName, isWhole: Bool, lastRemoval: UInt64) {
        self.domain = domain
        self.isWhole = isWhole
        self.lastRemoval = lastRemoval
    }
}

extension RouterNews: Record {
    static var encodedSize: Int { 4 + 1 + 8 + PublicKey.length + 1 + DomainName.maximumLength }

    func encode(into bytes: inout [UInt8]) {
        bytes.appendBigEndian(id)
        bytes.append(kind.rawValue)
        bytes.appendBigEndian(time)
        registration.key.append(to: &bytes)
        bytes.appendShortText(registration.domain.text, DomainName.maximumLength)
    }

    init(decoding bytes: Span<UInt8>, at position: inout Int) throws(MalformedFrame) {
        id = bytes.integer(&position)
        let number = bytes.byte(&position)
        guard let kind = Kind(rawValue: number) else { throw .record("news \(number)") }
        self.kind = kind
        time = bytes.integer(&position)
        let key = try PublicKey(decoding: bytes, at: &position)
        registration = Registration(domain: try DomainName(decoding: bytes, at: &position), key: key)
    }
}

extension RouterRecord: Record {
    static var encodedSize: Int { PublicKey.length + 8 }

    func encode(into bytes: inout [UInt8]) {
        key.append(to: &bytes)
        bytes.appendBigEndian(lastHandshake ?? Int64.min)
    }

    init(decoding bytes: Span<UInt8>, at position: inout Int) throws(MalformedFrame) {
        key = try PublicKey(decoding: bytes, at: &position)
        let time: Int64 = bytes.integer(&position)
        lastHandshake = time == Int64.min ? nil : time
    }
}

extension RouterListRequest: Record {
    static var encodedSize: Int { 8 + 1 + DomainName.maximumLength }

    func encode(into bytes: inout [UInt8]) {
        bytes.appendBigEndian(lastRemoval)
        bytes.appendShortText(domain.text, DomainName.maximumLength)
    }

    init(decoding bytes: Span<UInt8>, at position: inout Int) throws(MalformedFrame) {
        lastRemoval = bytes.integer(&position)
        domain = try DomainName(decoding: bytes, at: &position)
    }
}

extension RouterRemoval: Record {
    static var encodedSize: Int { PublicKey.length }

    func encode(into bytes: inout [UInt8]) { key.append(to: &bytes) }

    init(decoding bytes: Span<UInt8>, at position: inout Int) throws(MalformedFrame) {
        key = try PublicKey(decoding: bytes, at: &position)
    }
}

extension RouterListEnd: Record {
    static var encodedSize: Int { 1 + 8 + 1 + DomainName.maximumLength }

    func encode(into bytes: inout [UInt8]) {
        bytes.append(isWhole ? 1 : 0)
        bytes.appendBigEndian(lastRemoval)
        bytes.appendShortText(domain.text, DomainName.maximumLength)
    }

    init(decoding bytes: Span<UInt8>, at position: inout Int) throws(MalformedFrame) {
        let flag = bytes.byte(&position)
        guard flag <= 1 else { throw .record("flag \(flag)") }
        isWhole = flag == 1
        lastRemoval = bytes.integer(&position)
        domain = try DomainName(decoding: bytes, at: &position)
    }
}
