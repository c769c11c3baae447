internal import LinkFacts
internal import WireGuardTypes

/// What this machine says, in the order in which it began to say it, with what it has withdrawn. All receivers read the
/// same journal, each from its own place, so what they have been told costs one number for each.
struct Journal: Sendable {
    /// Something that is said, or was.
    struct Entry: Hashable, Sendable {
        let subject: PublicKey
        let statement: Fact.Statement
        var origin: CandidateEndpoint.Origin
        var isWithdrawn = false
        fileprivate(set) var version: UInt64 = 0

        init(_ subject: PublicKey, _ statement: Fact.Statement, _ origin: CandidateEndpoint.Origin) {
            self.subject = subject
            self.statement = statement
            self.origin = origin
        }

        /// With no time to live.
        var fact: Fact { Fact(subject: subject, statement, timeToLive: .none) }
    }

    /// Of the last entry. The first one has 1.
    private(set) var last: UInt64 = 0
    /// A receiver whose place is before this one has missed withdrawals that are not known any more.
    private(set) var oldestComplete: UInt64 = 0
    private var entries: [Fact.Key: Entry] = [:]
    private var keys: [PublicKey: Set<Fact.Key>] = [:]
    /// By version. A key that is here again further behind has a newer one.
    private var order: [(version: UInt64, key: Fact.Key)] = []
    private var withdrawn = 0

    /// How many facts are said now.
    var count: Int { entries.count - withdrawn }

    /// Says exactly this of a subject from now on.
    mutating func say(_ statements: [Entry], of subject: PublicKey) {
        var wanted: [Fact.Key: Entry] = [:]
        for entry in statements {
            let key = entry.fact.key
            // Of two origins the better one.
            if let other = wanted[key], other.origin <= entry.origin { continue }
            wanted[key] = entry
        }
        for key in keys[subject] ?? [] where wanted[key] == nil {
            guard var entry = entries[key], !entry.isWithdrawn else { continue }
            entry.isWithdrawn = true
            withdrawn += 1
            write(entry, key)
        }
        // In the order in which they were given.
        for entry in statements {
            let key = entry.fact.key
            guard let new = wanted.removeValue(forKey: key) else { continue }
            if let known = entries[key] {
                if !known.isWithdrawn, known.origin == new.origin, known.statement == new.statement { continue }
                if known.isWithdrawn { withdrawn -= 1 }
            }
            write(new, key)
        }
        if withdrawn > FactLimits.withdrawals { forgetWithdrawals() }
        if order.count > 2 * entries.count + 64 { compact() }
    }

    /// The entries behind a place, the oldest first.
    func entries(after version: UInt64) -> some Sequence<Entry> {
        var first = 0
        var end = order.count
        while first < end {
            let middle = (first + end) / 2
            if order[middle].version <= version { first = middle + 1 } else { end = middle }
        }
        return order[first...].lazy.compactMap { item in
            entries[item.key].flatMap { $0.version == item.version ? $0 : nil }
        }
    }

    private mutating func write(_ entry: Entry, _ key: Fact.Key) {
        last += 1
        var entry = entry
        entry.version = last
        entries[key] = entry
        keys[entry.subject, default: []].insert(key)
        order.append((last, key))
    }

    /// Forgets the older half of what was withdrawn.
    private mutating func forgetWithdrawals() {
        var left = FactLimits.withdrawals / 2
        for (version, key) in order {
            guard left > 0 else { break }
            guard let entry = entries[key], entry.version == version, entry.isWithdrawn else { continue }
            entries[key] = nil
            keys[entry.subject]?.remove(key)
            if keys[entry.subject]?.isEmpty ?? false { keys[entry.subject] = nil }
            oldestComplete = version
            withdrawn -= 1
            left -= 1
        }
        compact()
    }

    private mutating func compact() { order.removeAll { entries[$0.key]?.version != $0.version } }
}

extension Journal {
    /// How much is kept, for tests.
    var length: Int { order.count + entries.count }
}
