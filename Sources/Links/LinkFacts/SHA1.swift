/// The SHA-1 digest of a short message of one block. libsodium does not have SHA-1. It spreads keys over addresses, as
/// in the field, and nothing depends on its strength.
///
/// Source: RFC 3174.
struct SHA1 {
    /// Longest message in bytes: what fits in one 64-byte block beside the padding bit and the length.
    static let maximumMessage = 55

    /// The twenty bytes of the digest of `message`, which must not be longer than ``maximumMessage``.
    static func digest(_ message: [UInt8]) -> [UInt8] {
        precondition(message.count <= maximumMessage, "one block only")
        var words = InlineArray<80, UInt32>(repeating: 0)
        func place(_ byte: UInt8, at index: Int) { words[index >> 2] |= UInt32(byte) << (24 - 8 * UInt32(index & 3)) }
        for (index, byte) in message.enumerated() { place(byte, at: index) }
        place(0x80, at: message.count)
        words[15] = UInt32(message.count * 8)
        for index in 16..<80 {
            words[index] = rotate(words[index - 3] ^ words[index - 8] ^ words[index - 14] ^ words[index - 16], 1)
        }

        let start: [UInt32] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0]
        var (a, b, c, d, e) = (start[0], start[1], start[2], start[3], start[4])
        for step in 0..<80 {
            let (mixed, constant): (UInt32, UInt32) =
                switch step / 20 {
                case 0: (b & c | ~b & d, 0x5a82_7999)
                case 1: (b ^ c ^ d, 0x6ed9_eba1)
                case 2: (b & c | b & d | c & d, 0x8f1b_bcdc)
                default: (b ^ c ^ d, 0xca62_c1d6)
                }
            let next = rotate(a, 5) &+ mixed &+ e &+ words[step] &+ constant
            (a, b, c, d, e) = (next, a, rotate(b, 30), c, d)
        }
        return zip(start, [a, b, c, d, e]).flatMap { first, last in
            [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: (first &+ last) >> UInt32($0)) }
        }
    }

    private static func rotate(_ word: UInt32, _ count: UInt32) -> UInt32 { word << count | word >> (32 - count) }
}
