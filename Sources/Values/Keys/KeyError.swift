/// Why something could not be done with a key.
public enum KeyError: Error, Hashable, Sendable {
    /// An exchange with this public key would make a secret that everybody knows. Source: RFC 7748, section 6.1.
    case weakPublicKey
    /// What was sealed was changed, or was sealed with another key, another nonce or other authenticated bytes.
    case notAuthentic
    /// There is not the memory that the derivation of a key asks for, in bytes.
    case noMemory(Int)
}

extension KeyError: CustomStringConvertible {
    /// One line without anything of a key.
    public var description: String {
        switch self {
        case .weakPublicKey: "cannot agree on a secret: the public key is of small order"
        case .notAuthentic: "cannot open what was sealed: it was changed, or is under another key"
        case .noMemory(let bytes): "cannot derive a key: no \(bytes) bytes of memory"
        }
    }
}
