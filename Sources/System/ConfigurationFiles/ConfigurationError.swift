/// A place in a configuration file.
public struct ConfigurationLocation: Hashable, Sendable, CustomStringConvertible {
    public let file: String
    /// Counted from 1; `nil` for the file as a whole.
    public let line: Int?

    public init(file: String, line: Int?) {
        self.file = file
        self.line = line
    }

    /// `FILE:LINE`, as compilers write it, so that editors can jump there.
    public var description: String { line.map { "\(file):\($0)" } ?? file }
}

/// One thing that is wrong in the configuration.
public struct ConfigurationMistake: Hashable, Sendable, CustomStringConvertible {
    public let location: ConfigurationLocation
    public let reason: String

    public init(at location: ConfigurationLocation, _ reason: String) {
        self.location = location
        self.reason = reason
    }

    public var description: String { "\(location): \(reason)" }
}

/// A configuration that cannot be used: every mistake found, in the order of the files.
public struct ConfigurationError: Error, Hashable, Sendable, CustomStringConvertible {
    public let mistakes: [ConfigurationMistake]

    public init(_ mistakes: [ConfigurationMistake]) { self.mistakes = mistakes }

    /// One line a mistake.
    public var description: String { mistakes.map(\.description).joined(separator: "\n") }
}
