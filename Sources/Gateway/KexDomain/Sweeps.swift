internal import GatewayEvents
public import HandlerChannel
internal import KexConfiguration
internal import KexGateway
internal import Logging
internal import SystemCalls
internal import Systemd
internal import WireGuardTypes

/// Sweeps of one domain: each waits for a refresh, and for the removals that it leads to.
struct Sweeps {
    typealias Report = MeshDomain.SweepReport

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
    mutating func fail(_ failure: DomainFailure) {
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

/// Routers that stay silent go.
extension MeshDomain {
    /// What came of a sweep: what became of each router that was stale, and how many routers there were; or why there was none.
    public typealias SweepReport = Result<(events: [SweepEvent], peers: Int), DomainFailure>

    /// Has this domain swept for a program.
    ///
    /// - Parameter token: under which it gets the report: see ``takeSweepReport(for:)``.
    public func sweep(for token: UInt64, isDryRun: Bool) {
        sweeps.ask(token, isDryRun: isDryRun)
        // A domain that rests is left to rest.
        if let outage, !isDoubtful, context.now < schedule.earliest { return sweeps.fail(outage) }
        scheduleRefresh(at: context.now, isUrgent: true)
    }

    /// Takes in what a sweep found, and takes out those that stayed stale. It is reported when they are gone.
    ///
    /// - Parameter touched: who did something since the refresh began: they stay.
    func takeIn(_ finding: Refresh.SweepFinding, _ touched: Set<PublicKey>) {
        let isDryRun = sweeps.isDryRun
        if let step = finding.clockStep, !isDryRun {
            log(.clockStepped, .warning, "the clock was stepped by \(step) s: this sweep removes nobody")
        }
        if finding.isNewlySuspicious, !isDryRun {
            let line = "more than half of the routers fell silent together: this sweep removes nobody"
            log(.massSilence, .warning, "\(line); a later one does, if they stay silent")
        }
        let gone = isDryRun ? [] : finding.verdicts.filter { $0.action == .remove && !touched.contains($0.key) }
        let progress = SweepProgress(finding.verdicts, touched: touched, missing: gone.count)
        guard !gone.isEmpty else { return finish(progress, of: finding) }
        for verdict in gone {
            let key = verdict.key
            chores.depart(
                Chores.Departure(
                    key: key,
                    addresses: verdict.addresses,
                    isOwnWord: true,
                    hasSpoken: true,
                    isDue: { $0.table.addresses(of: key) != nil && !$0.table.isRegistering(key) },
                    isDone: { [weak self] isGone in
                        guard let self else { return }
                        if isGone {
                            log(.removed, .info, key: key, "removed \(key): silent in two sweeps")
                        } else if table.isRegistering(key) {
                            progress.returned.insert(key)
                        } else {
                            progress.failed.insert(key)
                        }
                        progress.missing -= 1
                        if progress.missing == 0 { finish(progress, of: finding) }
                    }
                )
            )
        }
    }

    private func finish(_ progress: SweepProgress, of finding: Refresh.SweepFinding) {
        let events = progress.verdicts.map { verdict in
            let action: SweepEvent.Action =
                switch verdict.action {
                case .mark: .marked
                case .wait: .waiting
                case .remove where progress.returned.contains(verdict.key): .returned
                case .remove: progress.failed.contains(verdict.key) ? .failed : .removed
                case .unmark: .returned
                }
            return SweepEvent(domain: settings.name, key: verdict.key, action: action, silence: verdict.silence)
        }
        sweeps.finish(events, peers: finding.routerCount)
    }

    /// Whether ``takeSweepReport(for:)`` has something.
    public func hasSweepReport(for token: UInt64) -> Bool { sweeps.hasReport(for: token) }

    /// What came of the sweep that was asked for under this token, once; `nil` if it is not over.
    public func takeSweepReport(for token: UInt64) -> SweepReport? { sweeps.takeReport(for: token) }

    /// Nobody waits any more for the sweep that was asked for under this token.
    public func forgetSweep(for token: UInt64) { sweeps.forget(token) }
}

/// A sweep whose removals are on their way.
private final class SweepProgress {
    let verdicts: [SweepVerdict]
    var returned: Set<PublicKey>
    var failed: Set<PublicKey> = []
    var missing: Int

    init(_ verdicts: [SweepVerdict], touched: Set<PublicKey>, missing: Int) {
        self.verdicts = verdicts
        returned = touched.intersection(verdicts.lazy.filter { $0.action == .remove }.map(\.key))
        self.missing = missing
    }
}
