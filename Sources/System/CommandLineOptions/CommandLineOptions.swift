/// The options of a program: `--name VALUE`, `--name=VALUE` and `--name`. There is no other kind of argument.
///
/// For the services, which must not depend on Foundation; swift-argument-parser does.
public struct CommandLineOptions: Sendable {
    /// One option that a program knows.
    public struct Option: Hashable, Sendable {
        /// Without the hyphens.
        public let name: String
        /// What its value is called in the help, `nil` for an option without a value.
        public let placeholder: String?
        /// Whether it may be given several times.
        public let isRepeatable: Bool
        /// One line for the help.
        public let help: String

        public init(_ name: String, _ placeholder: String? = nil, isRepeatable: Bool = false, help: String) {
            self.name = name
            self.placeholder = placeholder
            self.isRepeatable = isRepeatable
            self.help = help
        }

        /// How it is written: `--listen ADDRESS:PORT`.
        var synopsis: String { "--\(name)\(placeholder.map { " \($0)" } ?? "")" }
    }

    /// What was given, in its order.
    private let given: [(name: String, value: String?)]

    /// Reads `arguments`, which do not have the name of the program in front.
    public init(_ arguments: some Sequence<String>, known: [Option]) throws(UsageError) {
        var given: [(name: String, value: String?)] = []
        var rest = arguments.makeIterator()
        while let argument = rest.next() {
            guard argument.hasPrefix("--") else { throw .unexpectedArgument(argument) }
            let parts = argument.dropFirst(2).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(parts[0])
            guard let option = known.first(where: { $0.name == name }) else { throw .unknownOption(name) }
            guard option.isRepeatable || !given.contains(where: { $0.name == name }) else { throw .repeated(name) }
            var value = parts.count == 2 ? String(parts[1]) : nil
            if let placeholder = option.placeholder {
                value = value ?? rest.next()
                guard value?.isEmpty == false else { throw .missingValue(name, placeholder) }
            } else if value != nil {
                throw .unexpectedValue(name)
            }
            given.append((name, value))
        }
        self.given = given
    }

    /// Whether an option was given.
    public func contains(_ name: String) -> Bool { given.contains { $0.name == name } }

    /// The value of an option that is not repeatable, `nil` if it was not given.
    public func value(_ name: String) -> String? { given.first { $0.name == name }?.value }

    /// The values of a repeatable option as `parse` reads them.
    ///
    /// - Parameter expected: what a value should be, for the error.
    public func values<Value>(
        _ name: String,
        expected: String,
        _ parse: (String) -> Value?
    ) throws(UsageError) -> [Value] {
        var values: [Value] = []
        for case (name, let text?) in given {
            guard let value = parse(text) else { throw .invalidValue(name, text, expected: expected) }
            values.append(value)
        }
        return values
    }

    /// The text for `--help`.
    ///
    /// - Parameter summary: what the program does, one line.
    public static func help(program: String, summary: String, known: [Option]) -> String {
        let width = known.map(\.synopsis.count).max() ?? 0
        let lines = known.map { option in
            "  \(option.synopsis)\(String(repeating: " ", count: width - option.synopsis.count))  \(option.help)\n"
        }
        return "Usage: \(program) [OPTION]...\n\(summary)\n\nOptions:\n\(lines.joined())"
    }
}

/// What is wrong with the arguments of a program.
public enum UsageError: Error, Hashable, Sendable, CustomStringConvertible {
    case unexpectedArgument(String)
    case unknownOption(String)
    case repeated(String)
    case missingValue(String, String)
    case unexpectedValue(String)
    case invalidValue(String, String, expected: String)

    /// What a program exits with for this. Source: EX_USAGE of `sysexits.h`.
    public static let exitStatus: Int32 = 64

    /// One line that names the option.
    public var description: String {
        switch self {
        case .unexpectedArgument(let argument): "unexpected argument \(argument)"
        case .unknownOption(let name): "unknown option --\(name)"
        case .repeated(let name): "option --\(name) is given more than once"
        case .missingValue(let name, let placeholder): "option --\(name) needs a value: --\(name) \(placeholder)"
        case .unexpectedValue(let name): "option --\(name) takes no value"
        case .invalidValue(let name, let value, let expected): "option --\(name) \(value): expected \(expected)"
        }
    }
}
