/// Inputs of one fuzz target as text, so that a person can read them and a diff shows what came and went.
///
/// A line is an input. Printable ASCII stands for itself, but for the backslash; `\n`, `\t` and `\\` are as in C, and
/// every other byte is `\x` and two hexadecimal digits. A blank at either end of a line and a `#` at its beginning are
/// written that way too: editors take the first, and lines that begin with `#` are comments. The empty input is not
/// written: every run tries it.
public enum CorpusText {
    /// - Throws: the number of the first line, from 1, that is no input.
    public static func inputs(in text: [UInt8]) throws(MalformedLine) -> [[UInt8]] {
        var inputs: [[UInt8]] = []
        for (index, line) in text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated() {
            guard let first = line.first, first != UInt8(ascii: "#") else { continue }
            guard let input = input(in: line) else { throw MalformedLine(number: index + 1) }
            inputs.append(input)
        }
        return inputs
    }

    /// The inputs in the order of their bytes, each once, whatever order they come in.
    public static func text(of inputs: some Sequence<[UInt8]>) -> [UInt8] {
        Set(inputs).filter { !$0.isEmpty }.sorted { $0.lexicographicallyPrecedes($1) }
            .flatMap { line(of: $0) + [newline] }
    }

    /// A line that does not say an input.
    public struct MalformedLine: Error, Hashable {
        /// From 1.
        public let number: Int

        public init(number: Int) { self.number = number }
    }

    private static let newline = UInt8(ascii: "\n")
    private static let backslash = UInt8(ascii: "\\")
    private static let digits = Array("0123456789abcdef".utf8)

    private static func line(of input: [UInt8]) -> [UInt8] {
        var line: [UInt8] = []
        for (index, byte) in input.enumerated() {
            let isAtEnd = index == 0 || index == input.count - 1
            switch byte {
            case newline: line += [backslash, UInt8(ascii: "n")]
            case UInt8(ascii: "\t"): line += [backslash, UInt8(ascii: "t")]
            case backslash: line += [backslash, backslash]
            case UInt8(ascii: " ") where !isAtEnd, UInt8(ascii: "#") where index > 0: line.append(byte)
            case 0x21...0x7e where byte != UInt8(ascii: "#"): line.append(byte)
            default: line += [backslash, UInt8(ascii: "x"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return line
    }

    private static func input(in line: ArraySlice<UInt8>) -> [UInt8]? {
        var input: [UInt8] = []
        var rest = line
        while let byte = rest.popFirst() {
            guard byte == backslash else {
                guard (0x20...0x7e).contains(byte) else { return nil }
                input.append(byte)
                continue
            }
            switch rest.popFirst() {
            case UInt8(ascii: "n"): input.append(newline)
            case UInt8(ascii: "t"): input.append(UInt8(ascii: "\t"))
            case backslash: input.append(backslash)
            case UInt8(ascii: "x"):
                guard let high = rest.popFirst().flatMap({ digits.firstIndex(of: $0) }),
                    let low = rest.popFirst().flatMap({ digits.firstIndex(of: $0) })
                else { return nil }
                input.append(UInt8(high << 4 | low))
            default: return nil
            }
        }
        return input
    }
}
