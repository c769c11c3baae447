internal import Keys
public import NetworkAddresses
public import WireGuardTypes

/// Makes the datagrams of one member and reads those that are for it.
///
/// A tag needs the secret of two members, which takes some 50 µs to compute, so those of the members that were heard or spoken
/// to last are kept.
public struct GroupSigner: Sendable {
    /// Most secrets that are kept. In a mesh of half as many members none is computed twice.
    public static let maximumSecrets = 2048

    /// The member whose datagrams are made here.
    public let publicKey: PublicKey
    private let privateKey: PrivateKey
    private var pairs = PairKeys()

    public init(privateKey: PrivateKey) {
        self.privateKey = privateKey
        publicKey = privateKey.publicKey
    }

    /// How many secrets are kept.
    public var keptSecrets: Int { pairs.count }

    /// Makes a datagram for a member.
    ///
    /// - Parameters:
    ///   - facts: a group of ``FactGroups/groups``; none at all is a group as well.
    ///   - random: for the nonce. Nobody must be able to foretell it outside of tests.
    public mutating func datagram(
        of facts: [UInt8],
        for member: PublicKey,
        using random: inout some RandomNumberGenerator
    ) throws(WeakKey) -> [UInt8] {
        guard let pair = try? pairs[member] ?? PairKey(privateKey, member) else { throw WeakKey(key: member) }
        pairs[member] = pair
        let nonce = (0..<3).flatMap { _ in
            let word = random.next()
            return (0..<8).map { UInt8(truncatingIfNeeded: word >> (56 - 8 * UInt64($0))) }
        }
        let tag = pair.tag(of: facts, nonce: nonce)
        return SignedGroup(signer: publicKey, nonce: nonce, tag: tag, facts: facts).datagram
    }

    /// Reads a datagram: its form, whether it comes from its signer's address, whether the tag is the signer's, and only then
    /// its facts. It may be an old one that somebody sends again: times to live count from now on all the same.
    ///
    /// - Parameter source: where the datagram came from, without its interface.
    public mutating func facts(
        in datagram: Span<UInt8>,
        from source: IPv6Address
    ) throws(RefusedDatagram) -> (signer: PublicKey, facts: [Fact]) {
        let group = try SignedGroup(datagram)
        let signer = group.signer
        guard signer.memberAddress == source else { throw .address(signer: signer, source: source) }
        guard let pair = try? pairs[signer] ?? PairKey(privateKey, signer) else { throw .weakKey(signer) }
        guard pair.verifies(group.tag, of: group.facts, nonce: group.nonce) else { throw .tag(signer: signer) }
        // Only now: invented signers must not displace members.
        pairs[signer] = pair
        do throws(MalformedFact) {
            return (signer, try Fact.facts(in: group.facts))
        } catch {
            throw .facts(signer: signer, error)
        }
    }
}
