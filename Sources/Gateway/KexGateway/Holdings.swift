internal import NetworkAddresses
internal import WireGuardTypes

// A domain that is full. See docs/decisions/0016-what-a-source-holds.md.

/// The network that a router's tunnel comes from.
///
/// It is the endpoint of the WireGuard session that counts, because WireGuard takes an endpoint only from a packet that
/// the router's key has authenticated. Where a registration comes from says nothing: anybody may send any key.
struct Home: Hashable, Sendable {
    enum Kind: UInt8, Sendable {
        case none, address, link, subnet, site
    }

    let kind: Kind
    let bits: UInt64

    /// - Parameter source: IPv4 as a mapped address.
    init(of source: IPv6Address) {
        if let address = source.mappedIPv4 {
            self.init(.address, UInt64(address.value))
        } else if source.isLinkLocal {
            // A neighbour there can have any number of addresses.
            self.init(.link, UInt64(source.scope))
        } else {
            self.init(.subnet, source.high)
        }
    }

    init(of endpoint: Endpoint) {
        switch endpoint {
        case .v4(let address, _): self.init(.address, UInt64(address.value))
        case .v6: self.init(of: endpoint.source)
        }
    }

    init(_ kind: Kind, _ bits: UInt64) { (self.kind, self.bits) = (kind, bits) }

    /// The /48 of a /64, which one customer of a provider may get.
    var site: Home? { kind == .subnet ? Home(.site, bits & 0xffff_ffff_ffff_0000) : nil }

    /// Routers that may be at home here before they give way.
    var share: Int { kind == .site ? DomainLimit.share * DomainLimit.siteFactor : DomainLimit.share }
}

/// How many routers of a full domain are at home where, and which of them give way to newcomers.
struct Holdings: Sendable {
    private var counts: [Home: Int] = [:]
    /// Networks that hold more than their share.
    private var crowded = 0
    /// Of networks that may be crowded, those that have been known for longest first.
    private var candidates: [(key: PublicKey, home: Home)] = []
    /// Of routers that other gateways spoke of, and that were never here, the same.
    private var guests: [PublicKey] = []

    init(of routers: some Sequence<(key: PublicKey, value: DomainTable.Router)>, isGuest: (PublicKey) -> Bool) {
        var all: [(key: PublicKey, home: Home, number: UInt32)] = []
        var guests: [(key: PublicKey, number: UInt32)] = []
        for (key, router) in routers where router.lastHeard != nil && !router.isHeld {
            if let home = router.home {
                add(home)
                all.append((key, home, router.number))
            } else if !router.hasSession, isGuest(key) {
                guests.append((key, router.number))
            }
        }
        candidates = all.filter { isCrowded($0.home) }.sorted { $0.number < $1.number }.map { ($0.key, $0.home) }
        self.guests = guests.sorted { $0.number < $1.number }.map(\.key)
    }

    /// Whether one more from this home may take somebody's place.
    ///
    /// - Parameter home: `nil` if it is not known.
    func mayJoin(_ home: Home?) -> Bool { (crowded > 0 || !guests.isEmpty) && (home.map(hasShareLeft) ?? true) }

    /// Whose place one more from this home takes: that of the last who came to a network that holds more than its
    /// share, or else of the last guest.
    ///
    /// - Parameter isThere: whether a router is still in the table.
    mutating func makeRoom(forOneFrom home: Home, isThere: (PublicKey) -> Bool) -> PublicKey? {
        guard hasShareLeft(home) else { return nil }
        while crowded > 0, let index = candidates.lastIndex(where: { isCrowded($0.home) }) {
            let candidate = candidates.remove(at: index)
            count(candidate.home, by: -1)
            if isThere(candidate.key) { return candidate.key }
        }
        while let guest = guests.popLast() {
            if isThere(guest) { return guest }
        }
        return nil
    }

    /// The newcomer is in.
    mutating func add(_ key: PublicKey, at home: Home) {
        add(home)
        candidates.append((key, home))
    }

    private mutating func add(_ home: Home) { count(home, by: 1) }

    private func hasShareLeft(_ home: Home) -> Bool {
        counts[home, default: 0] < home.share && home.site.map { counts[$0, default: 0] < $0.share } ?? true
    }

    private func isCrowded(_ home: Home) -> Bool {
        counts[home, default: 0] > home.share || home.site.map { counts[$0, default: 0] > $0.share } ?? false
    }

    private mutating func count(_ home: Home, by change: Int) {
        for network in [home, home.site].compactMap(\.self) {
            let before = counts[network, default: 0]
            let after = before + change
            counts[network] = after > 0 ? after : nil
            crowded += (after > network.share ? 1 : 0) - (before > network.share ? 1 : 0)
        }
    }
}
