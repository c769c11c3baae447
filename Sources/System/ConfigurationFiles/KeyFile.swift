public import WireGuardTypes

/// A file of WireGuard public keys, one a line. Blanks around a key, empty lines, and everything from a `#` with a
/// blank before it do not count. Keys are compared whole.
public enum KeyFile {
    /// Largest file in bytes: some 180,000 keys. A closed domain names all its routers.
    public static let maximumSize = 1 << 23

    /// - Parameter advice: what to do if there is no such file, in words that follow a semicolon.
    /// - Throws: each line that is neither; a file that cannot be read is a mistake too, because a list of prohibited
    ///   keys that is missing would let everybody in.
    public static func read(path: String, ifMissing advice: String? = nil) throws(ConfigurationError) -> Set<PublicKey>
    {
        let bytes = try contents(ofFile: path, limit: maximumSize, ifMissing: advice)
        return Set(try read(bytes: bytes, path: path, hasNames: false).keys)
    }

    /// Reads a file in which each key may have a name behind it, of any words. Throws as ``read(path:ifMissing:)``.
    public static func readNames(
        path: String,
        ifMissing advice: String? = nil
    ) throws(ConfigurationError) -> [PublicKey: String] {
        let bytes = try contents(ofFile: path, limit: maximumSize, ifMissing: advice)
        return try read(bytes: bytes, path: path, hasNames: true)
    }

    /// Reads `bytes` as the content of `path`.
    package static func readNames(bytes: [UInt8], path: String) throws(ConfigurationError) -> [PublicKey: String] {
        try read(bytes: bytes, path: path, hasNames: true)
    }

    private static func read(
        bytes: [UInt8],
        path: String,
        hasNames: Bool
    ) throws(ConfigurationError) -> [PublicKey: String] {
        var names: [PublicKey: String] = [:]
        var mistakes: [ConfigurationMistake] = []
        let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        for (index, line) in lines.enumerated() {
            let words = line.split { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") || $0 == UInt8(ascii: "\r") }
                .prefix { $0.first != UInt8(ascii: "#") }
            guard let word = words.first else { continue }
            if hasNames || words.count == 1, let key = PublicKey(text: Array(word).span) {
                names[key] = words.dropFirst().map { String(decoding: $0, as: UTF8.self) }.joined(separator: " ")
            } else {
                let location = ConfigurationLocation(file: path, line: index + 1)
                mistakes.append(ConfigurationMistake(at: location, "not a WireGuard public key"))
            }
        }
        guard mistakes.isEmpty else { throw ConfigurationError(mistakes) }
        return names
    }
}
