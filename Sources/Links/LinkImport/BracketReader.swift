/// Reads values that are written with brackets: JSON, lists and tables of YAML's flow style, and TOML's lists.
struct BracketReader {
    /// Where the notations differ.
    enum Notation {
        /// Words and keys without quotes; `key: value`.
        case yaml
        /// `key = value`; comments begin with `#`.
        case toml
        case json
    }

    private let text: [Unicode.Scalar]
    private var position = 0
    private(set) var line: Int
    private let notation: Notation

    init(_ text: some StringProtocol, line: Int = 1, _ notation: Notation) {
        self.text = Array(text.unicodeScalars)
        self.line = line
        self.notation = notation
    }

    private var next: Unicode.Scalar? { position < text.count ? text[position] : nil }

    private mutating func advance() {
        if next == "\n" { line += 1 }
        position += 1
    }

    mutating func skipSpace() {
        while let character = next {
            if character == "#", notation != .json {
                while let character = next, character != "\n" { advance() }
            } else if [" ", "\t", "\r", "\n"].contains(character) {
                advance()
            } else {
                return
            }
        }
    }

    /// Whether nothing but blanks and comments is left.
    mutating func isAtEnd() -> Bool {
        skipSpace()
        return next == nil
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        skipSpace()
        guard next == character else { return false }
        advance()
        return true
    }

    mutating func value(depth: Int = 0) throws(ForeignMistake) -> ForeignValue {
        guard depth < maximumDepth else { throw ForeignMistake(line, "more than \(maximumDepth) values in each other") }
        skipSpace()
        let start = line
        switch next {
        case "{": return ForeignValue(.table(try table(depth)), line: start)
        case "[": return ForeignValue(.list(try list(depth)), line: start)
        case "\"", "'": return ForeignValue(.text(try quoted()), line: start)
        case nil: throw ForeignMistake(line, "the end, where a value should be")
        default: return ForeignValue(word: word(), line: start)
        }
    }

    private mutating func list(_ depth: Int) throws(ForeignMistake) -> [ForeignValue] {
        advance()
        var values: [ForeignValue] = []
        while !take("]") {
            values.append(try value(depth: depth + 1))
            if take(",") { continue }
            guard take("]") else { throw ForeignMistake(line, "expected a comma or ]") }
            break
        }
        return values
    }

    private mutating func table(_ depth: Int) throws(ForeignMistake) -> [ForeignValue.Entry] {
        advance()
        var entries: [ForeignValue.Entry] = []
        while !take("}") {
            skipSpace()
            let key = next == "\"" || next == "'" ? try quoted() : word()
            guard !key.isEmpty, take(notation == .toml ? "=" : ":")
            else { throw ForeignMistake(line, "expected a key and its value") }
            entries.append(ForeignValue.Entry(key: key, value: try value(depth: depth + 1)))
            if take(",") { continue }
            guard take("}") else { throw ForeignMistake(line, "expected a comma or }") }
            break
        }
        return entries
    }

    /// A text in quotes. Between single ones nothing has another meaning, but two of them mean one in YAML.
    mutating func quoted() throws(ForeignMistake) -> String {
        let start = line
        let quote = next
        advance()
        var result = String.UnicodeScalarView()
        while let character = next {
            advance()
            if character == quote {
                guard notation == .yaml, quote == "'", next == "'" else { return String(result) }
                result.append("'")
                advance()
            } else if character == "\\", quote == "\"" {
                result.append(try escaped())
            } else {
                result.append(character)
            }
        }
        throw ForeignMistake(start, "a text without its end")
    }

    private mutating func escaped() throws(ForeignMistake) -> Unicode.Scalar {
        guard let character = next else { throw ForeignMistake(line, "a text without its end") }
        advance()
        switch character {
        case "n": return "\n"
        case "t": return "\t"
        case "r": return "\r"
        case "\"", "\\", "/": return character
        case "u":
            let digits = String(String.UnicodeScalarView(text[position...].prefix(4)))
            guard digits.count == 4, let number = UInt32(digits, radix: 16), let scalar = Unicode.Scalar(number)
            else { throw ForeignMistake(line, "\\u without the number of a character") }
            position += 4
            return scalar
        default: throw ForeignMistake(line, "\\\(character) in a text")
        }
    }

    private mutating func word() -> String {
        let ends: Set<Unicode.Scalar> = [" ", "\t", "\r", "\n", ",", "]", "}", "{", "["]
        var result = String.UnicodeScalarView()
        while let character = next, !ends.contains(character) {
            if character == "=", notation == .toml { break }
            // A colon is part of a word unless it ends a key: `10.0.0.1:51820`, `fd00::/64`.
            if character == ":", notation != .toml {
                let behind = position + 1 < text.count ? text[position + 1] : " "
                if ends.contains(behind) || behind == "\"" { break }
            }
            result.append(character)
            advance()
        }
        return String(result)
    }
}
