// Git knows nothing of ledgers. When it takes the lines of both sides it keeps those of a side in their order, but where
// both have merged already, in different orders, it may put a line before the one that it was written after, or twice.
// So a ledger is a set of lines, of which each says after which others it was written, and it means the same in whatever
// order they stand.

extension Ledger {
    /// Applies the lines of a text in an order that depends on nothing but what they are: by the longest way back to the
    /// first line, then by time.
    ///
    /// - Throws: for the first line in the text that was written after one that is not there.
    mutating func settle() throws(LedgerDamage) {
        guard !isInOrder else { return }
        for entry in entries where !entry.line.parents.allSatisfy(known.contains) {
            throw LedgerDamage(line: entry.number, .comesAfterNone)
        }
        let depths = depths()
        var ordered = Ledger()
        (ordered.lineCount, ordered.entries, ordered.known) = (lineCount, entries, known)
        (ordered.ends, ordered.last) = ([Self.root: 1], Self.root)
        let places = zip(entries, depths).map { (entry: $0, depth: $1) }.sorted { one, other in
            (one.depth, one.entry.line.time, one.entry.hash) < (other.depth, other.entry.line.time, other.entry.hash)
        }
        for place in places { ordered.apply(place.entry) }
        self = ordered
    }

    /// The longest way of each entry back to the first line. No line can be before itself: it would need its own hash.
    private func depths() -> [Int] {
        var depths = [Int](repeating: 0, count: entries.count)
        var known: [LineHash: Int] = [Self.root: 0]
        var waiting: [LineHash: [Int]] = [:]
        for start in entries.indices {
            var ready = [start]
            while let index = ready.popLast() {
                let entry = entries[index]
                if let missing = entry.line.parents.first(where: { known[$0] == nil }) {
                    waiting[missing, default: []].append(index)
                    continue
                }
                depths[index] = 1 + (entry.line.parents.compactMap { known[$0] }.max() ?? 0)
                known[entry.hash] = depths[index]
                ready += waiting.removeValue(forKey: entry.hash) ?? []
            }
        }
        return depths
    }
}
