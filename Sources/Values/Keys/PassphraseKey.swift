internal import CSodium
public import Secrets

/// What it costs to derive a key from a passphrase, for us and for whoever guesses. Source: RFC 9106, section 3.1.
public struct DerivationCost: Hashable, Sendable {
    /// How often the memory is gone through.
    public let passes: UInt32
    /// Memory in bytes; whole KiB count.
    public let memory: Int

    /// Ranges of what libsodium takes. It always works on one lane.
    public static let passRange: ClosedRange<UInt32> = 1...UInt32.max
    public static let memoryRange = 8192...(1 << 41)

    /// - Returns: `nil` if a number is out of its range.
    public init?(passes: UInt32, memory: Int) {
        guard Self.passRange.contains(passes), Self.memoryRange.contains(memory) else { return nil }
        self.passes = passes
        self.memory = memory
    }

    private init(_ passes: UInt32, _ memory: Int) {
        self.passes = passes
        self.memory = memory
    }

    /// For somebody who waits: 64 MiB, some tenths of a second. Source: `crypto_pwhash_argon2id_*_INTERACTIVE`.
    public static let interactive = DerivationCost(2, 64 << 20)
    /// For a key that is made once: 256 MiB. Source: `crypto_pwhash_argon2id_*_MODERATE`.
    public static let moderate = DerivationCost(3, 256 << 20)
}

extension SymmetricKey {
    /// Length of a salt in bytes.
    public static let saltLength = 16

    /// A new salt, which is no secret.
    public static func salt() -> [UInt8] { Sodium.randomBytes(saltLength) }

    /// Derives a key from a passphrase: Argon2id. It takes the time and the memory of `cost`.
    ///
    /// - Parameter salt: ``saltLength`` bytes, others for each passphrase.
    /// - Throws: ``KeyError/noMemory(_:)``.
    public init(passphrase: SecretBytes, salt: [UInt8], cost: DerivationCost) throws(KeyError) {
        precondition(salt.count == Self.saltLength, "a salt has 16 bytes")
        Sodium.start()
        var bytes = [UInt8](repeating: 0, count: Self.length)
        defer { SecretBytes.wipe(&bytes) }
        let count = passphrase.count
        let result = unsafe passphrase.withBytes { passphrase in
            unsafe passphrase.withMemoryRebound(to: CChar.self, capacity: count) { passphrase in
                unsafe crypto_pwhash_argon2id(
                    &bytes,
                    UInt64(Self.length),
                    passphrase,
                    UInt64(count),
                    salt,
                    UInt64(cost.passes),
                    cost.memory,
                    crypto_pwhash_argon2id_ALG_ARGON2ID13
                )
            }
        }
        // The ranges were checked, so memory is all that can be missing.
        guard result == 0, let key = SymmetricKey(bytes: bytes) else { throw .noMemory(cost.memory) }
        self = key
    }
}
