import Testing
import WireGuardTypes

@Suite("Public keys") struct PublicKeyTests {
    /// 43 characters of `text` and the equals sign.
    private static let good = "TfxZpULgWLLg63D0Y+JAnejlFdYKNJi6C3AukoiBcyw="

    @Test(
        "survive the way through their text",
        arguments: [
            good,
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "//////////////////////////////////////////8=",
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHhg=",
        ]
    )
    func roundTrip(text: String) throws {
        let key = try #require(PublicKey(text: text))
        #expect(key.description == text)
        #expect(key.textBytes == Array(text.utf8))
        #expect(PublicKey(bytes: key.bytes.span) == key)
    }

    @Test("have the bytes that their text encodes")
    func bytes() throws {
        let counting = try #require(PublicKey(text: "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="))
        #expect(counting.bytes == Array(0...31))
        #expect((0..<32).map { counting[$0] } == Array(0...31))
    }

    @Test("are in the order of their bytes", arguments: [0, 7, 8, 15, 16, 23, 24, 31])
    func order(place: Int) throws {
        func key(_ byte: UInt8) throws -> PublicKey {
            var bytes = [UInt8](repeating: 9, count: 32)
            bytes[place] = byte
            // What comes behind does not matter.
            if place < 31 { bytes[31] = 255 - byte }
            let key = PublicKey(bytes: bytes.span)
            return try #require(key)
        }
        #expect(try key(8) < key(200))
        #expect(try !(key(200) < key(8)))
        #expect(try !(key(8) < key(8)))
    }

    @Test("take every last character that leaves the two unused bits zero, and no other")
    func lastCharacter() {
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        let taken = alphabet.filter { PublicKey(text: String(repeating: "A", count: 42) + String($0) + "=") != nil }
        #expect(taken == "AEIMQUYcgkosw048")
    }

    @Test(
        "have one spelling",
        arguments: [
            "",
            String(good.dropLast()),  // without padding
            good + "=",
            good + "\n",
            " " + good,
            good.replacing("+", with: "-"),  // the alphabet for URLs
            good.replacing("+", with: "|"),
            good.replacing("=", with: "A"),
            "TfxZpULgWLLg63D0Y+JAnejlFdYKNJi6C3AukoiBcyx=",  // an unused bit set
            "TfxZpULgWLLg63D0Y+JAnejlFdYKNJi6C3AukoiBcy==",
            "Tfx=pULgWLLg63D0Y+JAnejlFdYKNJi6C3AukoiBcyw=",
            "Tfx\0pULgWLLg63D0Y+JAnejlFdYKNJi6C3AukoiBcyw=",
            "TfxZpULgWLLg63D0Y+JAnejlFdYKNJi6C3AukoiBcé=",  // 44 bytes that are not ASCII
        ]
    )
    func refusals(text: String) {
        #expect(PublicKey(text: text) == nil)
        #expect(PrivateKey(text: text) == nil)
    }

    @Test("are 32 bytes", arguments: [31, 32, 33])
    func length(count: Int) {
        let bytes = [UInt8](repeating: 1, count: count)
        #expect((PublicKey(bytes: bytes.span) != nil) == (count == 32))
        #expect((PrivateKey(bytes: bytes) != nil) == (count == 32))
    }

    @Test("differ if any byte differs")
    func equality() {
        let zero = PublicKey(bytes: [UInt8](repeating: 0, count: 32).span)
        for index in 0..<32 {
            var bytes = [UInt8](repeating: 0, count: 32)
            bytes[index] = 1
            #expect(PublicKey(bytes: bytes.span) != zero, "byte \(index)")
        }
    }
}

@Suite("Usable public keys") struct UsableKeyTests {
    /// A number as RFC 7748 writes it: least significant byte first.
    private static func key(_ first: UInt8, _ middle: UInt8, _ last: UInt8) -> PublicKey {
        PublicKey(bytes: ([first] + [UInt8](repeating: middle, count: 30) + [last]).span)!
    }

    /// The seven of https://cr.yp.to/ecdh.html#validate, as text.
    private static let smallOrder = [
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "4Ot6fDtBuK4WVuP68Z/EatoJjeucMrH9hmIFFl9JuAA=", "X5yVvKNQjCSx0LFVnIPvWwREXMRYHI6G2CJO3dCfEVc=",
        "7P///////////////////////////////////////38=", "7f///////////////////////////////////////38=",
        "7v///////////////////////////////////////38=",
    ]

    @Test("Keys of small order are not", arguments: smallOrder)
    func order(text: String) throws { #expect(try !#require(PublicKey(text: text)).isUsable) }

    @Test("Numbers from p on are not; those below are")
    func canonical() {
        #expect(!Self.key(0xff, 0xff, 0x7f).isUsable)
        #expect(!Self.key(0x09, 0x00, 0x80).isUsable, "bit 255")
        #expect(Self.key(0xeb, 0xff, 0x7f).isUsable, "p - 2")
        #expect(Self.key(0xff, 0xff, 0x7e).isUsable)
        #expect(Self.key(0xff, 0xfe, 0x7f).isUsable)
        #expect(Self.key(9, 0, 0).isUsable, "the base point")
    }
}

@Suite("Private keys") struct PrivateKeyTests {
    @Test("are read as public ones are")
    func reading() {
        #expect(PrivateKey(text: "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")?.bytes == Array(0...31))
    }

    @Test("and preshared ones say nothing of themselves but what they are")
    func description() throws {
        #expect("\(try #require(PrivateKey(bytes: 0...31)))" == "PrivateKey")
        #expect("\(try #require(PresharedKey(bytes: 0...31)))" == "PresharedKey")
    }
}
