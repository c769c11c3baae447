internal import EUI64
internal import NetworkAddresses
public import WireGuardTypes

// Whose a peer is. The operator's own are never removed, swept or changed; see
// docs/decisions/0015-whose-a-peer-is.md.

extension DomainTable {
    /// Why a peer that has the address of a router is taken for the operator's.
    public enum OperatorsSign: Hashable, Sendable {
        case presharedKey
        /// Gateways send no keepalives to routers of theirs.
        case keepalive
        case furtherPrefixes
        /// It is in the operator's list of prohibited keys, and kex has not made it.
        case listedKey
        /// It had an endpoint before anything came from it. One that WireGuard has learned comes with a packet, which
        /// is counted.
        case configuredEndpoint
    }

    /// A peer that has the address of a router, and shows the operator's hand.
    public struct OperatorsPeer: Hashable, Sendable {
        public var sign: OperatorsSign
        /// Whether it was known as a router before. Then it is served as one, but not removed.
        public var isRouter: Bool
    }

    enum Judgement {
        case router(at: RouterAddresses, isHeld: Bool)
        case operators
    }

    /// Whether a registration may have made this peer, whoever has made it: it has nothing that a registration does not
    /// give.
    public func isRouter(_ peer: Peer) -> Bool {
        isRouter(peer, at: rules.allAddresses(of: peer.publicKey), isKnown: false)
    }

    /// - Parameters:
    ///   - own: what the peer should have.
    ///   - isKnown: whether the key is a router's as far as it is known. Then the addresses of other profiles will do:
    ///     the operator has changed the domain's. A stranger must have at least one of the domain's.
    private func isRouter(_ peer: Peer, at own: [RouterAddresses], isKnown: Bool) -> Bool {
        guard sign(of: peer) == nil, !peer.allowedIPs.isEmpty else { return false }
        var own = own.map { IPPrefix(host: $0.linkLocal) }
        if peer.allowedIPs.allSatisfy(own.contains) { return true }
        // A hash of the key proves as much, whoever let the line feed through.
        own += rules.profiles.map { IPPrefix(host: $0.lineFeedAddress(of: peer.publicKey)) }
        let others = peer.allowedIPs.filter { !own.contains($0) }
        guard isKnown || others.count < peer.allowedIPs.count else { return false }
        let former = rules.formerAddresses(of: peer.publicKey)
        return others.allSatisfy { prefix in former.contains { IPPrefix(host: $0.linkLocal) == prefix } }
    }

    /// What the operator has set on a peer.
    private func sign(of peer: Peer) -> OperatorsSign? {
        if peer.hasPresharedKey { return .presharedKey }
        return peer.persistentKeepalive == 0 ? nil : .keepalive
    }

    /// Says whose a peer is, and where its router is. What the router has too much or too little is noted, and so is a
    /// peer that shows the operator's hand.
    ///
    /// - Parameter isNewDevice: then nobody has lost an allowed IP there.
    mutating func judge(_ peer: Peer, known: Router?, in snapshot: Snapshot, isNewDevice: Bool) -> Judgement {
        let key = peer.publicKey
        if !rules.isMigration {
            // Hashing is the dearest part of a snapshot.
            let own = known?.addresses ?? rules.addresses(of: key)
            if peer.allowedIPs.count == 1, peer.allowedIPs[0] == IPPrefix(host: own.linkLocal) {
                return judge(peer, known: known, hand: sign(of: peer)) { _ in own }
            }
        }
        let all = rules.allAddresses(of: key)
        let isMute = peer.allowedIPs.isEmpty && known != nil && !isNewDevice
        let hasOwn = all.contains { peer.allowedIPs.contains(IPPrefix(host: $0.linkLocal)) }
        var bare = peer
        (bare.hasPresharedKey, bare.persistentKeepalive) = (false, 0)
        let isDerived = isMute || isRouter(bare, at: all, isKnown: known != nil)
        guard isDerived || hasOwn else {
            operatorsPeers[key] = nil
            return .operators
        }
        return judge(peer, known: known, hand: isDerived ? sign(of: peer) : .furtherPrefixes) { table in
            table.place(of: peer, among: all, isHeld: table.operatorsPeers[key] != nil, known?.addresses, snapshot)
        }
    }

    /// - Parameters:
    ///   - hand: what the operator has set on the peer.
    ///   - place: called for a router's.
    private mutating func judge(
        _ peer: Peer,
        known: Router?,
        hand: OperatorsSign?,
        place: (inout DomainTable) -> RouterAddresses
    ) -> Judgement {
        let key = peer.publicKey
        let isOwn = known != nil && known?.isAdopted == false
        let sign = hand ?? (isOwn ? nil : foreignSign(of: peer, isKnown: known != nil))
        // A listed key takes a peer from the routers, if kex has not made it: it is refused, so it is not one that is
        // served.
        let isRouter = known != nil && sign != .listedKey
        operatorsPeers[key] = sign.map { OperatorsPeer(sign: $0, isRouter: isRouter) }
        guard isRouter || sign == nil else { return .operators }
        return .router(at: place(&self), isHeld: sign != nil)
    }

    /// The sign that somebody other than kex, or a deployed worker, made a peer.
    private func foreignSign(of peer: Peer, isKnown: Bool) -> OperatorsSign? {
        if rules.prohibitedKeys.contains(peer.publicKey) { return .listedKey }
        guard !isKnown else { return nil }
        let isConfigured = peer.endpoint != nil && peer.lastHandshake == nil && peer.receivedBytes == 0
        // It stays the operator's when it has been heard of.
        return isConfigured || operatorsPeers[peer.publicKey]?.sign == .configuredEndpoint ? .configuredEndpoint : nil
    }

    /// Where the router is whose peer this is. What it has too much or too little is noted. What the operator gave it
    /// is left to it.
    private mutating func place(
        of peer: Peer,
        among all: [RouterAddresses],
        isHeld: Bool,
        _ known: RouterAddresses?,
        _ snapshot: Snapshot
    ) -> RouterAddresses {
        let linkLocals = all.map(\.linkLocal)
        let present = peer.allowedIPs.compactMap { prefix -> IPv6Address? in
            if case .v6(let address) = prefix.address, prefix.length == 128 { address } else { nil }
        }
        let surplus = isHeld ? [] : present.filter { !linkLocals.contains($0) }
        if !surplus.isEmpty || !linkLocals.allSatisfy(present.contains) {
            readdressings.append(Readdressing(key: peer.publicKey, linkLocals: linkLocals, surplus: surplus))
        }
        let place = place(among: all, known, snapshot)
        if rules.isMigration { noteStrays(of: all, at: place, snapshot) }
        return place
    }

    /// Keys of the operator's peers that only the moment at which they were first seen gives away. They must be saved.
    public var rememberedOperatorsPeers: [PublicKey] {
        operatorsPeers.filter { $0.value.sign == .configuredEndpoint }.map(\.key)
    }
}
