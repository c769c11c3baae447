internal import Keys

/// What a line of a ledger is known by: the first 16 bytes of the SHA-256 of what is before it in the line.
///
/// Half of the digest is enough against what breaks by itself. Who may write the file can also write it anew, and no
/// length helps against that.
package struct LineHash: Hashable, Sendable, Comparable {
    private let high: UInt64
    private let low: UInt64

    /// Digits of its text.
    static let length = 32

    init(of bytes: some Collection<UInt8>) {
        let digest = SHA256.digest(of: bytes)
        high = digest[..<8].reduce(0) { $0 << 8 | UInt64($1) }
        low = digest[8..<16].reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// Reads 32 hexadecimal digits in lower case.
    init?(_ text: some Collection<UInt8>) {
        guard text.count == Self.length else { return nil }
        var (high, low) = (UInt64(0), UInt64(0))
        for byte in text {
            let digit: UInt8
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
            default: return nil
            }
            (high, low) = (high << 4 | low >> 60, low << 4 | UInt64(digit))
        }
        (self.high, self.low) = (high, low)
    }

    package static func < (one: LineHash, other: LineHash) -> Bool {
        (one.high, one.low) < (other.high, other.low)
    }
}

extension LineHash: CustomStringConvertible {
    package var description: String {
        [high, low].map { half in
            let digits = String(half, radix: 16)
            return String(repeating: "0", count: 16 - digits.utf8.count) + digits
        }.joined()
    }
}
