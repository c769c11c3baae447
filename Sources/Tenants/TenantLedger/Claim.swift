internal import NetworkAddresses

/// What the lines of a ledger say about one holding.
struct Claim: Hashable, Sendable {
    /// The line that took it, and again after it had been given back.
    var line: Int
    /// The hash of that line: which of two came first in the same second must not depend on how clones were merged.
    var hash: LineHash
    var takenAt: LedgerTime
    /// `nil` while it is held; afterwards the end of its quarantine, and the line that says so.
    var given: Release?
    /// The allocation of a prefix.
    var allocation: IPv6Prefix?

    struct Release: Hashable {
        var until: LedgerTime
        var line: Int
    }

    var isHeld: Bool { given == nil }

    func isQuarantined(at now: LedgerTime) -> Bool { given.map { now < $0.until } ?? false }

    /// Which of two that hold the same came first.
    func precedes(_ other: Claim) -> Bool { (takenAt, hash) < (other.takenAt, other.hash) }
}
