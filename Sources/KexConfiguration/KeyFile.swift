public import WireGuardTypes

/// A file of WireGuard public keys, one a line. Blanks around a key, empty lines, and everything from a `#` with a
/// blank before it do not count. Keys are compared whole.
public enum KeyFile {
    /// Largest file in bytes: some 23,000 keys.
    public static let maximumSize = 1 << 20

    /// - Throws: each line that is neither; a file that cannot be read is a mistake too, because a list of prohibited
    ///   keys that is missing would let everybody in.
    public static func read(path: String) throws(ConfigurationError) -> Set<PublicKey> {
        var keys: Set<PublicKey> = []
        var mistakes: [ConfigurationMistake] = []
        let lines = try contents(ofFile: path, limit: maximumSize)
            .split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        for (index, line) in lines.enumerated() {
            let words = line.split { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") || $0 == UInt8(ascii: "\r") }
            guard let word = words.first, word.first != UInt8(ascii: "#") else { continue }
            if words.count == 1 || words[1].first == UInt8(ascii: "#"), let key = PublicKey(text: Array(word).span) {
                keys.insert(key)
            } else {
                let location = ConfigurationLocation(file: path, line: index + 1)
                mistakes.append(ConfigurationMistake(at: location, "not a WireGuard public key"))
            }
        }
        guard mistakes.isEmpty else { throw ConfigurationError(mistakes) }
        return keys
    }
}
