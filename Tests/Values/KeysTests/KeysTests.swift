@testable import Keys
import Secrets
import Testing
import WireGuardTypes

private func bytes(_ hexadecimal: String) -> [UInt8] {
    let digits = Array(hexadecimal.utf8)
    return stride(from: 0, to: digits.count, by: 2).map {
        UInt8(String(decoding: digits[$0..<$0 + 2], as: UTF8.self), radix: 16)!
    }
}

private func text(_ hexadecimal: String) -> String { "\(PublicKey(bytes: bytes(hexadecimal).span)!)" }

@Suite("X25519") struct X25519Tests {
    /// Source: RFC 7748, section 6.1.
    private let alice = PrivateKey(bytes: bytes("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"))!
    private let bob = PrivateKey(bytes: bytes("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"))!

    @Test("makes the public keys and the shared secret of RFC 7748")
    func vectors() throws {
        #expect(
            alice.publicKey.bytes == bytes("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")
        )
        #expect(bob.publicKey.bytes == bytes("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"))
        let shared = try alice.sharedSecret(with: bob.publicKey)
        #expect(shared.bytes.copy == bytes("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"))
        #expect(try bob.sharedSecret(with: alice.publicKey) == shared)
    }

    @Test("refuses public keys whose secret everybody knows", arguments: [0, 1] as [UInt8])
    func smallOrder(first: UInt8) {
        let key = PublicKey(bytes: ([first] + [UInt8](repeating: 0, count: 31)).span)!
        #expect(throws: KeyError.weakPublicKey) { try alice.sharedSecret(with: key) }
    }

    @Test("makes a new key each time") func newKeys() { #expect(PrivateKey().publicKey != PrivateKey().publicKey) }
}

@Suite("Ed25519") struct Ed25519Tests {
    /// Source: RFC 8032, section 7.1, tests 1 to 3.
    private static let vectors = [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe2465"
                + "5141438e7a100b"
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb0"
                + "0d291612bb0c00"
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc0"
                + "27beceea1ec40a"
        ),
    ]

    @Test("signs and verifies as RFC 8032 does", arguments: vectors)
    func signing(seed: String, known: String, message: String, signature: String) throws {
        let key = try #require(SigningKey(text: text(seed)))
        #expect("\(key.publicKey)" == text(known))
        #expect(key.signature(of: bytes(message)) == bytes(signature))
        let other = try #require(VerificationKey(text: text(known)))
        #expect(other == key.publicKey && other.verifies(bytes(signature), of: bytes(message)))
    }

    @Test("believes nothing else")
    func forgeries() {
        let key = SigningKey()
        let signature = key.signature(of: [1, 2, 3])
        #expect(!key.publicKey.verifies(signature, of: [1, 2]))
        #expect(!SigningKey().publicKey.verifies(signature, of: [1, 2, 3]))
        for index in [0, 31, 32, 63] {
            var other = signature
            other[index] ^= 1
            #expect(!key.publicKey.verifies(other, of: [1, 2, 3]))
        }
        #expect(!key.publicKey.verifies([], of: [1, 2, 3]))
        #expect(!key.publicKey.verifies(signature + [0], of: [1, 2, 3]))
    }
}

@Suite("XChaCha20-Poly1305") struct SymmetricKeyTests {
    @Test("seals as draft-irtf-cfrg-xchacha-03, appendix A.3.1, does")
    func vector() throws {
        let key = SymmetricKey(bytes: 0x80...0x9f)!
        let message = Array(
            "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it."
                .utf8
        )
        let authenticated = bytes("50515253c0c1c2c3c4c5c6c7")
        let nonce = Array(0x40...0x57) as [UInt8]
        let sealed = bytes(
            "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb"
                + "96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff921f9664c97637da9768812f615c68b13b52e"
                + "c0875924c1c7987947deafd8780acf49"
        )
        #expect(key.seal(message, nonce: nonce, authenticating: authenticated) == sealed)
        #expect(try key.open(sealed, nonce: nonce, authenticating: authenticated) == message)
        #expect(try key.open(nonce + sealed, authenticating: authenticated) == message)
    }

    @Test("opens nothing that was changed, cut or sealed for something else")
    func forgeries() throws {
        let key = SymmetricKey()
        let sealed = key.seal([1, 2, 3], authenticating: [7])
        #expect(try key.open(sealed, authenticating: [7]) == [1, 2, 3])
        #expect(sealed.count == SymmetricKey.nonceLength + 3 + SymmetricKey.tagLength)
        #expect(key.seal([1, 2, 3], authenticating: [7]) != sealed, "a nonce of its own")
        #expect(throws: KeyError.notAuthentic) { try key.open(sealed) }
        #expect(throws: KeyError.notAuthentic) { try SymmetricKey().open(sealed, authenticating: [7]) }
        for count in 0..<sealed.count {
            #expect(throws: KeyError.notAuthentic) { try key.open(Array(sealed[..<count]), authenticating: [7]) }
        }
        for index in sealed.indices {
            var other = sealed
            other[index] ^= 1
            #expect(throws: KeyError.notAuthentic) { try key.open(other, authenticating: [7]) }
        }
        #expect(try key.open(key.seal([])) == [])
    }
}

@Suite("BLAKE2b") struct KeyedHashTests {
    private let secret = SharedSecret(bytes: 0...31)!
    private let alice = PublicKey(bytes: ([UInt8](32...63)).span)!
    private let bob = PublicKey(bytes: ([UInt8](64...95)).span)!
    private let nonce = Array(0x40...0x57) as [UInt8]
    private let none: [UInt8] = []
    private let zeros = [UInt8](repeating: 0, count: 200)

    /// By `hashlib.blake2b(label + sender + receiver, key=secret, digest_size=32)` of Python.
    @Test("derives the keys of a pair that another implementation does, one for each use and direction")
    func derivation() throws {
        func derived(_ label: String, _ sender: PublicKey, _ receiver: PublicKey) -> SymmetricKey {
            SymmetricKey(deriving: label, from: secret, sender: sender, receiver: receiver)
        }
        let vectors = [
            ("kex-link message 1", alice, bob, "bb026ad68a6c0c72fb18f5d250c0b1c17f30e1763631a202193f93f171f9e8a5"),
            ("kex-link message 1", bob, alice, "2c9cd97903599081d9fc5b143e44daa49e280c496fd6d471659ffb94e59c1444"),
            ("kex-link probe 1", alice, bob, "4656b79afeecd3311f5c3b359ead1a5cd667f2186e961a8f84389eae5f502765"),
            ("kex-link probe 1", bob, alice, "f1bf725e2986bf56ee91a330e2c0d63fe2deed12bd41bfde874aa636879eb86f"),
        ]
        for (label, sender, receiver, key) in vectors {
            #expect(derived(label, sender, receiver) == SymmetricKey(bytes: bytes(key)))
        }
    }

    /// By `hashlib.blake2b(message, key=key, digest_size=8)` of Python, and 4.
    @Test("makes the short hashes that another implementation does")
    func shortHashes() throws {
        #expect(
            (alice.hash64(of: nonce.span), alice.hash64(of: none.span)) == (
                0x8c05_73c5_b01b_e048, 0x66b3_12cb_f8c8_64b9
            )
        )
        let key = SymmetricKey(deriving: "kex-link probe 1", from: secret, sender: alice, receiver: bob)
        #expect((key.hash32(of: nonce.span), key.hash32(of: zeros.span)) == (0xdea0_9b78, 0xb15c_0b81))
    }

    @Test("takes a secret of 32 bytes only", arguments: [0, 31, 33])
    func length(count: Int) { #expect(SharedSecret(bytes: [UInt8](repeating: 1, count: count)) == nil) }
}

@Suite("Argon2id") struct Argon2idTests {
    /// Passphrase, salt and numbers of RFC 9106, section 5.3, but on one lane, without secret and associated data,
    /// which libsodium does not have; by OpenSSL 3, which makes that section's own tag.
    @Test("derives what another implementation does")
    func vectors() throws {
        let cost = try #require(DerivationCost(passes: 3, memory: 32 << 10))
        let key = try SymmetricKey(
            passphrase: SecretBytes([UInt8](repeating: 1, count: 32)),
            salt: [UInt8](repeating: 2, count: 16),
            cost: cost
        )
        #expect(key == SymmetricKey(bytes: bytes("30e0b44b7e23423b7282859ea36f02825b5828dde3c25f124d59d42d7235e132")))
        let least = try #require(DerivationCost(passes: 1, memory: 8192))
        #expect(
            try SymmetricKey(passphrase: SecretBytes([]), salt: Array(0...15), cost: least)
                == SymmetricKey(bytes: bytes("31ed41e2d73f27fdfe4eb4bec651341e58ba43477051c6fe4adad735d82ee08a"))
        )
    }

    @Test("has costs that libsodium takes, and says when there is no memory")
    func costs() {
        #expect(DerivationCost(passes: 0, memory: 8192) == nil)
        #expect(DerivationCost(passes: 1, memory: 8191) == nil)
        let memory = DerivationCost.memoryRange.upperBound
        #expect(throws: KeyError.noMemory(memory)) {
            try SymmetricKey(
                passphrase: SecretBytes([1]),
                salt: SymmetricKey.salt(),
                cost: DerivationCost(passes: 1, memory: memory)!
            )
        }
    }
}

@Suite("No secret") struct SecretTests {
    /// All secrets that there are, each of the bytes 0xa1, of which a listing says 161 or a1.
    private static let secrets: [any Sendable] = {
        let bytes = [UInt8](repeating: 0xa1, count: 32)
        return [
            SecretBytes(bytes), PrivateKey(bytes: bytes)!, PresharedKey(bytes: bytes)!, SymmetricKey(bytes: bytes)!,
            SigningKey(text: "\(PublicKey(bytes: bytes.span)!)")!, SharedSecret(bytes: SecretBytes(bytes)),
        ]
    }()

    @Test("is printed, by itself, in something else, or by a debugger's means")
    func printing() {
        for secret in Self.secrets {
            var dumped = ""
            dump(secret, to: &dumped)
            dump(["key": secret], to: &dumped)
            let text = "\(secret)\(String(reflecting: secret))\([secret])\(Optional(secret) as Any)\(dumped)"
            for part in ["161", "a1", "oaGh"] { #expect(!text.lowercased().contains(part.lowercased()), "\(text)") }
            #expect(Mirror(reflecting: secret).children.isEmpty)
        }
        #expect("\(PrivateKey(bytes: 0...31)!)" == "PrivateKey")
    }

    @Test("is equal to another, and each byte makes a difference")
    func equality() {
        let bytes = Array(0...31) as [UInt8]
        #expect(SecretBytes(bytes) == SecretBytes(bytes))
        #expect(SecretBytes(bytes) != SecretBytes(bytes.dropLast()))
        for index in bytes.indices {
            var other = bytes
            other[index] ^= 0x80
            #expect(SecretBytes(bytes) != SecretBytes(other))
        }
    }

    @Test("stays where it was, once it is wiped")
    func wiping() {
        var bytes = Array(0...31) as [UInt8]
        SecretBytes.wipe(&bytes)
        #expect(bytes == [UInt8](repeating: 0, count: 32))
    }
}
