internal import NetworkAddresses
internal import WireGuardTypes

/// A frame that breaks the rules. Both ends are of one program, so whoever sends one is broken or taken over.
public struct MalformedFrame: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is wrong, in words that follow "a frame".
    public let description: String

    init(_ description: String) { self.description = description }
}

/// The values that frames are made of. Numbers are big-endian.
extension [UInt8] {
    mutating func append(_ value: UInt16) { append(number: value) }
    mutating func append(_ value: UInt32) { append(number: value) }
    mutating func append(_ value: UInt64) { append(number: value) }

    private mutating func append(number value: some FixedWidthInteger) {
        for shift in stride(from: value.bitWidth - 8, through: 0, by: -8) {
            append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }

    mutating func append(_ flag: Bool) { append(flag ? 1 as UInt8 : 0) }

    mutating func append(_ key: PublicKey) { key.append(to: &self) }

    /// Length in two bytes, and UTF-8.
    mutating func append(_ text: String) {
        let bytes = Swift.Array(text.utf8.prefix(Int(UInt16.max)))
        append(UInt16(bytes.count))
        self += bytes
    }

    /// Family, 4 or 6, and the address.
    private mutating func append(_ address: IPPrefix.Address) {
        switch address {
        case .v4(let address):
            append(4 as UInt8)
            self += address.bytes
        case .v6(let address):
            append(6 as UInt8)
            self += address.bytes
        }
    }

    mutating func append(_ prefix: IPPrefix) {
        append(prefix.address)
        append(prefix.length)
    }

    /// Family, 0 for none.
    mutating func append(_ endpoint: Endpoint?) {
        switch endpoint {
        case nil: append(0 as UInt8)
        case .v4(let address, let port):
            append(IPPrefix.Address.v4(address))
            append(port)
        case .v6(let address, let port, let scope):
            append(IPPrefix.Address.v6(address))
            append(port)
            append(scope)
        }
    }
}

/// Reads the values of a frame.
struct FrameReader {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

    var isAtEnd: Bool { rest.isEmpty }

    mutating func takeRest() -> ArraySlice<UInt8> {
        defer { rest = [] }
        return rest
    }

    mutating func bytes(_ count: Int) throws(MalformedFrame) -> ArraySlice<UInt8> {
        guard count <= rest.count else { throw MalformedFrame("that ends too early") }
        defer { rest = rest.dropFirst(count) }
        return rest.prefix(count)
    }

    mutating func number<Value: FixedWidthInteger>(_ type: Value.Type = Value.self) throws(MalformedFrame) -> Value {
        try bytes(Value.bitWidth / 8).reduce(0) { $0 << 8 | Value($1) }
    }

    mutating func flag() throws(MalformedFrame) -> Bool {
        switch try number(UInt8.self) {
        case 0: false
        case 1: true
        case let other: throw MalformedFrame("with a flag of \(other)")
        }
    }

    /// A number of elements that follow.
    ///
    /// - Parameter size: the least that each of them takes, in bytes.
    mutating func count(of size: Int) throws(MalformedFrame) -> Int {
        let count = Int(try number(UInt32.self))
        guard count <= rest.count / size else { throw MalformedFrame("with \(count) elements that are not there") }
        return count
    }

    mutating func key() throws(MalformedFrame) -> PublicKey {
        let bytes = Array(try bytes(PublicKey.length))
        guard let key = PublicKey(bytes: bytes.span) else { throw MalformedFrame("without a key") }
        return key
    }

    mutating func text() throws(MalformedFrame) -> String {
        let bytes = try bytes(Int(number(UInt16.self)))
        guard let text = String(validating: bytes, as: UTF8.self) else { throw MalformedFrame("without UTF-8") }
        return text
    }

    private mutating func address(family: UInt8) throws(MalformedFrame) -> IPPrefix.Address {
        switch family {
        case 4: if let address = IPv4Address(bytes: try bytes(4)) { return .v4(address) }
        case 6: if let address = IPv6Address(bytes: try bytes(16)) { return .v6(address) }
        default: break
        }
        throw MalformedFrame("with an address of family \(family)")
    }

    mutating func prefix() throws(MalformedFrame) -> IPPrefix {
        let family = try number(UInt8.self)
        let (address, length) = (try address(family: family), try number(UInt8.self))
        guard let prefix = IPPrefix(address, length: length)
        else { throw MalformedFrame("with a prefix of \(length) bits") }
        return prefix
    }

    mutating func prefixes() throws(MalformedFrame) -> [IPPrefix] {
        var prefixes: [IPPrefix] = []
        for _ in 0..<(try count(of: 6)) { prefixes.append(try prefix()) }
        return prefixes
    }

    mutating func endpoint() throws(MalformedFrame) -> Endpoint? {
        let family = try number(UInt8.self)
        if family == 0 { return nil }
        switch try address(family: family) {
        case .v4(let address): return .v4(address, port: try number())
        case .v6(let address): return .v6(address, port: try number(), scope: try number())
        }
    }

    mutating func interfaceName() throws(MalformedFrame) -> InterfaceName {
        guard let name = InterfaceName(try text()) else { throw MalformedFrame("without the name of an interface") }
        return name
    }
}
