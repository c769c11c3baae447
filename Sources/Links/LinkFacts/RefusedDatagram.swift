public import NetworkAddresses
public import WireGuardTypes

/// Why a datagram counts for nothing, all of it.
public enum RefusedDatagram: Error, Hashable, Sendable {
    /// More than ``WireFormat/maximumDatagram`` bytes.
    case tooLong(Int)
    /// No fact, or a group whose head is not whole.
    case malformed(MalformedFact)
    /// A well-formed fact that is in no group: anybody could have made it.
    case unsigned(Fact)
    /// It does not come from the address of its signer.
    case address(signer: PublicKey, source: IPv6Address)
    /// The signer's key has no secret in common with anybody: it is of small order.
    case weakKey(PublicKey)
    /// The signer did not make it for this receiver, or it was changed on its way.
    case tag(signer: PublicKey)
    /// It is the signer's, and what it holds is not only facts.
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
    /// Of small order: the secret in common would be zero.
    public let key: PublicKey
}

extension WeakKey: CustomStringConvertible {
    public var description: String { "key is of small order, key = \(key)" }
}
