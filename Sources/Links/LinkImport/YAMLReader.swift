/// The part of YAML that configurations of the field use: keys and lists by indentation, texts with quotes and without,
/// and values in brackets. Anchors, tags, and texts over several lines are not understood, and said to be so.
struct YAMLReader {
    private struct Line {
        var number: Int
        var indentation: Int
        var text: Substring
    }

    private var lines: ArraySlice<Line> = []

    static func read(_ text: String) throws(ForeignMistake) -> ForeignValue {
        var reader = YAMLReader()
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let content = withoutComment(line)
            let text = trimmed(content)
            if text.isEmpty || text == "---" { continue }
            let indentation = content.prefix { $0 == " " }.count
            guard content.dropFirst(indentation).first != "\t"
            else { throw ForeignMistake(index + 1, "a tab at the start of a line") }
            reader.lines.append(Line(number: index + 1, indentation: indentation, text: text))
        }
        guard let first = reader.lines.first else { return ForeignValue(.nothing, line: 1) }
        let value = try reader.block(first.indentation, depth: 0)
        if let left = reader.lines.first { throw ForeignMistake(left.number, "not understood: \(left.text)") }
        return value
    }

    /// A comment begins at the start of a line or behind a blank, and not between quotes.
    private static func withoutComment(_ line: Substring) -> Substring {
        var (quote, previous): (Character?, Character) = (nil, " ")
        for index in line.indices {
            let character = line[index]
            if let open = quote {
                if character == open { quote = nil }
            } else if character == "\"" || character == "'" {
                quote = character
            } else if character == "#", previous == " " || previous == "\t" {
                return line[..<index]
            }
            previous = character
        }
        return line
    }

    /// All lines of this indentation from here on, with what belongs to them.
    private mutating func block(_ indentation: Int, depth: Int) throws(ForeignMistake) -> ForeignValue {
        guard let first = lines.first else { return ForeignValue(.nothing, line: 1) }
        guard depth < maximumDepth
        else { throw ForeignMistake(first.number, "more than \(maximumDepth) values in each other") }
        var entries: [ForeignValue.Entry] = []
        var values: [ForeignValue] = []
        while var line = lines.first, line.indentation == indentation {
            let isElement = line.text == "-" || line.text.hasPrefix("- ")
            // A list and keys in one place are neither.
            guard isElement ? entries.isEmpty : values.isEmpty
            else { throw ForeignMistake(line.number, "not understood: \(line.text)") }
            if isElement {
                let rest = trimmed(line.text.dropFirst())
                if rest.isEmpty {
                    lines = lines.dropFirst()
                    values.append(try nested(below: indentation, line.number, depth))
                } else if Self.key(of: rest) != nil {
                    // The first key of a table stands behind the hyphen; the others below it.
                    line.indentation += line.text.count - rest.count
                    line.text = rest
                    lines[lines.startIndex] = line
                    values.append(try block(line.indentation, depth: depth + 1))
                } else {
                    lines = lines.dropFirst()
                    values.append(try scalar(rest, line.number))
                }
            } else if let (key, rest) = Self.key(of: line.text) {
                lines = lines.dropFirst()
                let value =
                    rest.isEmpty ? try nested(below: indentation, line.number, depth) : try scalar(rest, line.number)
                entries.append(ForeignValue.Entry(key: String(key), value: value))
            } else if entries.isEmpty, values.isEmpty {
                lines = lines.dropFirst()
                return try scalar(line.text, line.number)
            } else {
                throw ForeignMistake(line.number, "not understood: \(line.text)")
            }
        }
        return ForeignValue(values.isEmpty ? .table(entries) : .list(values), line: first.number)
    }

    /// What stands below a key or a hyphen. A list below a key may have the key's own indentation.
    private mutating func nested(
        below indentation: Int,
        _ number: Int,
        _ depth: Int
    ) throws(ForeignMistake) -> ForeignValue {
        guard let next = lines.first else { return ForeignValue(.nothing, line: number) }
        let isListHere = next.indentation == indentation && (next.text == "-" || next.text.hasPrefix("- "))
        guard next.indentation > indentation || isListHere else { return ForeignValue(.nothing, line: number) }
        return try isListHere ? list(indentation, depth: depth + 1) : block(next.indentation, depth: depth + 1)
    }

    /// The lines with hyphens of this indentation, and no key behind them.
    private mutating func list(_ indentation: Int, depth: Int) throws(ForeignMistake) -> ForeignValue {
        let own = lines.prefix { line in
            line.indentation > indentation || line.indentation == indentation && line.text.hasPrefix("-")
        }
        let others = lines.dropFirst(own.count)
        lines = own
        let value = try block(indentation, depth: depth)
        guard lines.isEmpty else { return value }
        lines = others
        return value
    }

    /// `key: value` or `key:`; `nil` for everything else.
    private static func key(of text: Substring) -> (key: Substring, rest: Substring)? {
        guard let first = text.first, !["[", "{"].contains(first) else { return nil }
        var end = text.startIndex
        if first == "\"" || first == "'" {
            guard let close = text.dropFirst().firstIndex(of: first) else { return nil }
            end = text.index(after: close)
        } else {
            while end < text.endIndex {
                let behind = text.index(after: end)
                if text[end] == ":", behind == text.endIndex || text[behind] == " " { break }
                end = behind
            }
        }
        guard end < text.endIndex, text[end] == ":" else { return nil }
        return (text[..<end].trimmingQuotes, trimmed(text[text.index(after: end)...]))
    }

    private func scalar(_ text: Substring, _ number: Int) throws(ForeignMistake) -> ForeignValue {
        if let first = text.first, ["[", "{", "\"", "'"].contains(first) {
            var reader = BracketReader(text, line: number, .yaml)
            let value = try reader.value()
            guard reader.isAtEnd() else { throw ForeignMistake(number, "not understood: \(text)") }
            return value
        }
        guard let first = text.first, !["&", "*", "!", "|", ">", "%", "@", "`"].contains(first)
        else { throw ForeignMistake(number, "not understood: \(text)") }
        return ForeignValue(word: String(text), line: number)
    }
}
