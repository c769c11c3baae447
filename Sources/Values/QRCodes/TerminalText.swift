extension QRCode {
    /// The code with its border for a terminal: two modules one above the other in each character, which is about twice as
    /// high as wide. Light is white and dark is black, whatever colours the terminal has, for many cameras do not read a
    /// code whose colours are the other way round.
    public var terminalText: String {
        let range = -Self.border..<width + Self.border
        var text = ""
        for row in stride(from: range.lowerBound, to: range.upperBound, by: 2) {
            // Source: ECMA-48, section 8.3.117: select graphic rendition; and its bright colours, which terminals add.
            text += "\u{1b}[97;40m"
            for column in range {
                // The last line of an odd number has only a half.
                switch (isDark(row: row, column: column), isDark(row: row + 1, column: column)) {
                case (false, false): text += "█"
                case (false, true): text += "▀"
                case (true, false): text += "▄"
                case (true, true): text += " "
                }
            }
            text += "\u{1b}[0m\n"
        }
        return text
    }
}
