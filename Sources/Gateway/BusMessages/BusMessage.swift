public import KexProtocol
public import Keys
internal import WireGuardTypes

/// What a gateway says over the bus, its topic and its payload taken together.
public enum BusMessage: Hashable, Sendable {
    /// A router asks to be let in, the field's way: the bare key. Quality 0, not retained. Nothing is signed.
    case registration(Registration)
    /// How many routers a worker is connected to; `nil` (`-1`) when it has ended in order. Retained.
    case connectedPeers(DomainName, GatewayName, Int?)
    /// Whether a worker is there, `1` or `0`; the latter is also its last will. Retained.
    case status(GatewayName, isOnline: Bool)
    /// Where routers reach a worker. Retained.
    case data(GatewayName, DomainName, GatewayData)
    /// Whether a front door is there, `1` or `0`. Retained. The field's front doors count one another by it.
    case frontDoor(GatewayName, isOnline: Bool)
    /// What a gateway knows of a router. `nil` if the broker's memory of it was taken away, which anybody on the broker
    /// can do and nobody can sign: gateways of ours say ``RouterNote/State/removed`` instead.
    case router(Registration, RouterNote?)
    /// How many notes with ``RouterNote/State/heard(at:)`` a gateway keeps with the broker, so that a new one notices
    /// if it was not given all of them.
    case count(DomainName, GatewayName, CountNote)

    /// Most routers in ``connectedPeers(_:_:_:)``; more digits are not even read.
    public static let maximumPeers = 9_999_999

    /// Reads a message of anybody's.
    ///
    /// - Parameter trusted: if given, notes count only with a signature of the gateway that they name; if `nil`,
    ///   signatures are not looked at.
    public init(
        topic topicBytes: Span<UInt8>,
        payload: Span<UInt8>,
        trusting trusted: TrustedKeys? = nil
    ) throws(MalformedMessage) {
        guard let topic = BusTopic(topicBytes) else { throw .topic }
        switch topic {
        case .registration(let domain):
            guard let key = PublicKey(text: payload) else { throw .payload("not a WireGuard public key") }
            self = .registration(Registration(domain: domain, key: key))
        case .connectedPeers(let domain, let gateway):
            self = .connectedPeers(domain, gateway, try Self.peers(payload))
        case .status(let gateway):
            self = .status(gateway, isOnline: try Self.isOnline(payload))
        case .frontDoor(let gateway): self = .frontDoor(gateway, isOnline: try Self.isOnline(payload))
        case .data(let gateway, let domain):
            guard let data = GatewayData(json: payload) else { throw .payload("not a gateway's data") }
            self = .data(gateway, domain, data)
        case .router(let domain, let key):
            let registration = Registration(domain: domain, key: key)
            guard payload.count > 0 else {
                self = .router(registration, nil)
                return
            }
            let (note, signed) = try RouterNote.parse(payload)
            try trusted?.check(topic, payload, signed, by: note.gateway)
            self = .router(registration, note)
        case .count(let domain, let gateway):
            let (note, signed) = try CountNote.parse(payload)
            try trusted?.check(topic, payload, signed, by: gateway)
            self = .count(domain, gateway, note)
        }
    }

    private static func isOnline(_ payload: Span<UInt8>) throws(MalformedMessage) -> Bool {
        guard payload.count == 1, payload[0] & ~1 == UInt8(ascii: "0") else { throw .payload("neither 0 nor 1") }
        return payload[0] == UInt8(ascii: "1")
    }

    /// Decimal digits without a leading zero, as Python's `str()` writes them, or `-1`.
    private static func peers(_ payload: Span<UInt8>) throws(MalformedMessage) -> Int? {
        guard (1...7).contains(payload.count) else { throw .payload("not a count") }
        if payload.count == 2, payload[0] == UInt8(ascii: "-"), payload[1] == UInt8(ascii: "1") { return nil }
        var count = 0
        for index in 0..<payload.count {
            let digit = Int(payload[index]) - Int(UInt8(ascii: "0"))
            guard (0...9).contains(digit), count > 0 || index == 0 else { throw .payload("not a count") }
            count = count * 10 + digit
        }
        return count
    }

    public var topic: BusTopic {
        switch self {
        case .registration(let registration): .registration(registration.domain)
        case .connectedPeers(let domain, let gateway, _): .connectedPeers(domain, gateway)
        case .status(let gateway, _): .status(gateway)
        case .frontDoor(let gateway, _): .frontDoor(gateway)
        case .data(let gateway, let domain, _): .data(gateway, domain)
        case .router(let registration, _): .router(registration.domain, registration.key)
        case .count(let domain, let gateway, _): .count(domain, gateway)
        }
    }

    /// The payload, byte for byte as the field's programs write it where it is theirs.
    ///
    /// - Parameter key: signs the notes; nothing else is signed.
    public func payload(signedWith key: SigningKey? = nil) -> [UInt8] {
        switch self {
        case .registration(let registration): registration.key.textBytes
        case .connectedPeers(_, _, let count): Array("\(count ?? -1)".utf8)
        case .status(_, let isOnline), .frontDoor(_, let isOnline): [UInt8(ascii: isOnline ? "1" : "0")]
        case .data(_, _, let data): data.json
        case .router(_, let note): note.map { signed($0.encoded, key) } ?? []
        case .count(_, _, let note): signed(note.encoded, key)
        }
    }

    private func signed(_ body: [UInt8], _ key: SigningKey?) -> [UInt8] {
        guard let key else { return body }
        return body + key.signature(of: SignedText(topic, body).bytes)
    }
}

/// Why a message means nothing to us.
public enum MalformedMessage: Error, Hashable, Sendable {
    /// The topic is none of the bus, or one of its levels is not what it should be.
    case topic
    case payload(String)
    /// There is no signature, or it is not one of the gateway that the message names.
    case untrusted
}

extension MalformedMessage: CustomStringConvertible {
    public var description: String {
        switch self {
        case .topic: "not a topic of the bus"
        case .payload(let reason): "malformed payload: \(reason)"
        case .untrusted: "not signed by a trusted key of its gateway"
        }
    }
}
