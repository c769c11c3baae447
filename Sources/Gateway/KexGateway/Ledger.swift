internal import WireGuardTypes

/// What is known of each key, and, on demand, of which keys it has changed since a moment.
///
/// A table is compared with the kernel on a copy, beside the loop that goes on with the table. When the copy takes the
/// table's place, what was done meanwhile is taken over key by key: see `Comparison.swift`.
struct Ledger<Value: Sendable>: Sendable {
    private var entries: [PublicKey: Value] = [:]
    /// `nil` unless changes are being noted.
    private(set) var touched: Set<PublicKey>?

    subscript(key: PublicKey) -> Value? {
        get { entries[key] }
        _modify {
            touched?.insert(key)
            yield &entries[key]
        }
    }

    @discardableResult
    mutating func removeValue(forKey key: PublicKey) -> Value? {
        touched?.insert(key)
        return entries.removeValue(forKey: key)
    }

    var count: Int { entries.count }
    var isEmpty: Bool { entries.isEmpty }
    var keys: Dictionary<PublicKey, Value>.Keys { entries.keys }
    var values: Dictionary<PublicKey, Value>.Values { entries.values }

    mutating func removeAll(keepingCapacity: Bool = false) {
        if touched != nil { touched?.formUnion(entries.keys) }
        entries.removeAll(keepingCapacity: keepingCapacity)
    }

    mutating func reserveCapacity(_ capacity: Int) { entries.reserveCapacity(capacity) }

    /// Forgets the others.
    mutating func keep(where isKept: (PublicKey) -> Bool) {
        let gone = entries.keys.filter { !isKept($0) }
        for key in gone { removeValue(forKey: key) }
    }

    mutating func beginNoting() { touched = [] }

    mutating func endNoting() { touched = nil }

    /// Takes the place of `current`, from which this is a copy that others have changed since: for the keys whose
    /// entries were touched there, they are what they are there.
    mutating func take(touchedIn current: Ledger) {
        for key in current.touched ?? [] { entries[key] = current.entries[key] }
        touched = nil
    }
}

extension Ledger: Sequence {
    func makeIterator() -> Dictionary<PublicKey, Value>.Iterator { entries.makeIterator() }
}
