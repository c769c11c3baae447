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
    /// Nobody has said what this member and the signer have in common.
    case stranger(PublicKey)
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
        case .stranger(let signer): "signer is not known, signer = \(signer)"
        case .tag(let signer): "tag does not match, signer = \(signer)"
        case .facts(let signer, let reason): "\(reason), signer = \(signer)"
        }
    }
}

/// Why a group cannot be made for a member: nobody has said what the two have in common.
public struct NoSecret: Error, Hashable, Sendable {
    public let key: PublicKey
}

extension NoSecret: CustomStringConvertible {
    public var description: String { "no secret with this member, key = \(key)" }
}
