internal import NetworkAddresses
internal import WireGuardTypes

/// Routers that registered and have not been heard of yet, in the order of their registrations.
///
/// Anybody can register any number of keys, so there is room for few, and for a short time. A newcomer takes the place
/// of the oldest one when there is no other: who has a key of a router's own shakes hands within seconds.
struct PendingRouters: Sendable {
    private struct Entry: Sendable {
        /// Tells it from an earlier one of the same key.
        let number: UInt64
        /// The home that it came from; `nil` if that is not known, or not limited.
        let home: IPv6Address?
        /// Time since the start of the machine.
        let since: Duration
        /// Whether its place was given to somebody else.
        var isLeaving = false
    }

    private var entries: [PublicKey: Entry] = [:]
    /// All of ``entries`` with their numbers, oldest first, and some that are gone: see ``forget(_:)``.
    private var order: [(key: PublicKey, number: UInt64)] = []
    private var lastNumber: UInt64 = 0
    /// Those who may stay, of each home.
    private var neighbours: [IPv6Address: Int] = [:]
    private var leavingCount = 0

    var count: Int { entries.count }

    mutating func insert(_ key: PublicKey, home: IPv6Address?, at now: Duration) {
        remove(key)
        lastNumber += 1
        entries[key] = Entry(number: lastNumber, home: home, since: now)
        order.append((key, lastNumber))
        if let home { neighbours[home, default: 0] += 1 }
    }

    mutating func remove(_ key: PublicKey) {
        guard let entry = entries.removeValue(forKey: key) else { return }
        if entry.isLeaving { leavingCount -= 1 } else { leave(entry.home) }
        forget(key)
    }

    mutating func removeAll(where isGone: (PublicKey) -> Bool) { keys.filter(isGone).forEach { remove($0) } }

    var keys: [PublicKey] { Array(entries.keys) }

    func contains(_ key: PublicKey) -> Bool { entries[key] != nil }

    /// When the router registered; `nil` if it is not pending.
    func registration(of key: PublicKey) -> Duration? { entries[key]?.since }

    /// Sees to it that one more may come from this home.
    ///
    /// - Returns: whether there is room.
    mutating func makeRoom(forOneFrom home: IPv6Address?, at now: Duration) -> Bool {
        // If those who are to leave cannot be removed from the kernel, it must not fill up.
        guard entries.count < 2 * DomainLimit.pending else { return false }
        let oldest: PublicKey?
        if let home, neighbours[home, default: 0] >= DomainLimit.pendingOfSource {
            oldest = oldestStaying { $0.home == home }
        } else if entries.count - leavingCount >= DomainLimit.pending {
            oldest = oldestStaying { _ in true }
        } else {
            return true
        }
        guard let oldest, let entry = entries[oldest], now - entry.since >= DomainLimit.pendingGrace else {
            return false
        }
        entries[oldest]?.isLeaving = true
        leavingCount += 1
        leave(entry.home)
        return true
    }

    /// Those whose time is over.
    func due(at now: Duration) -> [PublicKey] {
        let isAnybodyDue = leavingCount > 0 || oldest.map { now - $0.since >= DomainLimit.pendingTime } ?? false
        guard isAnybodyDue else { return [] }
        return order.compactMap { key, number in
            guard let entry = entries[key], entry.number == number else { return nil }
            return entry.isLeaving || now - entry.since >= DomainLimit.pendingTime ? key : nil
        }
    }

    /// When ``due(at:)`` has somebody.
    var nextDue: Duration? { leavingCount > 0 ? .zero : oldest.map { $0.since + DomainLimit.pendingTime } }

    private var oldest: Entry? { order.first.flatMap { entries[$0.key] } }

    private func oldestStaying(where isOne: (Entry) -> Bool) -> PublicKey? {
        order.first { key, number in
            entries[key].map { $0.number == number && !$0.isLeaving && isOne($0) } ?? false
        }?.key
    }

    private mutating func leave(_ home: IPv6Address?) {
        guard let home, let count = neighbours[home] else { return }
        neighbours[home] = count > 1 ? count - 1 : nil
    }

    /// The key is no entry any more. Its place in the order goes when it is the first, or when half of the places are
    /// empty: so each is moved only a few times in all.
    private mutating func forget(_ key: PublicKey) {
        guard order.first?.key == key || order.count > 2 * entries.count + 16 else { return }
        let isLive = { [entries] (place: (key: PublicKey, number: UInt64)) in entries[place.key]?.number == place.number
        }
        if order.count > 2 * entries.count + 16 {
            order.removeAll { !isLive($0) }
        } else {
            order.removeFirst(order.firstIndex(where: isLive) ?? order.count)
        }
    }
}
