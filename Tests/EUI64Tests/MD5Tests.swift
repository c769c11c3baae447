import Testing

@testable import EUI64

@Suite("MD5") struct MD5Tests {
    @Test(
        "gives the digests of RFC 1321, section A.5, as far as they fit one block, and those of md5sum at the edges",
        arguments: [
            ("", "d41d8cd98f00b204e9800998ecf8427e"),
            ("a", "0cc175b9c0f1b6a831c399e269772661"),
            ("abc", "900150983cd24fb0d6963f7d28e17f72"),
            ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
            ("abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b"),
            (String(repeating: "x", count: 54), "61ea0974c662328da964d977a8253873"),
            (String(repeating: "x", count: 55), "04364420e25c512fd958a70738aa8f72"),
        ]
    )
    func vectors(text: String, digest: String) {
        let hexadecimal = MD5.digest(Array(text.utf8)).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        #expect(hexadecimal == digest)
    }

    @Test("takes 55 bytes and not one more")
    func limit() async {
        #expect(MD5.maximumMessage == 55)
        await #expect(processExitsWith: .failure) { _ = MD5.digest([UInt8](repeating: 0, count: 56)) }
    }
}
