/// Why nftables did not do what was wanted of it.
public struct FirewallError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What was being done, in words that follow "cannot".
    public let operation: String
    /// What it was done to: a table, an interface.
    public let object: String
    /// The library's first line, without its place: its errno is in there as words only.
    public let reason: String

    public init(_ operation: String, _ object: String, reason: String) {
        self.operation = operation
        self.object = object
        self.reason = reason
    }

    public var description: String { "cannot \(operation) \(object): \(reason)" }
}
