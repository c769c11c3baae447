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

@Suite("Private keys") struct PrivateKeyTests {
    @Test("are read as public ones are")
    func reading() {
        #expect(PrivateKey(text: "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")?.bytes == Array(0...31))
    }

    @Test("do not describe themselves as text")
    func description() throws {
        let key = try #require(PrivateKey(bytes: Array(0...31)))
        #expect(!(key is any CustomStringConvertible))
    }
}
