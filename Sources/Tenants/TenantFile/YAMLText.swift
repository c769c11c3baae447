internal import Yams

/// Reads YAML as values with lines, by Yams. What could mean two things, or grow without end, is refused: anchors,
/// aliases, merge keys, tags, texts over several lines, keys that are no text, and keys that come twice.
///
/// Yams itself is asked for no types: it would make a number of `0100`, and a truth of `no`.
struct YAMLText {
    /// How deep values may lie in each other. Documents need six.
    static let maximumDepth = 16
    /// How many words that look like an anchor or an alias a text may have before it is parsed. Each alias may double
    /// what is behind it, so with these few it is no work, and the parser tells which of them are in a comment.
    static let maximumAliasMarks = 8
    /// How many keys that come twice are told with both lines. Each costs a run of the parser.
    static let maximumDuplicates = 16
    /// How many bytes are parsed again for them in all, so that a large file gets fewer runs.
    static let maximumRereading = 1 << 24

    private(set) var mistakes: [YAMLMistake] = []

    /// The value of the only document in the text; `nil` if there is none, or if ``mistakes`` say why there is none.
    static func read(_ bytes: [UInt8]) -> (value: YAMLValue?, mistakes: [YAMLMistake]) {
        var reader = YAMLText()
        guard let text = String(validating: bytes, as: UTF8.self) else {
            return (nil, [YAMLMistake(line: nil, reason: "not UTF-8; save the file as UTF-8")])
        }
        if let line = lineOfTooManyAliases(bytes) {
            return (nil, [YAMLMistake(line: line, reason: aliasReason)])
        }
        let value = reader.parse(text)
        // What the parser misses at the end is on the last line, and not on one that was put there.
        let lastLine = max(1, bytes.count { $0 == UInt8(ascii: "\n") } + (bytes.last == UInt8(ascii: "\n") ? 0 : 1))
        return (value, reader.mistakes.map { YAMLMistake(line: $0.line.map { min($0, lastLine) }, reason: $0.reason) })
    }

    // MARK: Aliases

    private static let aliasReason =
        "anchors and aliases (&name, *name) are not read, for the file would say less than it seems to; "
        + "write the value out at each place"

    /// The line of the first `&name` or `*name` outside lines of comment, if there are more than
    /// ``maximumAliasMarks``. What is in quotes, or in a comment behind a value, counts as well.
    private static func lineOfTooManyAliases(_ bytes: [UInt8]) -> Int? {
        var (count, first): (Int, Int?) = (0, nil)
        for (index, line) in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated()
        where !isComment(line) {
            for (mark, next) in zip(line, line.dropFirst()) where isAliasMark(mark) && isNameByte(next) {
                count += 1
                first = first ?? index + 1
            }
        }
        return count > maximumAliasMarks ? first : nil
    }

    /// Whether a line is a comment and nothing else. To YAML a line ends also at a carriage return and at three
    /// characters that are not ASCII, and behind that is no comment any more.
    private static func isComment(_ line: ArraySlice<UInt8>) -> Bool {
        let text = line.last == UInt8(ascii: "\r") ? line.dropLast() : line
        return text.first { $0 != UInt8(ascii: " ") } == UInt8(ascii: "#")
            && text.allSatisfy { $0 < 0x80 && $0 != UInt8(ascii: "\r") }
    }

    private static func isAliasMark(_ byte: UInt8) -> Bool { byte == UInt8(ascii: "&") || byte == UInt8(ascii: "*") }

    /// What names of anchors are made of. Source: `IS_ALPHA_AT` of libyaml.
    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }

    // MARK: Parsing

    /// What is put in front of a key that comes again, so that the parser takes it: of the private use area.
    private static let mark: Character = "\u{e000}"

    /// Yams stops at the first table with a key twice, and tells the place of the first only. So that key gets a mark in
    /// the text and all is read again; then both are there, each with its line.
    private mutating func parse(_ original: String) -> YAMLValue? {
        // A short string has its bytes in itself, and Yams keeps a pointer to them for longer than that is valid.
        var text = original.utf8.count < 16 ? original + String(repeating: "\n", count: 16) : original
        var marks = 0
        while true {
            do {
                let parser = try Parser(yaml: text, resolver: .basic, encoding: .utf8)
                // The parser owns the names of anchors, so it must outlive the walk.
                return try withExtendedLifetime(parser) {
                    guard let node = try parser.singleRoot() else { return nil }
                    return value(of: node, line: 1, depth: 0)
                }
            } catch YamlError.duplicatedKeysInMapping(let keys, let context) {
                marks += 1
                guard marks <= Self.maximumDuplicates, marks * text.utf8.count <= Self.maximumRereading,
                    let longer = Self.marking(text, at: context.mark)
                else {
                    return fail(
                        context.mark.line,
                        "\(quoted(keys.first ?? "a key")) comes again below, and maybe others"
                    )
                }
                text = longer
            } catch let error as YamlError {
                return fail(error)
            } catch {
                return fail(nil, "not read: \(error)")
            }
        }
    }

    /// The text with a mark in front of the key that begins there, or behind its quote.
    private static func marking(_ text: String, at mark: Mark) -> String? {
        var lines = text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).makeIterator()
        var line: Substring.UTF8View?
        for _ in 0..<max(mark.line, 1) { line = lines.next() }
        guard let line else { return nil }
        let scalars = Substring(line).unicodeScalars
        guard
            var index = scalars.index(
                scalars.startIndex,
                offsetBy: max(mark.column - 1, 0),
                limitedBy: scalars.endIndex
            ),
            index < scalars.endIndex
        else { return nil }
        if scalars[index] == "\"" || scalars[index] == "'" { index = scalars.index(after: index) }
        var longer = text
        longer.insert(Self.mark, at: index)
        return longer
    }

    private mutating func fail(_ line: Int?, _ reason: String) -> YAMLValue? {
        mistakes.append(YAMLMistake(line: line, reason: reason))
        return nil
    }

    private mutating func fail(_ error: YamlError) -> YAMLValue? {
        switch error {
        case .scanner(let context, let problem, let mark, let yaml):
            let isTab = problem.contains("cannot start any token") && Self.character(of: yaml, at: mark) == "\t"
            return fail(mark.line, isTab ? "a tab; indent with blanks" : Self.words(problem, context))
        case .parser(let context, let problem, let mark, _): return fail(mark.line, Self.words(problem, context))
        case .composer(_, let problem, let mark, _):
            switch problem {
            case let problem where problem.contains("another document"):
                return fail(mark.line, "a second document in one file; write one file for each")
            case let problem where problem.contains("alias"): return fail(mark.line, Self.aliasReason)
            default: return fail(mark.line, "not YAML: \(problem)")
            }
        case .reader(let problem, let offset, _, let yaml):
            let line = offset.map { 1 + yaml.prefix($0).count(where: \.isNewline) }
            return fail(line, "not YAML: \(problem)")
        default: return fail(nil, "not YAML: \(error)")
        }
    }

    /// The parser's own words, without the address of the context where that is the same.
    private static func words(_ problem: String, _ context: YamlError.Context?) -> String {
        guard let context else { return "not YAML: \(problem)" }
        return "not YAML: \(context.text) (line \(context.mark.line)): \(problem)"
    }

    private static func character(of text: String, at mark: Mark) -> Unicode.Scalar? {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard lines.indices.contains(mark.line - 1) else { return nil }
        return lines[mark.line - 1].unicodeScalars.dropFirst(max(mark.column - 1, 0)).first
    }

    // MARK: Values

    private var hasToldOfAliases = false

    /// - Parameter line: where it is looked for, if the node does not say where it is.
    private mutating func value(of node: Node, line: Int, depth: Int) -> YAMLValue {
        let line = node.mark?.line ?? line
        return YAMLValue(content: content(of: node, line: line, depth: depth) ?? .refused, line: line)
    }

    /// `nil` if a mistake was told.
    private mutating func content(of node: Node, line: Int, depth: Int) -> YAMLValue.Content? {
        if node.anchor != nil {
            // Once, for what the anchor names comes again at each alias.
            if !hasToldOfAliases { _ = fail(line, Self.aliasReason) }
            hasToldOfAliases = true
            return nil
        }
        guard depth < Self.maximumDepth else {
            _ = fail(line, "more than \(Self.maximumDepth) values in each other")
            return nil
        }
        switch node {
        case .scalar(let scalar): return text(scalar, line: line)
        case .sequence(let list):
            guard isUntagged(list.tag, line) else { return nil }
            return .list(list.map { value(of: $0, line: line, depth: depth + 1) })
        case .mapping(let table):
            guard isUntagged(table.tag, line) else { return nil }
            return .table(entries(table, line: line, depth: depth))
        case .alias:
            _ = fail(line, Self.aliasReason)
            return nil
        }
    }

    private mutating func entries(_ table: Node.Mapping, line: Int, depth: Int) -> [YAMLEntry] {
        var entries: [YAMLEntry] = []
        var lines: [String: Int] = [:]
        for (keyNode, valueNode) in table {
            let line = keyNode.mark?.line ?? line
            guard case .scalar(let scalar) = keyNode, keyNode.anchor == nil else {
                _ = fail(line, keyNode.anchor == nil ? "a key that is no text" : Self.aliasReason)
                continue
            }
            let key = String(scalar.string.drop { $0 == Self.mark })
            // All that is wrong in it is told, also where the key itself is too much.
            let value = value(of: valueNode, line: line, depth: depth + 1)
            if key == "<<" {
                _ = fail(line, "merge keys (<<) are not read; write the keys out")
            } else if let first = lines.updateValue(line, forKey: key) {
                _ = fail(line, "\(quoted(key)) is in line \(first) already; a key can be there once")
            } else {
                entries.append(YAMLEntry(key: key, value: value, line: line))
            }
        }
        return entries
    }

    private mutating func text(_ scalar: Node.Scalar, line: Int) -> YAMLValue.Content? {
        switch scalar.style {
        case .literal, .folded:
            _ = fail(line, "a text over several lines (| or >); nothing here is so long")
            return nil
        case .plain, .any:
            guard isUntagged(scalar.tag, line) else { return nil }
            let isNothing = ["", "~", "null", "Null", "NULL"].contains(scalar.string)
            return isNothing ? .nothing : .text(scalar.string, isPlain: true)
        case .singleQuoted, .doubleQuoted: return .text(scalar.string, isPlain: false)
        }
    }

    private mutating func isUntagged(_ tag: Tag, _ line: Int) -> Bool {
        guard tag.rawValue.isEmpty else {
            _ = fail(line, "tags (\(quoted(tag.rawValue))) are not read; write the value alone")
            return false
        }
        return true
    }
}

/// Longest part of a file that a mistake repeats, in characters.
private let longestQuote = 60

/// A text from a file as a mistake shows it: on one line, not long, and with nothing that a terminal obeys.
func quoted(_ text: String) -> String {
    let shown = text.prefix(longestQuote).unicodeScalars.map { scalar in
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .surrogate, .unassigned: "?"
        default: String(scalar)
        }
    }
    return shown.joined() + (text.count > longestQuote ? "…" : "")
}
