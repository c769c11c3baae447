import Keys
import Testing

@Suite("SHA-256") struct SHA256Tests {
    /// Made with sha256sum(1).
    @Test(
        "is what the standard says",
        arguments: [
            ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ]
    )
    func vectors(message: String, digest: String) {
        let digits = SHA256.digest(of: message.utf8).map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }
        #expect(digits.joined() == digest)
    }
}
