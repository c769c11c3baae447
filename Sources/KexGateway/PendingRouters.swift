internal import NetworkAddresses
internal import WireGuardTypes

/// Routers that registered and have not been heard of yet, in the order of their registrations.
///
/// Anybody can register any number of keys, so there is room for few, and for a short time. A newcomer takes the place of
/// the oldest one when there is no other: who has a key of a router's own shakes hands within seconds.
struct PendingRouters: Sendable {
    private struct Entry: Sendable {
        let key: PublicKey
        /// The home that it came from; `nil` if that is not known, or not limited.
        let home: IPv6Address?
        /// Time since the start of the machine.
        let since: Duration
        /// Whether its place was given to somebody else.
        var isLeaving = false
    }

    private var entries: [Entry] = []

    var count: Int { entries.count }

    mutating func insert(_ key: PublicKey, home: IPv6Address?, at now: Duration) {
        entries.append(Entry(key: key, home: home, since: now))
    }

    mutating func remove(_ key: PublicKey) { entries.removeAll { $0.key == key } }

    mutating func removeAll(where isGone: (PublicKey) -> Bool) { entries.removeAll { isGone($0.key) } }

    var keys: [PublicKey] { entries.map(\.key) }

    /// When the router registered; `nil` if it is not pending.
    func registration(of key: PublicKey) -> Duration? { entries.first { $0.key == key }?.since }

    /// Sees to it that one more may come from this home.
    ///
    /// - Returns: whether there is room.
    mutating func makeRoom(forOneFrom home: IPv6Address?, at now: Duration) -> Bool {
        // If those who are to leave cannot be taken out of the kernel, it must not fill up.
        guard entries.count < 2 * DomainLimit.pending else { return false }
        let staying = entries.indices.filter { !entries[$0].isLeaving }
        let neighbours = home.map { home in staying.filter { entries[$0].home == home } } ?? []
        let crowd: [Int]
        if neighbours.count >= DomainLimit.pendingOfSource {
            crowd = neighbours
        } else if staying.count >= DomainLimit.pending {
            crowd = staying
        } else {
            return true
        }
        guard let oldest = crowd.first, now - entries[oldest].since >= DomainLimit.pendingGrace else { return false }
        entries[oldest].isLeaving = true
        return true
    }

    /// Those whose time is over.
    func due(at now: Duration) -> [PublicKey] {
        entries.filter { $0.isLeaving || now - $0.since >= DomainLimit.pendingTime }.map(\.key)
    }

    /// When ``due(at:)`` has somebody.
    var nextDue: Duration? {
        if entries.contains(where: \.isLeaving) { return .zero }
        return entries.first.map { $0.since + DomainLimit.pendingTime }
    }
}
