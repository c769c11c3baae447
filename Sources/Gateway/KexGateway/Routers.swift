internal import WireGuardTypes

/// The routers of a table, and what would otherwise take a pass over all of them again and again: how many were not
/// heard of in this WireGuard device, and who lacks fdb entries.
struct Routers: Sendable {
    typealias Router = DomainTable.Router

    private var ledger = Ledger<Router>()
    /// Those without a session in this device.
    private(set) var silentCount = 0
    /// Those that lack an entry that they should have by now.
    private(set) var lacking: Set<PublicKey> = []
    /// The entries that a router should have.
    private(set) var wanted: FdbEntries

    init(wanted: FdbEntries) { self.wanted = wanted }

    subscript(key: PublicKey) -> Router? {
        get { ledger[key] }
        _modify {
            let before = ledger[key]
            defer { account(for: key, before, ledger[key]) }
            yield &ledger[key]
        }
    }

    @discardableResult
    mutating func removeValue(forKey key: PublicKey) -> Router? {
        let before = ledger.removeValue(forKey: key)
        account(for: key, before, nil)
        return before
    }

    mutating func removeAll(keepingCapacity: Bool) {
        ledger.removeAll(keepingCapacity: keepingCapacity)
        silentCount = 0
        lacking.removeAll()
    }

    mutating func reserveCapacity(_ capacity: Int) { ledger.reserveCapacity(capacity) }

    var count: Int { ledger.count }
    var touched: Set<PublicKey>? { ledger.touched }

    /// What the router lacks of what it should have by now: the flood entry only if it was heard of in this device.
    func missingEntries(of router: Router) -> FdbEntries {
        let missing = wanted.subtracting(router.entries)
        return router.hasSession ? missing : missing.subtracting(.flood)
    }

    /// Other rules.
    mutating func change(wanted: FdbEntries) {
        guard wanted != self.wanted else { return }
        self.wanted = wanted
        lacking = Set(ledger.filter { !missingEntries(of: $0.value).isEmpty }.map(\.key))
    }

    mutating func beginNoting() { ledger.beginNoting() }
    mutating func endNoting() { ledger.endNoting() }

    /// See ``Ledger/take(touchedIn:)``.
    mutating func take(touchedIn current: Routers) {
        for key in current.touched ?? [] { self[key] = current[key] }
        ledger.endNoting()
    }

    private mutating func account(for key: PublicKey, _ before: Router?, _ after: Router?) {
        if let before, !before.hasSession { silentCount -= 1 }
        if let after, !after.hasSession { silentCount += 1 }
        let isLacking = after.map { !missingEntries(of: $0).isEmpty } ?? false
        // Hashing is dear, and nearly nobody lacks anything.
        if isLacking {
            lacking.insert(key)
        } else if !lacking.isEmpty {
            lacking.remove(key)
        }
    }
}

extension Routers: Sequence {
    func makeIterator() -> Dictionary<PublicKey, Router>.Iterator { ledger.makeIterator() }
}
