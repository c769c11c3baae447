internal import Keys
internal import LinkFacts
internal import LinkMessages
public import NetworkAddresses
public import WireGuardTypes

/// What is said to the others for a member that was killed. Its peers are taken away here, so the others must send and
/// expect through the hub what is for this machine. An idle pair would not find out by itself.
///
/// The boot ID is a new one, as if the member was started again: nobody takes the words for old ones.
public struct Farewell: Sendable {
    /// A datagram for the facts port of a peer.
    public struct Datagram: Hashable, Sendable {
        public let bytes: [UInt8]
        public let address: IPv6Address
    }

    /// Through the tunnels of the pairs, which must still be there.
    public private(set) var direct: [Datagram] = []
    /// Through the hubs.
    public private(set) var forwarded: [Datagram] = []

    /// - Parameters:
    ///   - privateKey: of this machine.
    ///   - peers: as WireGuard has them.
    ///   - made: those of them that this program made.
    ///   - random: outside of tests one that nobody can predict.
    public init(
        from privateKey: PrivateKey,
        peers: [Peer],
        made: Set<PublicKey>,
        using random: inout some RandomNumberGenerator
    ) {
        let own = privateKey.publicKey
        let boot = random.next() as UInt64
        func sealer(for key: PublicKey) -> MessageSealer? {
            guard let secret = try? privateKey.sharedSecret(with: key) else { return nil }
            return MessageSealer(secret: secret, own: own, other: key, boot: boot)
        }
        var hubs = peers.filter { !made.contains($0.publicKey) && $0.leadsFurther }
            .compactMap { peer in sealer(for: peer.publicKey).map { (key: peer.publicKey, sealer: $0) } }
        for peer in peers where made.contains(peer.publicKey) {
            guard var sealer = sealer(for: peer.publicKey) else { continue }
            let word = sealer.seal(.switching(.back), using: &random)
            direct.append(Datagram(bytes: word, address: peer.publicKey.memberAddress))
            for index in hubs.indices {
                let inner = sealer.seal(.switching(.back), using: &random)
                let bytes = hubs[index].sealer.seal(.forward(peer.publicKey, inner), using: &random)
                forwarded.append(Datagram(bytes: bytes, address: hubs[index].key.memberAddress))
            }
        }
    }
}
