/// A Curve25519 public key: the name of a WireGuard peer.
public struct PublicKey: Hashable, Sendable {
    /// Length of the text form in bytes: 32 bytes in base64 with padding. Source: RFC 4648, section 4.
    public static let textLength = 44
    /// Length of the key itself in bytes. Source: `WG_KEY_LEN` of `linux/wireguard.h`.
    public static let length = 32

    // Four words and not an array: a key costs no allocation and compares in four steps.
    private let a, b, c, d: UInt64

    /// Takes the key from `bytes`, or returns `nil` if they are not ``length``.
    public init?(bytes: Span<UInt8>) {
        guard bytes.count == Self.length else { return nil }
        func word(_ start: Int) -> UInt64 { (start..<start + 8).reduce(0) { $0 << 8 | UInt64(bytes[$1]) } }
        a = word(0)
        b = word(8)
        c = word(16)
        d = word(24)
    }

    /// Reads the text form, exactly: 43 characters of the standard alphabet and one `=`, the last character with its
    /// two unused bits zero. Returns `nil` for everything else, white space and other spellings of the same bytes
    /// included: addresses are hashed from the *text*, so a second spelling would be a second router.
    public init?(text: Span<UInt8>) {
        guard text.count == Self.textLength, text[43] == UInt8(ascii: "=") else { return nil }
        // Whole words, and the one that is being filled.
        var words = InlineArray<4, UInt64>(repeating: 0)
        var wholeWords = 0
        var (word, room): (UInt64, UInt64) = (0, 64)
        for index in 0..<43 {
            guard let sextet = Self.sextet(text[index]).map(UInt64.init) else { return nil }
            if room >= 6 {
                word = word << 6 | sextet
                room -= 6
            } else {
                let rest = 6 - room
                words[wholeWords] = word << room | sextet >> rest
                wholeWords += 1
                (word, room) = (sextet & (1 << rest - 1), 64 - rest)
            }
        }
        // 43 sextets are 258 bits: the 256 of the key and two that must be zero.
        guard word == 0 else { return nil }
        (a, b, c, d) = (words[0], words[1], words[2], words[3])
    }

    /// Reads the text form as ``init(text:)-(Span<UInt8>)`` does.
    public init?(text: some StringProtocol) {
        let bytes = Array(text.utf8)
        self.init(text: bytes.span)
    }

    /// Byte `index` of the key, 0 to 31.
    public subscript(index: Int) -> UInt8 {
        let word =
            switch index >> 3 {
            case 0: a
            case 1: b
            case 2: c
            default: d
            }
        return UInt8(truncatingIfNeeded: word >> (56 - 8 * UInt64(index & 7)))
    }

    /// The 32 bytes of the key.
    public var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.length)
        append(to: &bytes)
        return bytes
    }

    /// Adds the 32 bytes of the key.
    public func append(to bytes: inout [UInt8]) {
        let words = (a.bigEndian, b.bigEndian, c.bigEndian, d.bigEndian)
        unsafe withUnsafeBytes(of: words) { unsafe bytes.append(contentsOf: $0) }
    }

    /// The text form as ASCII: ``textLength`` bytes of canonical base64.
    public var textBytes: [UInt8] {
        var text: [UInt8] = []
        // One more than its length, because the line feed of the digest comes behind it.
        text.reserveCapacity(Self.textLength + 1)
        var words = (a, b, c, d)
        for _ in 0..<42 {
            text.append(Self.alphabet[Int(words.0 >> 58)])
            words.0 = words.0 << 6 | words.1 >> 58
            words.1 = words.1 << 6 | words.2 >> 58
            words.2 = words.2 << 6 | words.3 >> 58
            words.3 <<= 6
        }
        // Four bits are left, and two that are zero.
        text.append(Self.alphabet[Int(words.0 >> 58)])
        text.append(UInt8(ascii: "="))
        return text
    }

    /// Whether a router could have this key. An X25519 public key is a number below p = 2^255 - 19, least significant
    /// byte first, and WireGuard compares the bytes: a spelling from p on never completes a handshake. Nor does a key
    /// of small order, because every shared secret with it is zero (RFC 7748, section 6.1). WireGuard takes both as
    /// peers (kernel and wireguard-go, measured), which would then hold an address for nobody.
    public var isUsable: Bool {
        guard self[31] & 0x80 == 0 else { return false }
        // p is ed, 30 times ff, 7f.
        if self[31] == 0x7f, (1..<31).allSatisfy({ self[$0] == 0xff }), self[0] >= 0xed { return false }
        return !Self.smallOrder.contains(self)
    }

    /// The points of small order below p: 0, 1, the two of order 8, and p - 1. The others are from p on.
    private static let smallOrder: Set<PublicKey> = {
        let texts = [
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "4Ot6fDtBuK4WVuP68Z/EatoJjeucMrH9hmIFFl9JuAA=",
            "X5yVvKNQjCSx0LFVnIPvWwREXMRYHI6G2CJO3dCfEVc=",
            "7P///////////////////////////////////////38=",
        ]
        return Set(texts.compactMap { PublicKey(text: $0) })
    }()

    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    private static func sextet(_ character: UInt8) -> UInt8? {
        switch character {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): character - UInt8(ascii: "A")
        case UInt8(ascii: "a")...UInt8(ascii: "z"): character - UInt8(ascii: "a") + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0") + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}

extension PublicKey: Comparable {
    /// By the bytes, the first one first.
    public static func < (left: Self, right: Self) -> Bool {
        (left.a, left.b, left.c, left.d) < (right.a, right.b, right.c, right.d)
    }
}

extension PublicKey: CustomStringConvertible {
    /// The text form, 44 characters.
    public var description: String { String(decoding: textBytes, as: UTF8.self) }
}
