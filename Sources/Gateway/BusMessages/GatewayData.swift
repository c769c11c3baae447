internal import JSONText
public import NetworkAddresses
public import WireGuardTypes

/// Where routers reach a gateway, as the field's workers tell it.
public struct GatewayData: Hashable, Sendable {
    /// A host name or an address, which routers look up.
    public let externalAddress: String
    /// WireGuard's, 1 to 65535.
    public let port: UInt16
    public let publicKey: PublicKey
    /// Its address inside the tunnel, one of IPv4 as a mapped address: the field's workers publish the first address of
    /// the interface, of either family.
    public let linkAddress: IPv6Address

    /// Longest external address in bytes. Source: RFC 1035, section 2.3.4, less the length byte and the root.
    public static let maximumAddress = 253
    /// Longest text in bytes. The field's, with everything at its longest, has 409; others have more in it.
    public static let maximumText = 4096

    /// Returns `nil` if the port is zero, or unless the address is 1 to ``maximumAddress`` letters, digits, dots,
    /// hyphens, underscores and colons of ASCII.
    public init?(externalAddress: String, port: UInt16, publicKey: PublicKey, linkAddress: IPv6Address) {
        guard port > 0, (1...Self.maximumAddress).contains(externalAddress.utf8.count),
            externalAddress.utf8.allSatisfy(Self.isAddressByte)
        else { return nil }
        self.externalAddress = externalAddress
        self.port = port
        self.publicKey = publicKey
        self.linkAddress = linkAddress
    }

    private static func isAddressByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
            UInt8(ascii: ":"):
            true
        default: false
        }
    }

    /// Reads the object. Members that we do not know do not count, and the port may be a text.
    init?(json: Span<UInt8>) {
        guard json.count <= Self.maximumText, let object = JSONObject((0..<json.count).map { json[$0] }),
            let address = object.text("ExternalAddress"), let port = Self.port(object.members["Port"]),
            let key = object.text("PublicKey").flatMap({ PublicKey(text: $0) }),
            let link = object.text("LinkAddress").flatMap(Self.link)
        else { return nil }
        self.init(externalAddress: address, port: port, publicKey: key, linkAddress: link)
    }

    private static func port(_ value: JSONObject.Value?) -> UInt16? {
        switch value {
        case .integer(let number): UInt16(exactly: number)
        case .text(let text) where text.utf8.allSatisfy({ (0x30...0x39).contains($0) }): UInt16(text)
        default: nil
        }
    }

    private static func link(_ text: String) -> IPv6Address? {
        IPv4Address(text).map(IPv6Address.init(mapping:)) ?? IPv6Address(text)
    }

    /// As Python's `json.dumps()` writes it, in the order in which workers have it. Nothing in it needs an escape.
    var json: [UInt8] {
        let text =
            #"{"ExternalAddress": "\#(externalAddress)", "Port": \#(port), "#
            + #""PublicKey": "\#(publicKey)", "LinkAddress": "\#(linkAddress.unmappedDescription)"}"#
        return Array(text.utf8)
    }
}
