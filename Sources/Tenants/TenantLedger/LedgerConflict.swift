public import TenantModel

/// Two lines that cannot both hold: clones of a repository have both allocated.
public struct LedgerConflict: Hashable, Sendable {
    /// That of the earlier time, which keeps it.
    public let first: Holding
    public let firstLine: Int
    /// That of the later time. Of two in one second it is the one with the greater hash, so that all clones agree, in
    /// whatever order they were merged.
    public let later: Holding
    public let laterLine: Int
}

extension LedgerConflict: CustomStringConvertible {
    /// Behind the name of the file.
    public var description: String {
        "lines \(firstLine) and \(laterLine) are a double allocation: \(first), and \(later)"
    }
}

extension Ledger {
    /// All double allocations, in the order of the lines that come later.
    public var conflicts: [LedgerConflict] {
        var conflicts: Set<LedgerConflict> = []
        for key in contested {
            let held = heldInOrder(key)
            for later in held.dropFirst() {
                conflicts.insert(
                    LedgerConflict(
                        first: held[0],
                        firstLine: line(of: held[0]),
                        later: later,
                        laterLine: line(of: later)
                    )
                )
            }
        }
        return conflicts.sorted { ($0.laterLine, $0.firstLine) < ($1.laterLine, $1.firstLine) }
    }

    private func heldInOrder(_ key: Holding.Key) -> [Holding] {
        holdings[key, default: []].filter { claims[$0]?.isHeld == true }.sorted { precedes($0, $1) }
    }

    /// Joins what clones wrote, and takes from each double allocation the later one away. Who lost something gets
    /// another when asked for it again; nothing else changes.
    ///
    /// The same ledger gives the same result in every clone.
    ///
    /// - Parameter yielding: members that lose theirs though it is the earlier one: that of the other is in use already.
    /// - Returns: what was taken away.
    public mutating func rebase(
        yielding: Set<MemberID> = [],
        at now: LedgerTime,
        quarantine: Duration = Ledger.quarantine
    ) -> [Holding] {
        let involved = Set(contested.flatMap { heldInOrder($0) })
        func yields(_ holding: Holding) -> Bool { yielding.contains { holding.needs($0) } }
        let inOrder = involved.sorted {
            yields($0) == yields($1) ? precedes($0, $1) : yields($1)
        }
        var kept: Set<Holding.Key> = []
        var lost: [Holding] = []
        for holding in inOrder {
            if kept.isDisjoint(with: holding.keys) { kept.formUnion(holding.keys) } else { lost.append(holding) }
        }
        if lost.isEmpty { join(at: now) }
        for holding in lost {
            // What is somebody else's needs no quarantine.
            let isInUse = holding.keys.contains { $0.isThing && heldInOrder($0).count > 1 }
            write(.give(holding, until: isInUse ? now : now + quarantine), at: now)
        }
        return lost
    }

    /// Gives back all that a member has. It is nobody's until the end of its quarantine.
    ///
    /// - Parameter quarantine: zero also ends one that has begun.
    /// - Returns: what was given back.
    public mutating func release(
        _ member: MemberID,
        at now: LedgerTime,
        quarantine: Duration = Ledger.quarantine
    ) -> [Holding] {
        release(ofNetwork[member.network, default: []].filter { $0.needs(member) }, at: now, quarantine)
    }

    /// Gives back all that a network has.
    public mutating func release(
        _ network: NetworkName,
        at now: LedgerTime,
        quarantine: Duration = Ledger.quarantine
    ) -> [Holding] {
        release(ofNetwork[network, default: []], at: now, quarantine)
    }

    private mutating func release(_ holdings: [Holding], at now: LedgerTime, _ quarantine: Duration) -> [Holding] {
        let until = now + quarantine
        let given = holdings.filter { holding in
            guard let claim = claims[holding] else { return false }
            return claim.isHeld || quarantine == .zero && claim.isQuarantined(at: now)
        }
        for holding in given { write(.give(holding, until: until), at: now) }
        return given
    }
}
