import NetworkAddresses
import Testing
import WireGuardTypes

@testable import LinkFacts

@Suite("Addresses of members") struct MemberAddressTests {
    @Test("follow from their keys as in the field")
    func vectors() {
        #expect(Node.c.publicKey.memberAddress == Node.c.address)
        #expect(Node.a.publicKey.memberAddress == Node.a.address)
        #expect(Node.b.publicKey.memberAddress == Node.b.address)
        let key = PublicKey(text: "6X/iz1GyW9euj9JIdP7PUl14eoWyoQiAa+BDTB38GhE=")!
        #expect("\(key.memberAllowedIP)" == "fe80::afec:ee83:716b:51ac/128")
        #expect("\(key.memberInterfaceAddress)" == "fe80::afec:ee83:716b:51ac/64")
        #expect(key.memberAllowedIP != key.memberInterfaceAddress)
        #expect(key.memberAllowedIP != Node.a.publicKey.memberAllowedIP)
    }

    /// Source: RFC 3174, section 7.3, and FIPS 180-4's example of the empty message; the longest by sha1sum(1).
    @Test("are digests of SHA-1")
    func digests() {
        let digests: [(String, String)] = [
            ("", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
            ("abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (String(repeating: "a", count: 55), "c1c8bbdc22796e28c0e15163d20899b65621d65a"),
        ]
        for (message, digest) in digests { #expect(hexadecimal(SHA1.digest(Array(message.utf8))) == digest) }
    }
}
