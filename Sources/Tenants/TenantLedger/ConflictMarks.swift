/// What git puts into a file that two sides have changed in the same place, unless it is told to take both.
public enum ConflictMarks {
    enum Kind: Hashable {
        /// `<<<<<<< HEAD`
        case ours
        /// `||||||| 1a2b3c4`: what follows was there before, which only some settings show.
        case base
        /// `=======`
        case theirs
        /// `>>>>>>> topic`
        case end
    }

    static func kind(of line: ArraySlice<UInt8>) -> Kind? {
        let kinds: [UInt8: Kind] = [
            UInt8(ascii: "<"): .ours, UInt8(ascii: "|"): .base, UInt8(ascii: "="): .theirs, UInt8(ascii: ">"): .end,
        ]
        guard let first = line.first, let kind = kinds[first], line.prefix(7).count == 7,
            line.prefix(7).allSatisfy({ $0 == first }), line.dropFirst(7).first.map({ $0 == 0x20 }) ?? true
        else { return nil }
        return kind
    }

    /// The lines of both sides, those of ours first; `nil` if there are no marks.
    public static func takingBothSides(of text: [UInt8]) -> [UInt8]? {
        var result: [UInt8] = []
        var isInBase = false
        var hasMarks = false
        var rest = text[...]
        while !rest.isEmpty {
            let end = rest.firstIndex(of: 0x0a).map { $0 + 1 } ?? rest.endIndex
            let line = rest[..<end]
            rest = rest[end...]
            if let kind = kind(of: line.last == 0x0a ? line.dropLast() : line) {
                hasMarks = true
                isInBase = kind == .base
            } else if !isInBase {
                result += line
            }
        }
        return hasMarks ? result : nil
    }
}
