/// A 48-bit link-layer address.
public struct MACAddress: Hashable, Sendable {
    /// The address as a number: the first byte in transmission order is the most significant of six.
    public let value: UInt64

    /// The address of no interface. In a VXLAN fdb it stands for "every address not listed": the flood list.
    public static let zero = MACAddress(0, 0, 0, 0, 0, 0)

    /// Takes the six bytes in transmission order.
    public init(_ a: UInt8, _ b: UInt8, _ c: UInt8, _ d: UInt8, _ e: UInt8, _ f: UInt8) {
        value = [a, b, c, d, e, f].reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// Takes the address from `bytes`, or returns `nil` if they are not six.
    @inlinable
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 6 else { return nil }
        value = bytes.reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// Reads `02:de:5d:b8:5b:59`: six groups of two hexadecimal digits, either case.
    public init?(_ text: some StringProtocol) {
        let groups = text.split(separator: ":", omittingEmptySubsequences: false)
        let bytes = groups.compactMap { group in
            group.utf8.count == 2 && group.first != "+" ? UInt8(group, radix: 16) : nil
        }
        guard groups.count == 6, bytes.count == 6 else { return nil }
        self.init(bytes: bytes)
    }

    /// The six bytes in transmission order.
    public var bytes: [UInt8] { (0..<6).map { UInt8(truncatingIfNeeded: value >> (40 - 8 * UInt64($0))) } }
}

extension MACAddress: CustomStringConvertible {
    /// Six groups of two lower-case hexadecimal digits, joined by colons.
    public var description: String {
        var text: [UInt8] = []
        text.reserveCapacity(17)
        for shift in stride(from: UInt64(40), through: 0, by: -8) {
            text.append(hexadecimalDigit(value >> (shift + 4)))
            text.append(hexadecimalDigit(value >> shift))
            if shift > 0 { text.append(UInt8(ascii: ":")) }
        }
        return String(decoding: text, as: UTF8.self)
    }
}
