internal import Keys
public import NetworkAddresses
public import WireGuardTypes

/// Makes the datagrams of one member and reads the datagrams for it.
///
/// A tag needs the secret of two members, which takes tens of microseconds to compute. The secrets that were used last
/// are kept.
public struct GroupSigner: Sendable {
    /// Most secrets that are kept. In a mesh of half as many members no secret is computed twice.
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
    ///   - facts: a group of ``FactGroups/groups``. It may be empty.
    ///   - random: for the nonce. Outside of tests it must be one that nobody can predict.
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

    /// Reads a datagram. It checks the form, then the source, then the tag, and then reads the facts, all of them or
    /// none. It does not notice a datagram that was sent before.
    ///
    /// - Parameter source: the address that the datagram came from, without its interface.
    public mutating func facts(
        in datagram: Span<UInt8>,
        from source: IPv6Address
    ) throws(RefusedDatagram) -> (signer: PublicKey, facts: [Fact]) {
        let group = try SignedGroup(datagram)
        let signer = group.signer
        guard signer.memberAddress == source else { throw .address(signer: signer, source: source) }
        guard let pair = try? pairs[signer] ?? PairKey(privateKey, signer) else { throw .weakKey(signer) }
        guard pair.verifies(group.tag, of: group.facts, nonce: group.nonce) else { throw .tag(signer: signer) }
        // Only after the check, so that invented signers do not displace members.
        pairs[signer] = pair
        do throws(MalformedFact) {
            return (signer, try Fact.facts(in: group.facts))
        } catch {
            throw .facts(signer: signer, error)
        }
    }
}
