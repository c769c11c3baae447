/// A value of a configuration that is not ours, with the line at which it stands.
struct ForeignValue: Hashable {
    enum Content: Hashable {
        /// A text, or a number as it is written.
        case text(String)
        case flag(Bool)
        case list([ForeignValue])
        case table([Entry])
        case nothing
    }

    struct Entry: Hashable {
        var key: String
        var value: ForeignValue
    }

    var content: Content
    /// Counted from 1.
    var line: Int

    init(_ content: Content, line: Int) {
        self.content = content
        self.line = line
    }

    /// What a word without quotes means in all three notations.
    init(word: String, line: Int) {
        switch word {
        case "true", "True", "TRUE": self.init(.flag(true), line: line)
        case "false", "False", "FALSE": self.init(.flag(false), line: line)
        case "null", "~", "": self.init(.nothing, line: line)
        default: self.init(.text(word), line: line)
        }
    }
}

/// What is not understood, with its line.
struct ForeignMistake: Error, Hashable {
    var line: Int
    var reason: String

    init(_ line: Int, _ reason: String) {
        self.line = line
        self.reason = reason
    }
}

/// How deep values may lie in each other. The field's files need four.
let maximumDepth = 16
