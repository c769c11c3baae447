import QRCodes
import Testing

@Suite("A QR code") struct QRCodeTests {
    @Test("takes a text up to the longest, and not an empty one")
    func length() throws {
        #expect(QRCode("") == nil)
        #expect(QRCode("a")?.width == 21)
        #expect(QRCode(String(repeating: "a", count: QRCode.maximumLength))?.width == 177)
        #expect(QRCode(String(repeating: "a", count: QRCode.maximumLength + 1)) == nil)
        // In bytes, and not in characters
        #expect(QRCode(String(repeating: "ä", count: QRCode.maximumLength / 2 + 1)) == nil)
    }

    /// Source: ISO/IEC 18004, section 6.3.3: of seven modules, with a light ring inside.
    @Test("has its three finder patterns, and nothing dark outside")
    func finders() throws {
        let code = try #require(QRCode("[Interface]"))
        let last = code.width - 7
        for (top, left) in [(0, 0), (0, last), (last, 0)] {
            for row in 0..<7 {
                for column in 0..<7 {
                    let ring = max(abs(row - 3), abs(column - 3))
                    #expect(code.isDark(row: top + row, column: left + column) == (ring != 2))
                }
            }
        }
        #expect(!code.isDark(row: -1, column: 0) && !code.isDark(row: 0, column: code.width))
        #expect(!code.isDark(row: code.width, column: 0) && !code.isDark(row: 0, column: -1))
    }

    @Test("is printed with a light border of four modules, two rows in a line")
    func text() throws {
        let code = try #require(QRCode("[Interface]"))
        let lines = code.terminalText.split(separator: "\n")
        #expect(lines.count == (code.width + 9) / 2)
        let rows = try lines.map { try #require($0.wholeMatch(of: #/\x{1b}\[97;40m([█▀▄ ]*)\x{1b}\[0m/#)).1 }
        #expect(rows.allSatisfy { $0.count == code.width + 8 && $0.hasPrefix("████") && $0.hasSuffix("████") })
        #expect(rows.prefix(2).allSatisfy { row in row.allSatisfy { $0 == "█" } })
        // The finder pattern: its edge, and the light ring below that
        #expect(rows[2].dropFirst(4).prefix(7) == " ▄▄▄▄▄ ")
    }
}
