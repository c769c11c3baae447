/// A place in a document: the keys that lead there from its top.
public struct DocumentPath: Hashable, Sendable, CustomStringConvertible {
    public enum Step: Hashable, Sendable {
        case key(String)
        /// Of a list, from 0.
        case index(Int)
    }

    public var steps: [Step]

    public init(_ steps: [Step] = []) { self.steps = steps }

    public func appending(_ key: String) -> DocumentPath { DocumentPath(steps + [.key(key)]) }
    public func appending(_ index: Int) -> DocumentPath { DocumentPath(steps + [.index(index)]) }

    /// The place that this one is in; `nil` for the top.
    public var parent: DocumentPath? { steps.isEmpty ? nil : DocumentPath(steps.dropLast()) }

    /// Whether `other` is this place, or in it.
    public func contains(_ other: DocumentPath) -> Bool { other.steps.starts(with: steps) }

    /// `networks.acme.exit.forwards[0]`; the top is the empty text.
    public var description: String {
        steps.reduce(into: "") { text, step in
            switch step {
            case .key(let key): text += text.isEmpty ? key : ".\(key)"
            case .index(let index): text += "[\(index)]"
            }
        }
    }
}

/// Something in a document that cannot stay so.
public struct DocumentMistake: Hashable, Sendable, CustomStringConvertible {
    public var path: DocumentPath
    /// What is wrong, and why that does not work.
    public var reason: String
    /// What would help.
    public var advice: String?

    public init(_ path: DocumentPath, _ reason: String, advice: String? = nil) {
        self.path = path
        self.reason = reason
        self.advice = advice
    }

    /// `REASON; ADVICE`.
    public var text: String { advice.map { "\(reason); \($0)" } ?? reason }

    public var description: String { "\(path): \(text)" }
}

/// A document that cannot be used: every mistake found.
public struct DocumentError: Error, Hashable, Sendable, CustomStringConvertible {
    public let mistakes: [DocumentMistake]

    public init(_ mistakes: [DocumentMistake]) { self.mistakes = mistakes }

    /// One line a mistake.
    public var description: String { mistakes.map(\.description).joined(separator: "\n") }
}
