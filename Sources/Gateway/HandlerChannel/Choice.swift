public import KexProtocol
public import NetworkAddresses
public import WireGuardTypes

/// The question of a front door which of all gateways on the bus a router should use.
public struct ChoiceRequest: Hashable, Sendable {
    /// Chosen by the front door; the answer carries it back.
    public var id: UInt32
    public var domain: DomainName
    /// The router's; `nil` if nobody in particular asks. Then the answer is neither remembered nor counted.
    public var key: PublicKey?

    public init(id: UInt32, domain: DomainName, key: PublicKey?) {
        self.id = id
        self.domain = domain
        self.key = key
    }
}

/// What a router must know of the gateway that it should use.
public struct ChosenGateway: Hashable, Sendable {
    /// A host name or an address, which routers look up: 1 to ``maximumAddress`` bytes.
    public var address: String
    /// UDP port of its WireGuard.
    public var port: UInt16
    public var publicKey: PublicKey
    /// Its address inside the tunnel.
    public var linkAddress: IPv6Address

    /// Longest address in bytes. Source: RFC 1035, section 2.3.4, less the length byte and the root.
    public static let maximumAddress = 253

    public init(address: String, port: UInt16, publicKey: PublicKey, linkAddress: IPv6Address) {
        self.address = address
        self.port = port
        self.publicKey = publicKey
        self.linkAddress = linkAddress
    }
}

/// The gateway for one router; `nil` if there is none in this domain.
public struct ChoiceAnswer: Hashable, Sendable {
    public var id: UInt32
    public var gateway: ChosenGateway?

    public init(id: UInt32, gateway: ChosenGateway?) {
        self.id = id
        self.gateway = gateway
    }
}

extension ChoiceRequest: Record {
    static var encodedSize: Int { 4 + 1 + PublicKey.length + 1 + DomainName.maximumLength }

    func encode(into bytes: inout [UInt8]) {
        bytes.appendBigEndian(id)
        bytes.append(key == nil ? 0 : 1)
        if let key { key.append(to: &bytes) } else { bytes += [UInt8](repeating: 0, count: PublicKey.length) }
        bytes.appendShortText(domain.text, DomainName.maximumLength)
    }

    init(decoding bytes: Span<UInt8>, at position: inout Int) throws(MalformedFrame) {
        id = bytes.integer(&position)
        let flag = bytes.byte(&position)
        guard flag <= 1 else { throw .record("flag \(flag)") }
        let key = try PublicKey(decoding: bytes, at: &position)
        self.key = flag == 1 ? key : nil
        domain = try DomainName(decoding: bytes, at: &position)
    }
}

extension ChoiceAnswer: Record {
    static var encodedSize: Int { 4 + 1 + ChosenGateway.maximumAddress + 2 + PublicKey.length + 16 }

    /// Without a gateway everything behind the number is zero.
    func encode(into bytes: inout [UInt8]) {
        bytes.appendBigEndian(id)
        guard let gateway else {
            bytes.append(contentsOf: repeatElement(0, count: Self.encodedSize - 4))
            return
        }
        bytes.appendShortText(gateway.address, ChosenGateway.maximumAddress)
        bytes.appendBigEndian(gateway.port)
        gateway.publicKey.append(to: &bytes)
        bytes.appendBigEndian(gateway.linkAddress.high)
        bytes.appendBigEndian(gateway.linkAddress.low)
    }

    init(decoding bytes: Span<UInt8>, at position: inout Int) throws(MalformedFrame) {
        id = bytes.integer(&position)
        let text = try bytes.shortText(&position, ChosenGateway.maximumAddress)
        // Routers get text that needs no escape anywhere.
        for index in text where !(0x21...0x7e).contains(bytes[index]) { throw .record("a bad address") }
        let address = String(decoding: text.map { bytes[$0] }, as: UTF8.self)
        let rest = position..<position + 2 + PublicKey.length + 16
        let port: UInt16 = bytes.integer(&position)
        let key = try PublicKey(decoding: bytes, at: &position)
        let link = IPv6Address(high: bytes.integer(&position), low: bytes.integer(&position))
        guard !text.isEmpty else {
            for index in rest where bytes[index] != 0 { throw .record("half a gateway") }
            gateway = nil
            return
        }
        guard port > 0 else { throw .record("port 0") }
        gateway = ChosenGateway(address: address, port: port, publicKey: key, linkAddress: link)
    }
}

/// What a front door may ask `kex-mqtt`.
public enum BusRequest: Hashable, Sendable {
    /// Pass these routers on to all gateways. Success means that the broker has them.
    case registrations([RegistrationRequest])
    case choices([ChoiceRequest])
}

/// The frames of the socket of `kex-mqtt`. What it answers is read with ``RegistrationFrame/answer(in:)``.
public enum BusFrame {
    /// Replaces `bytes` by a frame of 1 to ``ChannelLimit/records`` requests.
    public static func encode(_ requests: some Collection<ChoiceRequest>, into bytes: inout [UInt8]) {
        Frame.encode(.choiceRequests, requests, into: &bytes)
    }

    /// Replaces `bytes` by a frame of 1 to ``ChannelLimit/records`` answers.
    public static func encode(_ answers: some Collection<ChoiceAnswer>, into bytes: inout [UInt8]) {
        Frame.encode(.choices, answers, into: &bytes)
    }

    /// What a front door may send.
    public static func request(in bytes: Span<UInt8>) throws(MalformedFrame) -> BusRequest {
        let (kind, count) = try Frame.header(of: bytes)
        switch kind {
        case .registrations: return .registrations(try Frame.records(of: bytes, count: count))
        case .choiceRequests: return .choices(try Frame.records(of: bytes, count: count))
        default: throw .unexpectedKind(kind.rawValue)
        }
    }
}
