internal import CINIH

/// The sections of an INI file in their order, with the line of everything, as libinih reads them.
///
/// Comments begin with `;` or `#` at the start of a line, or with a blank and `;` behind a value. Indentation means
/// nothing. A section may come more than once; whoever reads the file decides what that means.
public struct INIFile: Sendable {
    /// `KEY=VALUE`.
    public struct Entry: Hashable, Sendable {
        public let key: String
        /// Without the blanks around it.
        public let value: String
        public let location: ConfigurationLocation

        /// What to say of a value that is not what it should be.
        public func mistake(expected: String) -> ConfigurationMistake {
            // Not `contains(" #")`: that is of the library for regular expressions, 0.8 MB of each daemon.
            let hasHash = zip(value.utf8, value.utf8.dropFirst()).contains { $0 == (0x20, 0x23) }
            let hint = hasHash ? "; a comment behind a value begins with a blank and a semicolon" : ""
            return ConfigurationMistake(at: location, "\(key)=\(value): expected \(expected)\(hint)")
        }
    }

    /// `[NAME]` and what follows until the next section.
    public struct Section: Hashable, Sendable {
        public let name: String
        public let location: ConfigurationLocation
        public internal(set) var entries: [Entry]
    }

    public private(set) var sections: [Section] = []

    /// Longest line in bytes, without its line feed. Source: INI_MAX_LINE of `ini.h` is 200 and counts CR, LF and NUL.
    public static let maximumLine = 197
    /// Longest section name and longest key in bytes. libinih cuts longer ones without a word (MAX_SECTION and
    /// MAX_NAME in its source are 50 with the NUL), so they are refused here.
    public static let maximumName = 49
    /// Largest file in bytes.
    public static let maximumSize = 1 << 20

    /// Reads `path`.
    ///
    /// - Throws: every line that is not understood, or one mistake without a line if the file cannot be read.
    public init(path: String) throws(ConfigurationError) {
        try self.init(bytes: contents(ofFile: path, limit: Self.maximumSize), path: path)
    }

    /// Reads `bytes` as the content of `path`.
    public init(bytes: [UInt8], path: String) throws(ConfigurationError) {
        let reading = Reading(bytes: bytes, path: path)
        let context = unsafe Unmanaged.passUnretained(reading).toOpaque()
        // libinih pulls one line at a time through `reader` and pushes each KEY=VALUE into `handler` before it pulls
        // the next: so the line of an entry is the line last pulled. (Debian builds it without line numbers.)
        let firstBadLine = unsafe ini_parse_stream(
            { buffer, size, context in
                guard let buffer = unsafe buffer, let context = unsafe context else { return nil }
                let reading = unsafe Unmanaged<Reading>.fromOpaque(context).takeUnretainedValue()
                let room = unsafe UnsafeMutableBufferPointer(start: buffer, count: Int(size))
                return unsafe reading.nextLine(into: room) ? buffer : nil
            },
            context,
            { context, _, name, value in
                guard let context = unsafe context, let name = unsafe name, let value = unsafe value else { return 0 }
                let reading = unsafe Unmanaged<Reading>.fromOpaque(context).takeUnretainedValue()
                return unsafe reading.take(key: String(cString: name), value: String(cString: value)) ? 1 : 0
            },
            context
        )
        if firstBadLine > 0 && !reading.mistakes.contains(where: { $0.location.line == Int(firstBadLine) }) {
            reading.fail("expected [SECTION], KEY=VALUE or a comment", line: Int(firstBadLine))
        }
        guard reading.mistakes.isEmpty else { throw ConfigurationError(reading.mistakes) }
        sections = reading.sections
    }
}

/// What is kept between libinih's calls.
private final class Reading {
    private let path: String
    private var lines: ArraySlice<ArraySlice<UInt8>>
    private var line = 0
    private(set) var sections: [INIFile.Section] = []
    private(set) var mistakes: [ConfigurationMistake] = []

    init(bytes: [UInt8], path: String) {
        self.path = path
        lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)[...]
        if lines.last?.isEmpty == true { lines.removeLast() }
    }

    func fail(_ reason: String, line: Int) {
        mistakes.append(ConfigurationMistake(at: ConfigurationLocation(file: path, line: line), reason))
    }

    /// Puts the next line, its NUL behind it, into `room`, or returns `false` at the end.
    ///
    /// Leading blanks are left out, because libinih takes an indented `KEY=VALUE` for more text of the value before.
    func nextLine(into room: UnsafeMutableBufferPointer<CChar>) -> Bool {
        guard let next = lines.popFirst() else { return false }
        line += 1
        var text = next.drop { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
        if next.contains(0) || text.count > min(INIFile.maximumLine, room.count - 1) {
            fail(next.contains(0) ? "NUL byte" : "line of more than \(INIFile.maximumLine) bytes", line: line)
            text = []
        }
        noteSection(text)
        for (index, byte) in text.enumerated() { unsafe room[index] = CChar(bitPattern: byte) }
        unsafe room[text.count] = 0
        return true
    }

    /// libinih tells of a section only with its first entry; an empty one, or the same one again, would be lost.
    private func noteSection(_ text: ArraySlice<UInt8>) {
        guard text.first == UInt8(ascii: "["), let end = text.firstIndex(of: UInt8(ascii: "]")) else { return }
        let name = text[(text.startIndex + 1)..<end]
        if name.count > INIFile.maximumName {
            fail("section name of more than \(INIFile.maximumName) bytes", line: line)
        }
        let location = ConfigurationLocation(file: path, line: line)
        sections.append(INIFile.Section(name: String(decoding: name, as: UTF8.self), location: location, entries: []))
    }

    func take(key: String, value: String) -> Bool {
        if key.utf8.count >= INIFile.maximumName {
            fail("key of \(INIFile.maximumName) bytes or more", line: line)
        } else if sections.isEmpty {
            fail("\(key) stands before the first section", line: line)
        } else {
            let location = ConfigurationLocation(file: path, line: line)
            sections[sections.count - 1].entries.append(INIFile.Entry(key: key, value: value, location: location))
        }
        return true
    }
}
