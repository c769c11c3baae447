/// A JSON object (RFC 8259) whose values are strings and integers. Everything else is refused: other values, names that
/// come twice, numbers that are no `Int64`, anything behind the object.
struct FlatObject {
    enum Value: Hashable {
        case text(String)
        case integer(Int64)
    }

    /// Most members.
    static let maximumMembers = 16

    private(set) var members: [String: Value] = [:]

    /// The text's length is the caller's to limit.
    init?(_ text: [UInt8]) {
        var reader = JSONReader(text)
        guard reader.take("{") else { return nil }
        if !reader.take("}") {
            repeat {
                guard members.count < Self.maximumMembers, let name = reader.string(), members[name] == nil,
                    reader.take(":"), let value = reader.value()
                else { return nil }
                members[name] = value
            } while reader.take(",")
            guard reader.take("}") else { return nil }
        }
        guard reader.isAtEnd else { return nil }
    }
}

/// Reads one token after the other, with white space before each.
private struct JSONReader {
    private let text: [UInt8]
    private var position = 0

    init(_ text: [UInt8]) { self.text = text }

    private var next: UInt8? { position < text.count ? text[position] : nil }

    private mutating func skipWhiteSpace() {
        while let byte = next, [0x20, 0x09, 0x0a, 0x0d].contains(byte) { position += 1 }
    }

    /// Whether nothing but white space is left.
    var isAtEnd: Bool {
        mutating get {
            skipWhiteSpace()
            return next == nil
        }
    }

    /// Takes a character of the syntax if it comes next.
    mutating func take(_ character: Unicode.Scalar) -> Bool {
        skipWhiteSpace()
        guard next == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    mutating func value() -> FlatObject.Value? {
        skipWhiteSpace()
        if next == UInt8(ascii: "\"") { return string().map { .text($0) } }
        return integer().map { .integer($0) }
    }

    /// Digits without a leading zero, with a minus before them or not; what begins a fraction or an exponent is left, and
    /// stops whoever reads on.
    private mutating func integer() -> Int64? {
        let start = position
        if next == UInt8(ascii: "-") { position += 1 }
        let first = position
        while let byte = next, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { position += 1 }
        let length = position - first
        guard length > 0, length == 1 || text[first] != UInt8(ascii: "0") else { return nil }
        return Int64(String(decoding: text[start..<position], as: UTF8.self))
    }

    mutating func string() -> String? {
        guard take("\"") else { return nil }
        var bytes: [UInt8] = []
        while let byte = next {
            position += 1
            switch byte {
            case UInt8(ascii: "\""): return String(validating: bytes, as: UTF8.self)
            case UInt8(ascii: "\\"):
                guard let scalar = escaped() else { return nil }
                bytes += UTF8.encode(scalar)!
            case 0..<0x20: return nil
            default: bytes.append(byte)
            }
        }
        return nil
    }

    /// What stands behind a backslash.
    private mutating func escaped() -> Unicode.Scalar? {
        guard let byte = next else { return nil }
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{c}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"):
            guard let first = codeUnit() else { return nil }
            guard UTF16.isLeadSurrogate(first) else { return Unicode.Scalar(first) }
            guard next == UInt8(ascii: "\\") else { return nil }
            position += 1
            guard next == UInt8(ascii: "u") else { return nil }
            position += 1
            guard let second = codeUnit(), UTF16.isTrailSurrogate(second) else { return nil }
            return Unicode.Scalar(0x10000 + (UInt32(first) - 0xd800) << 10 + (UInt32(second) - 0xdc00))
        default: return nil
        }
    }

    /// Four hexadecimal digits.
    private mutating func codeUnit() -> UInt16? {
        var unit: UInt16 = 0
        for _ in 0..<4 {
            guard let byte = next, let digit = Character(Unicode.Scalar(byte)).hexDigitValue, byte < 0x80 else {
                return nil
            }
            unit = unit << 4 | UInt16(digit)
            position += 1
        }
        return unit
    }
}
