/// The name of a mesh domain: what a router sends in its first line.
public struct DomainName: Hashable, Sendable {
    /// Longest name in bytes. Lower than a line (64), because a configuration section `[Domain NAME]` may have 49 bytes
    /// (libinih's `MAX_SECTION`, less its NUL). Lower than a key (44), so that no name can be mistaken for one.
    public static let maximumLength = 42

    public let text: String

    /// Returns `nil` unless `bytes` are 1 to ``maximumLength`` letters, digits, dots, hyphens and underscores of ASCII.
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

extension DomainName: CustomStringConvertible {
    public var description: String { text }
}

/// The text of a name: 1 to `maximumLength` letters, digits, dots, hyphens and underscores of ASCII.
func nameText(_ bytes: Span<UInt8>, maximumLength: Int) -> String? {
    guard (1...maximumLength).contains(bytes.count) else { return nil }
    for index in 0..<bytes.count {
        switch bytes[index] {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
            continue
        default: return nil
        }
    }
    return unsafe bytes.withUnsafeBufferPointer { unsafe String(decoding: $0, as: UTF8.self) }
}
