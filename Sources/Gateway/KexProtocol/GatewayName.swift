/// The name of a gateway among the others: what the field calls a worker, which is its machine's host name.
public struct GatewayName: Hashable, Sendable {
    /// Longest name in bytes. Source: HOST_NAME_MAX of `limits.h`.
    public static let maximumLength = 64

    public let text: String

    /// Returns `nil` unless `bytes` are 1 to ``maximumLength`` letters, digits, dots, hyphens and underscores of ASCII:
    /// so a name is one level of a topic, and no wildcard.
    public init?(bytes: Span<UInt8>) {
        guard let text = nameText(bytes, maximumLength: Self.maximumLength) else { return nil }
        self.text = text
    }

    /// Checks `text` as ``init(bytes:)`` does.
    public init?(_ text: some StringProtocol) {
        let bytes = Array(text.utf8)
        self.init(bytes: bytes.span)
    }
}

extension GatewayName: CustomStringConvertible {
    public var description: String { text }
}
