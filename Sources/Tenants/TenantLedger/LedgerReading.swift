extension Ledger {
    /// Largest text in bytes: 300,000 lines or so.
    public static let maximumSize = 64 << 20

    /// What is behind the last line feed of a text.
    public enum Tail: Hashable, Sendable {
        case nothing
        /// A whole line, but for its line feed. It counts.
        case lacksLineFeed
        /// This many bytes of a line whose writer was stopped. Nobody was told of it, so it does not count, and it is cut
        /// off before the next line is written.
        case unfinished(Int)
    }

    /// Reads the next lines of a text, each with its line feed.
    ///
    /// - Throws: for the first line that is wrong. What this ledger says is of no use afterwards.
    public mutating func read(_ lines: some Collection<UInt8>) throws(LedgerDamage) {
        precondition(unwritten.isEmpty, "what is read comes before what is written")
        var rest = Array(lines)[...]
        while let end = rest.firstIndex(of: 0x0a) {
            try readLine(rest[..<end])
            rest = rest[(end + 1)...]
        }
        precondition(rest.isEmpty, "the last line has its line feed")
    }

    /// Reads what is behind the last line feed, and then knows what all of the text says.
    ///
    /// - Throws: as ``read(_:)``.
    public mutating func finish(_ rest: some Collection<UInt8>) throws(LedgerDamage) -> Tail {
        let tail = rest.isEmpty ? Tail.nothing : try readTail(Array(rest)[...])
        try settle()
        return tail
    }

    private mutating func readLine(_ bytes: ArraySlice<UInt8>) throws(LedgerDamage) {
        let number = lineCount + 1
        if ConflictMarks.kind(of: bytes) != nil { throw LedgerDamage(line: number, .conflictMarks) }
        guard number > 1 else {
            try readHeader(bytes)
            return
        }
        do throws(LedgerLine.Mistake) {
            let (line, hash) = try LedgerLine.parse(bytes)
            add(line, hash)
        } catch {
            throw LedgerDamage(line: number, error == .isDamaged ? .isDamaged : .isNoLine)
        }
    }

    private mutating func readHeader(_ bytes: ArraySlice<UInt8>) throws(LedgerDamage) {
        if bytes.elementsEqual("\(LedgerLine.header) \(Self.root)".utf8) { return addHeader() }
        // A header of another format is right in itself.
        let name = "kex-ledger ".utf8
        guard bytes.count < LedgerLine.maximumLength, bytes.starts(with: name) else {
            throw LedgerDamage(line: 1, .isNoLedger)
        }
        guard let (rest, _) = LedgerLine.checked(bytes) else { throw LedgerDamage(line: 1, .isDamaged) }
        throw LedgerDamage(line: 1, .hasOtherFormat(String(decoding: rest.dropFirst(name.count), as: UTF8.self)))
    }

    /// A line that was cut short is the beginning of one. What goes on behind a whole line was not cut short: its line
    /// feed has become something else.
    private mutating func readTail(_ bytes: ArraySlice<UInt8>) throws(LedgerDamage) -> Tail {
        let number = lineCount + 1
        if number == 1 {
            let header = Array("\(LedgerLine.header) \(Self.root)".utf8)
            if bytes.elementsEqual(header) {
                addHeader()
                return .lacksLineFeed
            }
            guard header.starts(with: bytes) else { throw LedgerDamage(line: 1, .isNoLedger) }
            return .unfinished(bytes.count)
        }
        if LedgerLine.checked(bytes) != nil {
            try readLine(bytes)
            return .lacksLineFeed
        }
        // A disk that was cut off may have kept the length, and zeros for the bytes.
        guard bytes.count < LedgerLine.maximumLength, LedgerLine.checked(bytes.dropLast()) == nil,
            bytes.allSatisfy({ (0x20...0x7e).contains($0) || $0 == 0 })
        else { throw LedgerDamage(line: number, .isDamaged) }
        return .unfinished(bytes.count)
    }
}

/// The first line of a ledger that cannot be right.
public struct LedgerDamage: Error, Hashable, Sendable {
    /// From 1.
    public let line: Int
    public let reason: Reason

    public enum Reason: Hashable, Sendable {
        /// It is the first line, and that of no ledger.
        case isNoLedger
        /// The number of the format, which this program does not know.
        case hasOtherFormat(String)
        /// It does not fit its hash: a byte has changed, or is missing.
        case isDamaged
        /// It fits its hash, and says nothing that this program understands.
        case isNoLine
        /// The line that it was written after is not there: lines were removed.
        case comesAfterNone
        /// It is a mark of git, for a merge that is not finished.
        case conflictMarks
    }

    init(line: Int, _ reason: Reason) {
        self.line = line
        self.reason = reason
    }
}

extension LedgerDamage: CustomStringConvertible {
    /// Without the line.
    public var text: String {
        switch reason {
        case .isNoLedger: "this is no ledger of kex"
        case .hasOtherFormat(let number): "format \(number) is of another version of kex"
        case .isDamaged: "damaged: it does not fit the check at its end"
        case .isNoLine: "not a line that this version of kex knows"
        case .comesAfterNone: "the line that it was written after is missing"
        case .conflictMarks: "a merge is not finished; kex-net allocate --rebase takes the lines of both sides"
        }
    }

    public var description: String { "line \(line): \(text)" }
}
