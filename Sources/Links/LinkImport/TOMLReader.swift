/// The part of TOML that configurations of the field use: keys with texts, numbers, yes and no, lists; `[table]` and
/// `[[list of tables]]` without dots.
enum TOMLReader {
    static func read(_ text: String) throws(ForeignMistake) -> ForeignValue {
        var top: [ForeignValue.Entry] = []
        /// Where keys go: behind which of `top`, and whether into the last table of a list.
        var isInTable = false
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        var index = 0
        while index < lines.count {
            let line = trimmed(lines[index])
            let number = index + 1
            index += 1
            if line.isEmpty || line.hasPrefix("#") { continue }
            if line.hasPrefix("[") {
                let header = trimmed(line.prefix { $0 != "#" })
                let isList = header.hasPrefix("[[") && header.hasSuffix("]]")
                let name = trimmed(header.dropFirst(isList ? 2 : 1).dropLast(isList ? 2 : 1))
                guard header.hasSuffix("]"), isKey(name)
                else { throw ForeignMistake(number, "not understood: \(header)") }
                let table = ForeignValue(.table([]), line: number)
                if isList, let last = top.indices.last(where: { top[$0].key == name }),
                    case .list(let tables) = top[last].value.content
                {
                    top[last].value.content = .list(tables + [table])
                    top.append(top.remove(at: last))
                } else {
                    let value = isList ? ForeignValue(.list([table]), line: number) : table
                    top.append(ForeignValue.Entry(key: String(name), value: value))
                }
                isInTable = true
                continue
            }
            guard let equals = line.firstIndex(of: "=") else { throw ForeignMistake(number, "not understood: \(line)") }
            let key = trimmed(line[..<equals]).trimmingQuotes
            guard isKey(key) else { throw ForeignMistake(number, "not understood: \(line)") }
            // A list may go over several lines: all that is left is read from here, and what it did not need stays.
            let rest = ([line[line.index(after: equals)...]] + lines[index...]).joined(separator: "\n")
            var reader = BracketReader(rest, line: number, .toml)
            let value = try reader.value()
            index = reader.line
            let entry = ForeignValue.Entry(key: String(key), value: value)
            if isInTable { append(entry, toLastOf: &top) } else { top.append(entry) }
        }
        return ForeignValue(.table(top), line: 1)
    }

    private static func append(_ entry: ForeignValue.Entry, toLastOf top: inout [ForeignValue.Entry]) {
        let last = top.count - 1
        switch top[last].value.content {
        case .table(let entries): top[last].value.content = .table(entries + [entry])
        case .list(var tables):
            guard case .table(let entries)? = tables.last?.content else { return }
            tables[tables.count - 1].content = .table(entries + [entry])
            top[last].value.content = .list(tables)
        default: break
        }
    }

    private static func isKey(_ text: some StringProtocol) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy { byte in
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
                    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || [0x2d, 0x5f].contains(byte)
            }
    }
}

/// The text without blanks around it.
func trimmed<Text: StringProtocol>(_ text: Text) -> Substring where Text.SubSequence == Substring {
    func isBlank(_ character: Character) -> Bool { character == " " || character == "\t" || character == "\r" }
    var rest = text[...].drop(while: isBlank)
    while let last = rest.last, isBlank(last) { rest = rest.dropLast() }
    return rest
}

extension Substring {
    var trimmingQuotes: Substring {
        guard count >= 2, let first, first == last, first == "\"" || first == "'" else { return self }
        return dropFirst().dropLast()
    }
}
