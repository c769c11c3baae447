public import Keys
public import NetworkAddresses
public import WireGuardTypes

/// Makes the datagrams of one member and reads the datagrams for it. It needs no private key: somebody else says what
/// the member has in common with each other one.
public struct GroupSigner: Sendable {
    /// The member whose datagrams are made here.
    public let publicKey: PublicKey
    private var pairs: [PublicKey: PairKey] = [:]

    public init(publicKey: PublicKey) { self.publicKey = publicKey }

    /// Takes what this member and another have in common. Until then neither can be told anything by the other.
    public mutating func add(_ secret: SharedSecret, of member: PublicKey) { pairs[member] = PairKey(secret) }

    public mutating func remove(_ member: PublicKey) { pairs[member] = nil }

    /// Makes a datagram for a member.
    ///
    /// - Parameters:
    ///   - facts: a group of ``FactGroups/groups``. It may be empty.
    ///   - random: for the nonce. Outside of tests it must be one that nobody can predict.
    public func datagram(
        of facts: [UInt8],
        for member: PublicKey,
        using random: inout some RandomNumberGenerator
    ) throws(NoSecret) -> [UInt8] {
        guard let pair = pairs[member] else { throw NoSecret(key: member) }
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
    public func facts(
        in datagram: Span<UInt8>,
        from source: IPv6Address
    ) throws(RefusedDatagram) -> (signer: PublicKey, facts: [Fact]) {
        let group = try SignedGroup(datagram)
        let signer = group.signer
        guard signer.memberAddress == source else { throw .address(signer: signer, source: source) }
        guard let pair = pairs[signer] else { throw .stranger(signer) }
        guard pair.verifies(group.tag, of: group.facts, nonce: group.nonce) else { throw .tag(signer: signer) }
        do throws(MalformedFact) {
            return (signer, try Fact.facts(in: group.facts))
        } catch {
            throw .facts(signer: signer, error)
        }
    }
}
