internal import NetworkAddresses
package import WireGuardTypes

/// Reads a datagram from its beginning. Each function returns `nil` if there are too few bytes, and then takes none.
package struct FactReader {
    private var rest: ArraySlice<UInt8>

    package init(_ bytes: [UInt8]) { rest = bytes[...] }

    private init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

    package var count: Int { rest.count }

    package mutating func byte() -> UInt8? { rest.popFirst() }

    package mutating func bytes(_ count: Int) -> ArraySlice<UInt8>? {
        guard count <= rest.count else { return nil }
        defer { rest = rest.dropFirst(count) }
        return rest.prefix(count)
    }

    mutating func bytes(_ count: UInt64) -> ArraySlice<UInt8>? {
        Int(exactly: count).flatMap { bytes($0) }
    }

    /// A reader of the next `length` bytes.
    mutating func reader(length: UInt64) -> FactReader? { bytes(length).map { FactReader($0) } }

    mutating func varint() -> UInt64? { Varint.take(from: &rest) }

    package mutating func key() -> PublicKey? {
        guard let bytes = bytes(PublicKey.length) else { return nil }
        let copy = Array(bytes)
        return PublicKey(bytes: copy.span)
    }
}

/// A number with seven bits in each byte, the least significant first. The top bit is set if another byte follows.
enum Varint {
    /// Takes a number, also one with more bytes than it needs, as the field does.
    ///
    /// - Returns: `nil` if the bytes end within the number; `UInt64.max` if it is that or more.
    static func take(from bytes: inout ArraySlice<UInt8>) -> UInt64? {
        var value: UInt64 = 0
        for (index, byte) in bytes.prefix(10).enumerated() {
            // Nine bytes have 63 bits.
            if index == 9, byte > 1 { break }
            value |= UInt64(byte & 0x7f) << (7 * UInt64(index))
            if byte & 0x80 == 0 {
                bytes = bytes.dropFirst(index + 1)
                return value
            }
        }
        return bytes.count < 10 ? nil : .max
    }

    /// Adds the shortest form.
    static func append(_ value: Int, to bytes: inout [UInt8]) {
        var rest = UInt64(value)
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }

    /// Length of the shortest form in bytes.
    static func length(_ value: Int) -> Int { max(1, (UInt64.bitWidth - UInt64(value).leadingZeroBitCount + 6) / 7) }
}
