internal import SystemCalls

/// Reads the values of entries, and collects what is wrong with them on the way.
public struct EntryReader: Sendable {
    public private(set) var mistakes: [ConfigurationMistake]

    /// - Parameter mistakes: those that were found before.
    public init(mistakes: [ConfigurationMistake] = []) { self.mistakes = mistakes }

    /// Adds one mistake.
    public mutating func fail(_ location: ConfigurationLocation, _ reason: String) {
        mistakes.append(ConfigurationMistake(at: location, reason))
    }

    /// Adds a mistake: a section has no key of this name.
    ///
    /// - Parameters:
    ///   - section: as it is written in the file, without brackets.
    ///   - known: all keys of the section, at least two.
    public mutating func failUnknownKey(_ entry: INIFile.Entry, in section: String, known: [String]) {
        let list = "\(known.dropLast().joined(separator: ", ")) and \(known.last ?? "")"
        fail(entry.location, "unknown key \(entry.key); [\(section)] has \(list)")
    }

    /// The value as `parse` reads it, or `nil` and a mistake that says what was expected.
    public mutating func value<Value>(
        of entry: INIFile.Entry,
        expected: String,
        _ parse: (String) -> Value?
    ) -> Value? {
        let value = parse(entry.value)
        if value == nil { mistakes.append(entry.mistake(expected: expected)) }
        return value
    }

    /// A path that begins with a slash.
    public mutating func absolutePath(of entry: INIFile.Entry) -> String? {
        value(of: entry, expected: "an absolute path") { $0.hasPrefix("/") ? $0 : nil }
    }

    /// An absolute path that fits into the address of a Unix socket.
    public mutating func socketPath(of entry: INIFile.Entry) -> String? {
        value(of: entry, expected: "an absolute path of at most \(SocketAddress.maximumPathLength) bytes") {
            $0.hasPrefix("/") && SocketAddress(path: $0) != nil ? $0 : nil
        }
    }

    /// A length of time, as ``ConfiguredDuration`` reads it.
    public mutating func duration(of entry: INIFile.Entry, in range: ClosedRange<Duration>) -> Duration? {
        let limits = [range.lowerBound, range.upperBound].map(ConfiguredDuration.text(of:))
        return value(of: entry, expected: "a time from \(limits[0]) to \(limits[1]), such as 90s, 15min, 1h or 2d") {
            ConfiguredDuration.parse($0).flatMap { range.contains($0) ? $0 : nil }
        }
    }
}
