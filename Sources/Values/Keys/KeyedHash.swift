internal import CSodium
internal import Secrets
public import WireGuardTypes

// BLAKE2b with a key. Source: RFC 7693, section 2.9. Its result depends on the length that is asked for, so a short one
// is not the beginning of a long one.

extension SymmetricKey {
    /// Makes a key for one use and one direction out of what two members have in common: BLAKE2b-256, keyed with the
    /// secret, of the label and the two public keys.
    ///
    /// - Parameter label: ASCII, another for each use.
    public init(deriving label: String, from secret: SharedSecret, sender: PublicKey, receiver: PublicKey) {
        var message = Array(label.utf8)
        sender.append(to: &message)
        receiver.append(to: &message)
        var bytes = [UInt8](repeating: 0, count: Self.length)
        defer { SecretBytes.wipe(&bytes) }
        unsafe secret.bytes.withBytes { key in
            unsafe bytes.withUnsafeMutableBytes { bytes in
                unsafe KeyedHash.hash(message.span, key: key, count: SharedSecret.length, into: bytes)
            }
        }
        guard let key = SymmetricKey(bytes: bytes) else { preconditionFailure("a key has 32 bytes") }
        self = key
    }

    /// BLAKE2b-32 of `message`, keyed with this key, as a number, most significant byte first.
    public func hash32(of message: Span<UInt8>) -> UInt32 {
        unsafe withKeyBytes { unsafe KeyedHash.number(of: message, key: $0, count: Self.length) }
    }
}

extension PublicKey {
    /// BLAKE2b-64 of `message`, keyed with this key, as a number, most significant byte first. Whoever knows the public
    /// key can make it.
    public func hash64(of message: Span<UInt8>) -> UInt64 {
        // No array: strangers can make us do this.
        let key = InlineArray<32, UInt8> { self[$0] }
        return unsafe key.span.withUnsafeBufferPointer {
            unsafe KeyedHash.number(of: message, key: $0.baseAddress!, count: Self.length)
        }
    }
}

enum KeyedHash {
    fileprivate static func number<Number: FixedWidthInteger>(
        of message: Span<UInt8>,
        key: UnsafePointer<UInt8>,
        count: Int
    ) -> Number {
        var number: Number = 0
        unsafe withUnsafeMutableBytes(of: &number) { unsafe hash(message, key: key, count: count, into: $0) }
        return Number(bigEndian: number)
    }

    /// - Parameters:
    ///   - count: of the key, in bytes, at most 64.
    ///   - result: 1 to 64 bytes.
    fileprivate static func hash(
        _ message: Span<UInt8>,
        key: UnsafePointer<UInt8>,
        count: Int,
        into result: UnsafeMutableRawBufferPointer
    ) {
        Sodium.start()
        let status = unsafe message.withUnsafeBufferPointer { message in
            unsafe crypto_generichash_blake2b(
                result.baseAddress!.assumingMemoryBound(to: UInt8.self),
                result.count,
                message.baseAddress,
                UInt64(message.count),
                key,
                count
            )
        }
        precondition(status == 0, "BLAKE2b takes every message, 1 to 64 bytes of result, and a key of up to 64 bytes")
    }
}
