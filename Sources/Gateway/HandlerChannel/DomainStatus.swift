public import KexProtocol
public import WireGuardTypes

/// The state of one domain of the handler.
public struct DomainStatus: Hashable, Sendable {
    public var domain: DomainName
    /// Whether it takes registrations now. A domain that the handler does not have is out of service.
    public var isInService: Bool
    /// The gateway's key in this domain; `nil` if WireGuard has none, or it is not known.
    public var publicKey: PublicKey?
    /// UDP port of WireGuard; `nil` if WireGuard has none, or it is not known.
    public var listenPort: UInt16?
    /// Peers whose last handshake was younger than ``freshness`` at the last refresh.
    public var connected: UInt32
    /// Peers that were made by registrations.
    public var routers: UInt32

    /// How old the last handshake of a connected peer may be. WireGuard makes a new one every two minutes while there
    /// is traffic, and deployed gateways count the same.
    public static let freshness = Duration.seconds(180)

    public init(
        domain: DomainName,
        isInService: Bool,
        publicKey: PublicKey? = nil,
        listenPort: UInt16? = nil,
        connected: UInt32 = 0,
        routers: UInt32 = 0
    ) {
        self.domain = domain
        self.isInService = isInService
        self.publicKey = publicKey
        self.listenPort = listenPort
        self.connected = connected
        self.routers = routers
    }
}

/// One domain that a front door asks about.
struct StatusRequest: Hashable, Record {
    var domain: DomainName

    static var encodedSize: Int { 1 + DomainName.maximumLength }

    init(domain: DomainName) { self.domain = domain }

    func encode(into bytes: inout [UInt8]) { bytes.appendShortText(domain.text, DomainName.maximumLength) }

    init(decoding bytes: Span<UInt8>, at position: inout Int) throws(MalformedFrame) {
        domain = try DomainName(decoding: bytes, at: &position)
    }
}

extension DomainStatus: Record {
    static var encodedSize: Int { 1 + DomainName.maximumLength + 1 + PublicKey.length + 2 + 4 + 4 }

    /// Stands for no key. It is nobody's key, because no multiple of the base point has it.
    private static let noKey = [UInt8](repeating: 0, count: PublicKey.length)

    func encode(into bytes: inout [UInt8]) {
        bytes.appendShortText(domain.text, DomainName.maximumLength)
        bytes.append(isInService ? 1 : 0)
        bytes.append(contentsOf: publicKey?.bytes ?? Self.noKey)
        bytes.appendBigEndian(listenPort ?? 0)
        bytes.appendBigEndian(connected)
        bytes.appendBigEndian(routers)
    }

    init(decoding bytes: Span<UInt8>, at position: inout Int) throws(MalformedFrame) {
        domain = try DomainName(decoding: bytes, at: &position)
        let flag = bytes.byte(&position)
        guard flag <= 1 else { throw .record("flag \(flag)") }
        isInService = flag == 1
        let key = try PublicKey(decoding: bytes, at: &position)
        publicKey = key.bytes == Self.noKey ? nil : key
        let port: UInt16 = bytes.integer(&position)
        listenPort = port == 0 ? nil : port
        connected = bytes.integer(&position)
        routers = bytes.integer(&position)
    }
}
