/// Why the bytes of a message cannot be read.
public enum MalformedMessage: Error, Hashable, Sendable {
    /// The bytes end within a field.
    case truncated
    /// Bytes follow the last field.
    case excess
    /// A field has a value that this version does not know.
    case unknown(Field, UInt8)
    /// A delta has facts that cannot be read.
    case facts

    public enum Field: String, Hashable, Sendable {
        case version, kind, reason, origin, family, phase
    }
}

extension MalformedMessage: CustomStringConvertible {
    public var description: String {
        switch self {
        case .truncated: "message ends too early"
        case .excess: "message is too long for its kind"
        case .unknown(let field, let value): "unknown \(field.rawValue) in a message, value = \(value)"
        case .facts: "facts of a message are malformed"
        }
    }
}
