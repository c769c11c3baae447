public import Keys
public import WireGuardTypes

/// What two machines need to probe each other: a key for each direction, so that nothing can be reflected.
public struct ProbeKeys: Hashable, Sendable {
    /// Whose probes these are the keys for.
    public let own: PublicKey
    public let other: PublicKey
    private let sending: SymmetricKey
    private let receiving: SymmetricKey

    /// The label of the derivation.
    static let label = "kex-link probe 1"

    /// - Parameter secret: of `own` and `other`, which also whoever cannot see the private key may hold.
    public init(own: PublicKey, other: PublicKey, secret: SharedSecret) {
        self.own = own
        self.other = other
        sending = SymmetricKey(deriving: Self.label, from: secret, sender: own, receiver: other)
        receiving = SymmetricKey(deriving: Self.label, from: secret, sender: other, receiver: own)
    }

    /// The datagram of a probe for the other machine, ``Probe/length`` bytes. No two are alike.
    public func datagram(of probe: Probe) -> [UInt8] {
        let sealed = sending.seal(probe.body)
        let nonce = sealed[..<SymmetricKey.nonceLength]
        let copy = Array(nonce)
        var datagram: [UInt8] = []
        datagram.reserveCapacity(Probe.length)
        append(Probe.magic, to: &datagram)
        datagram += nonce
        append(other.hash64(of: copy.span), to: &datagram)
        append(sending.hash32(of: copy.span), to: &datagram)
        datagram += sealed[SymmetricKey.nonceLength...]
        return datagram
    }

    /// Whether the hint of a datagram says that it is from the other machine. One in 2^32 others says so too.
    func isHinted(_ head: ProbeHead) -> Bool { receiving.hash32(of: head.nonce.span) == head.hint }

    /// Opens what is sealed in a datagram of the other machine.
    ///
    /// - Throws: ``RefusedProbe/notAuthentic`` or ``RefusedProbe/malformed``.
    func open(_ head: ProbeHead, _ datagram: Span<UInt8>) throws(RefusedProbe) -> Probe {
        let sealed = (ProbeHead.length..<datagram.count).map { datagram[$0] }
        guard let body = try? receiving.open(sealed, nonce: head.nonce) else { throw .notAuthentic }
        guard let probe = Probe(body: body) else { throw .malformed }
        return probe
    }
}

/// What stands before the sealed part of a datagram.
struct ProbeHead {
    /// In bytes.
    static let length = 40

    let nonce: [UInt8]
    let hint: UInt32

    /// Checks what costs little: whether this is a probe, and whether its sender knows the receiver's public key.
    init(_ datagram: Span<UInt8>, receiver: PublicKey) throws(RefusedProbe) {
        guard datagram.count == Probe.length, datagram.word(at: 0) == Probe.magic else { throw .notAProbe }
        let nonce = datagram.extracting(4..<28)
        guard receiver.hash64(of: nonce) == datagram.doubleWord(at: 28) else { throw .gate }
        self.nonce = (0..<nonce.count).map { nonce[$0] }
        hint = datagram.word(at: 36)
    }
}
