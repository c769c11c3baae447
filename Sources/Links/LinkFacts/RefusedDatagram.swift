public import NetworkAddresses
public import WireGuardTypes

/// Why a datagram is refused as a whole.
public enum RefusedDatagram: Error, Hashable, Sendable {
    /// More than ``WireFormat/maximumDatagram`` bytes.
    case tooLong(Int)
    /// No fact, or a group whose head is not whole.
    case malformed(MalformedFact)
    /// A well-formed fact that is not in a group.
    case unsigned(Fact)
    /// It does not come from the address of its signer.
    case address(signer: PublicKey, source: IPv6Address)
    /// The signer's key is of small order, so everybody knows the secret.
    case weakKey(PublicKey)
    /// The signer did not make the datagram for this receiver, or it was changed on its way.
    case tag(signer: PublicKey)
    /// The tag is right, and the facts are malformed.
    case facts(signer: PublicKey, MalformedFact)
}

extension RefusedDatagram: CustomStringConvertible {
    public var description: String {
        switch self {
        case .tooLong(let count): "datagram too long, length = \(count)"
        case .malformed(let reason): "\(reason)"
        case .unsigned(let fact): "fact without signature, subject = \(fact.subject)"
        case .address(let signer, let source): "signer has another address, signer = \(signer), source = \(source)"
        case .weakKey(let signer): "signer's key is of small order, signer = \(signer)"
        case .tag(let signer): "tag does not match, signer = \(signer)"
        case .facts(let signer, let reason): "\(reason), signer = \(signer)"
        }
    }
}

/// Why a group cannot be made for a member.
public struct WeakKey: Error, Hashable, Sendable {
    /// Of small order: the shared secret would be zero.
    public let key: PublicKey
}

extension WeakKey: CustomStringConvertible {
    public var description: String { "key is of small order, key = \(key)" }
}
