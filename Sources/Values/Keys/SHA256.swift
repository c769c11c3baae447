internal import CSodium

/// SHA-256. Source: FIPS 180-4.
public enum SHA256 {
    /// Length of a digest in bytes.
    public static let length = 32

    public static func digest(of message: some Collection<UInt8>) -> [UInt8] {
        Sodium.start()
        var digest = [UInt8](repeating: 0, count: length)
        precondition(length == Int(crypto_hash_sha256_BYTES))
        let bytes = Array(message)
        let status = unsafe crypto_hash_sha256(&digest, bytes, UInt64(bytes.count))
        precondition(status == 0, "SHA-256 takes every message")
        return digest
    }
}
