public import KexProtocol
public import NetworkAddresses
internal import WireGuardTypes

/// One exchange on its way to the handler.
public struct RegistrationRequest: Hashable, Sendable {
    /// Chosen by the front door; the answer carries it back.
    public var id: UInt32
    /// Where the router's connection comes from: IPv4 as a mapped address, a link-local one scoped to its link. It is
    /// the one thing that the handler believes.
    public var source: IPv6Address
    public var registration: Registration

    public init(id: UInt32, source: IPv6Address, registration: Registration) {
        self.id = id
        self.source = source
        self.registration = registration
    }
}

/// A registration that came to another gateway. It has no source here.
public struct RemoteRegistration: Hashable, Sendable {
    /// Chosen by the sender; the answer carries it back.
    public var id: UInt32
    public var registration: Registration

    public init(id: UInt32, registration: Registration) {
        self.id = id
        self.registration = registration
    }
}

/// The handler's answer to one exchange. Success means that the kernel has acknowledged everything.
public struct RegistrationAnswer: Hashable, Sendable {
    public var id: UInt32
    /// `nil` for success.
    public var refusal: Refusal?

    public init(id: UInt32, refusal: Refusal?) {
        self.id = id
        self.refusal = refusal
    }
}

extension RegistrationRequest: Record {
    static var encodedSize: Int { 4 + 16 + PublicKey.length + 1 + DomainName.maximumLength }

    func encode(into bytes: inout [UInt8]) {
        bytes.appendBigEndian(id)
        bytes.appendBigEndian(source.high)
        bytes.appendBigEndian(source.low)
        registration.key.append(to: &bytes)
        bytes.appendShortText(registration.domain.text, DomainName.maximumLength)
    }

    init(decoding bytes: Span<UInt8>, at position: inout Int) throws(MalformedFrame) {
        id = bytes.integer(&position)
        source = IPv6Address(high: bytes.integer(&position), low: bytes.integer(&position))
        let key = try PublicKey(decoding: bytes, at: &position)
        registration = Registration(domain: try DomainName(decoding: bytes, at: &position), key: key)
    }
}

extension RemoteRegistration: Record {
    static var encodedSize: Int { 4 + PublicKey.length + 1 + DomainName.maximumLength }

    func encode(into bytes: inout [UInt8]) {
        bytes.appendBigEndian(id)
        registration.key.append(to: &bytes)
        bytes.appendShortText(registration.domain.text, DomainName.maximumLength)
    }

    init(decoding bytes: Span<UInt8>, at position: inout Int) throws(MalformedFrame) {
        id = bytes.integer(&position)
        let key = try PublicKey(decoding: bytes, at: &position)
        registration = Registration(domain: try DomainName(decoding: bytes, at: &position), key: key)
    }
}

extension RegistrationAnswer: Record {
    static var encodedSize: Int { 4 + 1 }

    func encode(into bytes: inout [UInt8]) {
        bytes.appendBigEndian(id)
        bytes.append(refusal?.rawValue ?? 0)
    }

    init(decoding bytes: Span<UInt8>, at position: inout Int) throws(MalformedFrame) {
        id = bytes.integer(&position)
        let number = bytes.byte(&position)
        refusal = Refusal(rawValue: number)
        guard refusal != nil || number == 0 else { throw .record("refusal \(number)") }
    }
}

extension PublicKey {
    init(decoding bytes: Span<UInt8>, at position: inout Int) throws(MalformedFrame) {
        let field = bytes.field(&position, Self.length)
        guard let key = PublicKey(bytes: bytes.extracting(field)) else { throw .record("a bad key") }
        self = key
    }
}

extension DomainName {
    init(decoding bytes: Span<UInt8>, at position: inout Int) throws(MalformedFrame) {
        let text = try bytes.shortText(&position, Self.maximumLength)
        guard let name = DomainName(bytes: bytes.extracting(text)) else { throw .record("a bad domain name") }
        self = name
    }
}

/// What the handler answers a front door.
public enum FrontDoorAnswer: Hashable, Sendable {
    case registrations([RegistrationAnswer])
    case statuses([DomainStatus])
    /// From `kex-mqtt` only.
    case choices([ChoiceAnswer])
}

/// The frames of the socket for front doors.
public enum RegistrationFrame {
    /// Replaces `bytes` by a frame of 1 to ``ChannelLimit/records`` requests.
    public static func encode(_ requests: some Collection<RegistrationRequest>, into bytes: inout [UInt8]) {
        Frame.encode(.registrations, requests, into: &bytes)
    }

    /// Replaces `bytes` by a frame of 1 to ``ChannelLimit/records`` answers.
    public static func encode(_ answers: some Collection<RegistrationAnswer>, into bytes: inout [UInt8]) {
        Frame.encode(.answers, answers, into: &bytes)
    }

    /// Replaces `bytes` by a frame that asks about 1 to ``ChannelLimit/records`` domains.
    public static func encode(statusOf domains: some Collection<DomainName>, into bytes: inout [UInt8]) {
        Frame.encode(.statusRequests, domains.map(StatusRequest.init(domain:)), into: &bytes)
    }

    /// Replaces `bytes` by a frame about 1 to ``ChannelLimit/records`` domains.
    public static func encode(_ statuses: some Collection<DomainStatus>, into bytes: inout [UInt8]) {
        Frame.encode(.statuses, statuses, into: &bytes)
    }

    /// What the handler, or `kex-mqtt` in its place, may answer.
    public static func answer(in bytes: Span<UInt8>) throws(MalformedFrame) -> FrontDoorAnswer {
        let (kind, count) = try Frame.header(of: bytes)
        switch kind {
        case .answers: return .registrations(try Frame.records(of: bytes, count: count))
        case .statuses: return .statuses(try Frame.records(of: bytes, count: count))
        case .choices: return .choices(try Frame.records(of: bytes, count: count))
        default: throw .unexpectedKind(kind.rawValue)
        }
    }

    /// What the handler may answer a front door that asks for registrations only.
    public static func answers(in bytes: Span<UInt8>) throws(MalformedFrame) -> [RegistrationAnswer] {
        let (kind, count) = try Frame.header(of: bytes)
        guard kind == .answers else { throw .unexpectedKind(kind.rawValue) }
        return try Frame.records(of: bytes, count: count)
    }
}
