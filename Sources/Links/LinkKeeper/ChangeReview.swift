internal import LinkFacts
public import NetworkAddresses
public import WireGuardTypes

/// Whether the keeper may do what its member asks for, held against what WireGuard says now.
///
/// A member may have been taken over by bytes from the network. So it changes and removes only peers that it had made,
/// gives them only addresses that traffic for a hub has anyway, and can do nothing to the operator's peers but what the
/// field does: their link-local address, their endpoint as it is, and another one while they have no session. Who has
/// none can lose nothing but time, for WireGuard's handshake proves who answers.
public struct ChangeReview {
    /// Most peers that a member may make.
    public static let maximumMade = 4096
    /// Most allowed IPs of one of them.
    public static let maximumAllowedIPs = 256
    /// A session is over so long after its handshake. Source: REJECT_AFTER_TIME of the WireGuard paper, section 6.1.
    public static let sessionLifetime: Int64 = 180

    /// A change that is not done, nor are those of the same peer behind it.
    public struct Refusal: Hashable, Sendable {
        public let key: PublicKey
        public let reason: String
    }

    /// What came of it.
    public struct Outcome: Hashable, Sendable {
        /// To be done, in this order.
        public var permitted: [PeerChange] = []
        public var refused: [Refusal] = []
        /// Peers that the changes make. To be marked before.
        public var made: Set<PublicKey> = []
        /// Peers that are gone in the end. To be unmarked after.
        public var removed: Set<PublicKey> = []

        /// Peers whose changes are all to be done, each once, in the order of the first.
        public var changed: [PublicKey] {
            var seen = Set(refused.map(\.key))
            return permitted.map(\.publicKey).filter { seen.insert($0).inserted }
        }
    }

    private struct Known {
        var allowedIPs: Set<IPPrefix>
        var endpoint: Endpoint?
        var isMade: Bool
        var hasSession = false
    }

    private let ownKey: PublicKey
    private let configuredEndpoints: [PublicKey: Set<Endpoint>]
    private var peers: [PublicKey: Known] = [:]
    /// Who has a prefix.
    private var owners: [IPPrefix: PublicKey] = [:]
    /// Prefixes of the operator's peers, and whose they are.
    private var operatorPrefixes: [IPPrefix: PublicKey] = [:]
    private var madeCount = 0

    /// - Parameters:
    ///   - peers: as WireGuard has them now.
    ///   - made: peers that this program made, of which some may be gone.
    ///   - wallClock: seconds since 1970.
    ///   - configuredEndpoints: where the operator says that his peers may be found.
    public init(
        ownKey: PublicKey,
        peers: [Peer],
        made: Set<PublicKey>,
        wallClock: Int64,
        configuredEndpoints: [PublicKey: Set<Endpoint>] = [:]
    ) {
        self.ownKey = ownKey
        self.configuredEndpoints = configuredEndpoints
        for peer in peers {
            let prefixes = peer.allowedIPs.map(\.masked)
            let isMade = made.contains(peer.publicKey)
            // One of the future counts: the clock was set.
            let hasSession = peer.lastHandshake.map { wallClock - $0 < Self.sessionLifetime } ?? false
            self.peers[peer.publicKey] = Known(
                allowedIPs: Set(prefixes),
                endpoint: peer.endpoint,
                isMade: isMade,
                hasSession: hasSession
            )
            for prefix in prefixes {
                owners[prefix] = peer.publicKey
                if !isMade, !prefix.isLinkLocal { operatorPrefixes[prefix] = peer.publicKey }
            }
            if isMade { madeCount += 1 }
        }
    }

    /// Looks at changes that are asked for together, each after those before it.
    public mutating func review(_ changes: [PeerChange]) -> Outcome {
        var outcome = Outcome()
        var refused: Set<PublicKey> = []
        for change in changes {
            let key = change.publicKey
            guard !refused.contains(key) else { continue }
            if let reason = objection(to: change) {
                refused.insert(key)
                outcome.refused.append(Refusal(key: key, reason: reason))
                continue
            }
            outcome.permitted.append(change)
            switch change {
            case .remove:
                forget(key)
                outcome.removed.insert(key)
            case .add(let settings), .update(let settings):
                if peers[key] == nil {
                    peers[key] = Known(allowedIPs: [], endpoint: nil, isMade: true)
                    madeCount += 1
                    outcome.made.insert(key)
                    outcome.removed.remove(key)
                }
                note(settings)
            }
        }
        return outcome
    }

    /// Why what goes to these prefixes is not to be held for a peer; `nil` if it is: they are, or may be made, allowed IPs
    /// of one that the member made.
    public func objection(toHolding prefixes: [IPPrefix], of key: PublicKey) -> String? {
        guard let known = peers[key] else { return "there is no such peer" }
        guard known.isMade else { return "it is the operator's peer, whose allowed IPs stay" }
        guard !prefixes.contains(where: \.isLinkLocal) else { return "link-local addresses do not move" }
        return objection(toAllowedIPs: PeerSettings(publicKey: key, allowedIPs: prefixes), known)
    }

    private mutating func forget(_ key: PublicKey) {
        guard let known = peers.removeValue(forKey: key) else { return }
        for prefix in known.allowedIPs where owners[prefix] == key { owners[prefix] = nil }
        madeCount -= 1
    }

    private mutating func note(_ settings: PeerSettings) {
        let key = settings.publicKey
        guard var known = peers[key] else { return }
        if settings.replacesAllowedIPs {
            for prefix in known.allowedIPs where owners[prefix] == key { owners[prefix] = nil }
            known.allowedIPs = []
        }
        for prefix in settings.allowedIPs.map(\.masked) {
            known.allowedIPs.insert(prefix)
            owners[prefix] = key
        }
        known.endpoint = settings.endpoint ?? known.endpoint
        peers[key] = known
    }

    /// Why a change is not to be done; `nil` if it is.
    private func objection(to change: PeerChange) -> String? {
        let key = change.publicKey
        switch change {
        case .remove:
            // Nothing happens, and it may have been removed a moment ago.
            guard let known = peers[key] else { return nil }
            return known.isMade ? nil : "it is the operator's peer, which stays"
        case .add(let settings):
            guard let known = peers[key] else { return objection(toMaking: settings) }
            return known.isMade
                ? objection(toAllowedIPs: settings, known) : objection(toOperators: settings, known)
        case .update(let settings):
            guard let known = peers[key] else { return "there is no such peer" }
            return known.isMade
                ? objection(toAllowedIPs: settings, known) : objection(toOperators: settings, known)
        }
    }

    private func objection(toMaking settings: PeerSettings) -> String? {
        guard settings.publicKey != ownKey else { return "it is this machine" }
        guard settings.publicKey.isUsable else { return "nobody can have that key" }
        guard madeCount < Self.maximumMade else { return "\(Self.maximumMade) peers have been made" }
        return objection(toAllowedIPs: settings, nil)
    }

    private func objection(toAllowedIPs settings: PeerSettings, _ known: Known?) -> String? {
        let key = settings.publicKey
        guard settings.presharedKey == nil else { return "preshared keys are the operator's" }
        let kept = settings.replacesAllowedIPs ? [] : known?.allowedIPs ?? []
        guard kept.count + settings.allowedIPs.count <= Self.maximumAllowedIPs
        else { return "it would have more than \(Self.maximumAllowedIPs) allowed IPs" }
        for prefix in settings.allowedIPs.map(\.masked) {
            if let owner = owners[prefix], owner != key { return "\(prefix) is an allowed IP of \(owner)" }
            if prefix == key.memberAllowedIP { continue }
            guard prefix.length >= prefix.leastLength else { return "\(prefix) is too much for one peer" }
            guard !prefix.isLinkLocal, network(around: prefix) != nil
            else { return "\(prefix) is not within the allowed IPs of a peer of the operator" }
        }
        return objection(toParts: kept.union(settings.allowedIPs.map(\.masked)))
    }

    /// Whose network is inside that of somebody else is behind another hub. A machine has parts of one of them.
    private func objection(toParts prefixes: Set<IPPrefix>) -> String? {
        let networks = Set(prefixes.compactMap { network(around: $0) })
        for inner in networks {
            for outer in networks where inner != outer && outer.contains(inner) {
                guard let owner = operatorPrefixes[inner], owner != operatorPrefixes[outer] else { continue }
                return "it would have parts of \(outer), and of \(inner) in it, which is \(owner)'s"
            }
        }
        return nil
    }

    /// The innermost network of a peer of the operator that has all of the prefix and more: there its traffic goes, if
    /// nobody else has it.
    private func network(around prefix: IPPrefix) -> IPPrefix? {
        (0..<prefix.length).reversed().lazy
            .compactMap { IPPrefix(prefix.address, length: $0)?.masked }
            .first { operatorPrefixes[$0] != nil }
    }

    private func objection(toOperators settings: PeerSettings, _ known: Known) -> String? {
        let key = settings.publicKey
        let own = "it is the operator's peer"
        guard settings.presharedKey == nil, settings.persistentKeepalive == nil, !settings.replacesAllowedIPs
        else { return "\(own), and only its link-local address and its endpoint are set" }
        for prefix in settings.allowedIPs {
            guard prefix == key.memberAllowedIP else { return "\(own), and \(prefix) is not its link-local address" }
            if let owner = owners[prefix], owner != key { return "\(prefix) is an allowed IP of \(owner)" }
        }
        guard let endpoint = settings.endpoint, let current = known.endpoint, endpoint != current, known.hasSession
        else { return nil }
        guard configuredEndpoints[key]?.contains(endpoint) == true
        else { return "\(own), and \(endpoint) is not where it is" }
        return nil
    }
}

extension IPPrefix {
    /// Shortest network that a made peer may have: where the operator's peer has everything, halves of it are within.
    fileprivate var leastLength: UInt8 {
        switch address {
        case .v4: 8
        case .v6: 16
        }
    }

    /// Whether it has link-local addresses of IPv6.
    var isLinkLocal: Bool {
        guard case .v6(let address) = address else { return false }
        return address.isLinkLocal && length >= 10
    }
}
