/// A value of a YAML document with the line at which it stands. Nothing is guessed: a scalar is its text.
struct YAMLValue: Hashable {
    enum Content: Hashable {
        /// `isPlain` if it stands without quotes. Only then can it be a number, or `true` and `false`.
        case text(String, isPlain: Bool)
        case list([YAMLValue])
        case table([YAMLEntry])
        /// Nothing at all behind a key, or `null` and `~`.
        case nothing
        /// A mistake was told already, and nothing more is said of it.
        case refused
    }

    var content: Content
    /// Counted from 1.
    var line: Int
}

/// A key with its value.
struct YAMLEntry: Hashable {
    var key: String
    var value: YAMLValue
    /// Of the key.
    var line: Int
}

/// What is wrong with a text as YAML, with its line.
struct YAMLMistake: Error, Hashable {
    /// `nil` for the text as a whole.
    var line: Int?
    var reason: String
}
