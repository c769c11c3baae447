public import KexProtocol
public import NetworkAddresses
public import WireGuardTypes

/// What one domain holds, and what a registration means for it.
///
/// The table is a picture of the kernel: ``reset(to:)`` takes a new one, decisions change it ahead of the kernel, and
/// whoever carries them out says how that went. It does no I/O and knows no clock.
public struct DomainTable: Sendable {
    /// What the kernel said when it was last asked.
    public struct Picture: Sendable {
        /// The WireGuard device's own key; `nil` if it has none yet.
        public var ownKey: PublicKey?
        public var peers: [Peer]
        /// The permanent fdb entries that lead through the WireGuard device, by destination: the unicast MACs.
        public var macs: [IPv6Address: Set<MACAddress>]
        /// The destinations of the flood list that are reached through the WireGuard device.
        public var floodList: Set<IPv6Address>

        public init(
            ownKey: PublicKey?,
            peers: [Peer],
            macs: [IPv6Address: Set<MACAddress>] = [:],
            floodList: Set<IPv6Address> = []
        ) {
            self.ownKey = ownKey
            self.peers = peers
            self.macs = macs
            self.floodList = floodList
        }
    }

    /// What is to be done about a registration.
    public enum Decision: Hashable, Sendable {
        /// Nothing is missing: the router is in. Its session is left alone, because public keys are public, and a
        /// registration is no proof of owning one.
        case present
        /// Bring this into the kernel, then call ``DomainTable/confirm(_:)`` or ``DomainTable/abandon(_:)``.
        case admit(Admission)
        /// Say no; the reason is for the log.
        case refuse(Refusal, reason: String)
    }

    /// A router on its way in.
    public struct Admission: Hashable, Sendable {
        public var key: PublicKey
        public var addresses: RouterAddresses
        /// Whether the peer has to be made; otherwise only fdb entries are missing.
        public var isNewPeer: Bool
        /// Entries that are not there yet.
        public var missingEntries: FdbEntries
    }

    /// Somebody in the WireGuard device.
    struct Router: Hashable, Sendable {
        var addresses: RouterAddresses
        var entries: FdbEntries
        var lastHandshake: Int64?
        var receivedBytes: UInt64
        /// Set by the sweep that found the router stale first.
        var mark: StaleMark?
    }

    public let rules: DomainRules
    private var ownKey: PublicKey?
    /// Peers that were made by a registration.
    var routers: [PublicKey: Router] = [:]
    /// Every other peer. They are the operator's own, and are never touched.
    private var staticPeers: Set<PublicKey> = []
    /// Whose each single IPv6 address is. WireGuard *moves* an allowed IP to whoever asks last, without a word.
    private var owners: [IPv6Address: PublicKey] = [:]

    public init(rules: DomainRules) { self.rules = rules }

    /// Number of routers in the domain.
    public var routerCount: Int { routers.count }

    /// Whether a registration made this peer: one allowed IP, the derived one, and no preshared key.
    public func isRouter(_ peer: Peer) -> Bool {
        peer.allowedIPs == [IPPrefix(host: rules.addresses(peer.publicKey).linkLocal)] && !peer.hasPresharedKey
    }

    /// Takes a new picture of the kernel. Stale marks stay with the keys that are still there.
    public mutating func reset(to picture: Picture) {
        let marks = routers.compactMapValues(\.mark)
        ownKey = picture.ownKey
        routers.removeAll(keepingCapacity: true)
        staticPeers.removeAll(keepingCapacity: true)
        owners.removeAll(keepingCapacity: true)
        for peer in picture.peers {
            for case .v6(let address) in peer.allowedIPs.filter({ $0.length == 128 }).map(\.address) {
                owners[address] = peer.publicKey
            }
            guard isRouter(peer) else {
                staticPeers.insert(peer.publicKey)
                continue
            }
            let addresses = rules.addresses(peer.publicKey)
            var entries: FdbEntries = []
            if picture.macs[addresses.linkLocal]?.contains(addresses.mac) == true { entries.insert(.mac) }
            if picture.floodList.contains(addresses.linkLocal) { entries.insert(.flood) }
            routers[peer.publicKey] = Router(
                addresses: addresses,
                entries: entries,
                lastHandshake: peer.lastHandshake,
                receivedBytes: peer.receivedBytes,
                mark: marks[peer.publicKey]
            )
        }
    }

    /// Decides about one registration. An admission is in the table from now on, so that the next decision sees it.
    public mutating func decide(_ key: PublicKey) -> Decision {
        if rules.prohibitedKeys.contains(key) { return .refuse(.prohibitedKey, reason: "the key is prohibited") }
        if key == ownKey { return .refuse(.prohibitedKey, reason: "the key is the gateway's own") }
        if staticPeers.contains(key) {
            return .refuse(.prohibitedKey, reason: "the key is a peer that was not made by a registration")
        }
        if var router = routers[key] {
            let missing = rules.fdbEntries.subtracting(router.entries)
            router.mark = nil  // it came back, and needs time for its handshake
            routers[key] = router
            guard !missing.isEmpty else { return .present }
            return .admit(
                Admission(key: key, addresses: router.addresses, isNewPeer: false, missingEntries: missing)
            )
        }
        let addresses = rules.addresses(key)
        if let owner = owners[addresses.linkLocal] {
            let reason = "its address \(addresses.linkLocal) belongs to \(owner)"
            return .refuse(.addressInUse, reason: reason)
        }
        guard routers.count < rules.maximumPeers else {
            return .refuse(.domainFull, reason: "the domain has \(rules.maximumPeers) routers already")
        }
        owners[addresses.linkLocal] = key
        routers[key] = Router(addresses: addresses, entries: [], lastHandshake: nil, receivedBytes: 0, mark: nil)
        return .admit(
            Admission(key: key, addresses: addresses, isNewPeer: true, missingEntries: rules.fdbEntries)
        )
    }

    /// The kernel has taken the whole admission.
    public mutating func confirm(_ admission: Admission) {
        routers[admission.key]?.entries.formUnion(admission.missingEntries)
    }

    /// The kernel has not taken the admission, and what it took was taken back.
    public mutating func abandon(_ admission: Admission) {
        if admission.isNewPeer { remove(admission.key) }
    }

    /// The router is no longer in the kernel.
    public mutating func remove(_ key: PublicKey) {
        guard let router = routers.removeValue(forKey: key) else { return }
        owners[router.addresses.linkLocal] = nil
    }
}
