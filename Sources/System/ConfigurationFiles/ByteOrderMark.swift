/// What some editors put at the start of a text, so that its encoding can be told. It is no part of the text.
public enum ByteOrderMark {
    /// Source: RFC 3629, section 6.
    private static let utf8: [UInt8] = [0xef, 0xbb, 0xbf]
    /// Of both byte orders.
    private static let utf16: [[UInt8]] = [[0xff, 0xfe], [0xfe, 0xff]]

    /// The text without its mark.
    ///
    /// - Returns: `nil` for UTF-16, which nothing here reads.
    public static func text(in bytes: [UInt8]) -> [UInt8]? {
        if utf16.contains(where: { bytes.starts(with: $0) }) { return nil }
        return bytes.starts(with: utf8) ? Array(bytes.dropFirst(utf8.count)) : bytes
    }
}
