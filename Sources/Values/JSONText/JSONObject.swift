/// A JSON object as deployed servers read one, which is how Python does: of members with the same name the last one
/// counts, and numbers may be `NaN`, `Infinity` and `-Infinity`. Otherwise it is RFC 8259, in UTF-8, with a byte order
/// mark before it or without.
///
/// Texts and integers are read; of everything else only the form is checked. It needs no more memory than twice the
/// text, and no recursion, so nesting has no limit but the text's length, which is the caller's to limit.
public struct JSONObject: Sendable {
    /// The value of a member.
    public enum Value: Hashable, Sendable {
        case text(String)
        case integer(Int64)
        /// Anything else: a list, an object, a word, another number.
        case other
    }

    /// The members by their names.
    public private(set) var members: [String: Value] = [:]

    /// Returns `nil` unless all of the text is an object.
    public init?(_ text: some Sequence<UInt8>) {
        var reader = JSONReader(Array(text))
        guard let members = reader.object(), reader.isAtEnd else { return nil }
        self.members = members
    }

    /// The member's text; `nil` if there is none, or it is something else.
    public func text(_ name: String) -> String? {
        if case .text(let text)? = members[name] { text } else { nil }
    }
}

/// Reads one token after the other, with white space before each.
private struct JSONReader {
    private let text: [UInt8]
    private var position: Int

    init(_ text: [UInt8]) {
        self.text = text
        position = text.starts(with: [0xef, 0xbb, 0xbf]) ? 3 : 0
    }

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
    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        skipWhiteSpace()
        guard next == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    private mutating func take(word: StaticString) -> Bool {
        let length = word.utf8CodeUnitCount
        guard position + length <= text.count else { return false }
        guard "\(word)".utf8.elementsEqual(text[position..<position + length]) else { return false }
        position += length
        return true
    }

    mutating func object() -> [String: JSONObject.Value]? {
        guard take("{") else { return nil }
        var members: [String: JSONObject.Value] = [:]
        if take("}") { return members }
        repeat {
            guard let name = name(), let value = value() else { return nil }
            members[name] = value
        } while take(",")
        return take("}") ? members : nil
    }

    private mutating func name() -> String? {
        guard take("\""), let name = string(), take(":") else { return nil }
        return name
    }

    private mutating func value() -> JSONObject.Value? {
        skipWhiteSpace()
        switch next {
        case UInt8(ascii: "\""):
            position += 1
            return string().map { .text($0) }
        case UInt8(ascii: "{"), UInt8(ascii: "["): return skipNested() ? .other : nil
        default: return scalar()
        }
    }

    private mutating func scalar() -> JSONObject.Value? {
        for word in ["true", "false", "null", "NaN", "Infinity", "-Infinity"] as [StaticString] where take(word: word) {
            return .other
        }
        return number()
    }

    /// Digits without a leading zero, a minus before them or not, a fraction and an exponent behind them or not.
    private mutating func number() -> JSONObject.Value? {
        let start = position
        if next == UInt8(ascii: "-") { position += 1 }
        let first = position
        let length = digits()
        guard length > 0, length == 1 || text[first] != UInt8(ascii: "0") else { return nil }
        let end = position
        if next == UInt8(ascii: ".") {
            position += 1
            guard digits() > 0 else { return nil }
        }
        if next == UInt8(ascii: "e") || next == UInt8(ascii: "E") {
            position += 1
            if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { position += 1 }
            guard digits() > 0 else { return nil }
        }
        guard position == end else { return .other }
        return Int64(String(decoding: text[start..<end], as: UTF8.self)).map { .integer($0) } ?? .other
    }

    private mutating func digits() -> Int {
        let start = position
        while let byte = next, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { position += 1 }
        return position - start
    }

    /// Passes over a list or an object with all that is in it.
    private mutating func skipNested() -> Bool {
        /// Whether what is open at each level is an object.
        var open: [Bool] = []
        while true {
            // A value comes next.
            if take("{") {
                open.append(true)
                if !take("}") {
                    guard name() != nil else { return false }
                    continue
                }
                open.removeLast()
            } else if take("[") {
                open.append(false)
                if !take("]") { continue }
                open.removeLast()
            } else if take("\"") {
                guard string() != nil else { return false }
            } else {
                guard scalar() != nil else { return false }
            }
            // A value has ended.
            while let isObject = open.last, !take(",") {
                guard take(isObject ? "}" : "]") else { return false }
                open.removeLast()
            }
            guard let isObject = open.last else { return true }
            if isObject, name() == nil { return false }
        }
    }

    /// What stands behind a quotation mark, up to the next one. Half of a surrogate pair becomes U+FFFD.
    private mutating func string() -> String? {
        var bytes: [UInt8] = []
        while let byte = next {
            position += 1
            switch byte {
            case UInt8(ascii: "\""): return String(validating: bytes, as: UTF8.self)
            case UInt8(ascii: "\\"):
                guard let scalar = escaped() else { return nil }
                bytes += String(Character(scalar)).utf8
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
            guard UTF16.isLeadSurrogate(first) else { return Unicode.Scalar(first) ?? "\u{fffd}" }
            let rest = position
            if take(word: "\\u"), let second = codeUnit(), UTF16.isTrailSurrogate(second) {
                return Unicode.Scalar(0x10000 + (UInt32(first) - 0xd800) << 10 + (UInt32(second) - 0xdc00))
            }
            position = rest
            return "\u{fffd}"
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
