/// A JSON value that is to be written. Members of objects stay in their order, so equal values have equal texts.
public indirect enum JSONValue: Hashable, Sendable {
    public struct Member: Hashable, Sendable {
        public var name: String
        public var value: JSONValue

        public init(_ name: String, _ value: JSONValue) {
            self.name = name
            self.value = value
        }
    }

    case null
    case bool(Bool)
    case number(Int64)
    case text(String)
    case list([JSONValue])
    case object([Member])

    /// An object without the members that are `nil`.
    public static func members(_ members: KeyValuePairs<String, JSONValue?>) -> JSONValue {
        .object(members.compactMap { name, value in value.map { Member(name, $0) } })
    }

    public static func number(_ value: some FixedWidthInteger & UnsignedInteger) -> JSONValue {
        .number(Int64(clamping: value))
    }

    /// The text of something that has one.
    public static func words(_ value: some CustomStringConvertible) -> JSONValue { .text(value.description) }
}

extension JSONValue {
    /// The text, on lines that are indented by two spaces a level. What is empty, and what holds nothing that holds
    /// something, is on one line.
    public var text: String {
        var text = ""
        write(to: &text, indent: 0)
        return text
    }

    private var isFlat: Bool {
        switch self {
        case .list(let values): values.allSatisfy(\.isScalar)
        case .object(let members): members.allSatisfy(\.value.isScalar)
        default: true
        }
    }

    private var isScalar: Bool {
        switch self {
        case .list, .object: false
        default: true
        }
    }

    private func write(to text: inout String, indent: Int) {
        switch self {
        case .null: text += "null"
        case .bool(let value): text += value ? "true" : "false"
        case .number(let value): text += String(value)
        case .text(let value): Self.write(value, to: &text)
        case .list(let values):
            write(values.map { (nil, $0) }, between: ("[", "]"), to: &text, indent)
        case .object(let members):
            write(members.map { ($0.name, $0.value) }, between: ("{", "}"), to: &text, indent)
        }
    }

    private func write(
        _ parts: [(name: String?, value: JSONValue)],
        between brackets: (String, String),
        to text: inout String,
        _ indent: Int
    ) {
        let isFlat = isFlat
        text += brackets.0
        for (index, part) in parts.enumerated() {
            if index > 0 { text += isFlat ? ", " : "," }
            if !isFlat { text += "\n" + String(repeating: "  ", count: indent + 1) }
            if let name = part.name {
                Self.write(name, to: &text)
                text += ": "
            }
            part.value.write(to: &text, indent: indent + 1)
        }
        if !isFlat { text += "\n" + String(repeating: "  ", count: indent) }
        text += brackets.1
    }

    /// Source: RFC 8259, section 7.
    private static func write(_ value: String, to text: inout String) {
        text += "\""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\u{0}"..<" ":
                let digits = String(scalar.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: text.unicodeScalars.append(scalar)
            }
        }
        text += "\""
    }
}
