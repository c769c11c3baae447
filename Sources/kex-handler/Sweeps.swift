internal import HandlerChannel
internal import KexGateway
internal import WireGuardTypes

/// Sweeps of one domain: each waits for a refresh, and for the removals that it leads to.
struct Sweeps {
    typealias Report = Result<(events: [SweepEvent], peers: Int), MeshDomain.Failure>

    private struct Waiter {
        let token: UInt64
        let isDryRun: Bool
    }

    /// In the order in which they asked.
    private var waiting: [Waiter] = []
    /// Whose look is being made, or whose removals are.
    private var current: Waiter?
    /// Whose reports are ready, by the connection that asked.
    private var reports: [UInt64: Report] = [:]

    /// Whether the sweep that is being carried out only says what it would do.
    var isDryRun: Bool { current?.isDryRun ?? true }

    var isWanted: Bool { current == nil && !waiting.isEmpty }

    mutating func ask(_ token: UInt64, isDryRun: Bool) {
        waiting.append(Waiter(token: token, isDryRun: isDryRun))
    }

    /// A refresh begins.
    ///
    /// - Returns: the sweep that it is for; `nil` if nobody waits for one.
    mutating func begin() -> RefreshRequest.SweepKind? {
        guard isWanted else { return nil }
        let waiter = waiting.removeFirst()
        current = waiter
        return waiter.isDryRun ? .dry : .real
    }

    /// The refresh was worth nothing; another one follows.
    mutating func retry() {
        if let current { waiting.insert(current, at: 0) }
        current = nil
    }

    /// There is no knowing.
    mutating func fail(_ failure: MeshDomain.Failure) {
        for waiter in [current].compactMap(\.self) + waiting { reports[waiter.token] = .failure(failure) }
        current = nil
        waiting = []
    }

    mutating func finish(_ events: [SweepEvent], peers: Int) {
        if let current { reports[current.token] = .success((events, peers)) }
        current = nil
    }

    func hasReport(for token: UInt64) -> Bool { reports[token] != nil }

    /// What the connection asked for, once.
    mutating func takeReport(for token: UInt64) -> Report? { reports.removeValue(forKey: token) }

    /// Nobody waits for it any more.
    mutating func forget(_ token: UInt64) {
        waiting.removeAll { $0.token == token }
        reports[token] = nil
    }
}
