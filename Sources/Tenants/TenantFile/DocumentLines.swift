/// The text of a document, to be changed line by line. It knows nothing of YAML but how far lines are indented.
struct DocumentLines {
    /// Without the line feeds, and with what else is at their ends.
    private var lines: [ArraySlice<UInt8>]

    init(_ bytes: [UInt8]) {
        lines = bytes.split(separator: Self.lineFeed, omittingEmptySubsequences: false)
    }

    var bytes: [UInt8] { Array(lines.joined(separator: [Self.lineFeed])) }

    /// Replaces the number behind a key.
    ///
    /// - Parameter line: counted from 1.
    /// - Returns: whether it was there.
    mutating func replace(_ old: UInt32, of key: String, by new: UInt32, in line: Int) -> Bool {
        guard lines.indices.contains(line - 1) else { return false }
        let text = lines[line - 1]
        guard let end = text.firstRange(of: Array(key.utf8))?.upperBound,
            let start = text[end...].firstIndex(where: { (0x30...0x39).contains($0) })
        else { return false }
        let digits = text[start...].prefix { (0x30...0x39).contains($0) }
        // Between them is nothing but the colon, blanks, and maybe the other quote of the key.
        guard text[end..<start].allSatisfy({ Array(": \"'".utf8).contains($0) }), digits.elementsEqual("\(old)".utf8)
        else { return false }
        lines[line - 1] = text[..<start] + Array("\(new)".utf8) + text[digits.endIndex...]
        return true
    }

    /// Inserts a line behind the entry of a table, with all that is deeper than that.
    ///
    /// - Parameter line: that of the entry's key, counted from 1.
    /// - Returns: whether there is such a line.
    mutating func insert(_ text: String, behindEntryOf line: Int) -> Bool {
        guard lines.indices.contains(line - 1) else { return false }
        let entry = lines[line - 1]
        let indentation = entry.prefix { $0 == Self.blank }
        var last = line - 1
        var hadGap = false
        for (index, line) in lines.enumerated().dropFirst(line) {
            let content = line.drop { $0 == Self.blank }
            guard let first = content.first, first != Self.carriageReturn else {
                hadGap = true
                continue
            }
            guard content.startIndex - line.startIndex > indentation.count else { break }
            // A comment with a gap before it may be about what comes behind.
            if hadGap, first == UInt8(ascii: "#") { continue }
            last = index
            hadGap = false
        }
        let ending = entry.last == Self.carriageReturn ? [Self.carriageReturn] : []
        lines.insert((indentation + Array(text.utf8) + ending)[...], at: last + 1)
        return true
    }

    private static let lineFeed = UInt8(ascii: "\n")
    private static let carriageReturn = UInt8(ascii: "\r")
    private static let blank = UInt8(ascii: " ")
}
