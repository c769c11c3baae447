internal import CSodium

/// libsodium, which chooses its code for this processor before its first use. Any thread may call any number of times.
enum Sodium {
    static func start() { precondition(sodium_init() >= 0, "libsodium can always be started on Linux") }

    /// Bytes that nobody can foretell.
    static func randomBytes(_ count: Int) -> [UInt8] {
        start()
        var bytes = [UInt8](repeating: 0, count: count)
        unsafe randombytes_buf(&bytes, count)
        return bytes
    }
}
