internal import GatewayEvents
public import HandlerChannel
internal import KexConfiguration
internal import KexGateway
internal import KexProtocol
internal import Logging
internal import SystemCalls
internal import Systemd
internal import WireGuardTypes

/// The sweeps of one domain. Each waits for a refresh, and for the removals that follow from it.
struct Sweeps {
    typealias Report = MeshDomain.SweepReport

    private struct Waiter {
        let token: UInt64
        let isDryRun: Bool
    }

    /// In the order in which they asked.
    private var waiting: [Waiter] = []
    /// The one whose refresh or whose removals are under way.
    private var current: Waiter?
    /// Whether nobody waits for the report of ``current`` any more.
    private var isForgotten = false
    /// Whose reports are ready, by the connection that asked.
    private var reports: [UInt64: Report] = [:]

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
        isForgotten = false
        return waiter.isDryRun ? .dry : .real
    }

    /// The refresh was dropped, and another one follows.
    mutating func retry() {
        guard progress == nil else { return }
        if let current, !isForgotten { waiting.insert(current, at: 0) }
        current = nil
    }

    /// The kernel cannot be read.
    mutating func fail(_ failure: DomainFailure) {
        let first = isForgotten ? nil : current
        for waiter in [first].compactMap(\.self) + waiting { reports[waiter.token] = .failure(failure) }
        current = nil
        progress = nil
        waiting = []
    }

    /// What became of a router that a sweep removes.
    enum Fate {
        case removed
        case returned
        case failed
    }

    /// A sweep whose removals are on their way.
    private struct Progress {
        let findings: SweepFindings
        /// Routers that are still to leave.
        var waiting: Set<PublicKey>
        var fates: [PublicKey: Fate] = [:]
    }

    private var progress: Progress?

    /// The refresh has found this. It is reported when the routers that are to leave are gone.
    mutating func takeIn(_ findings: SweepFindings, in domain: DomainName) {
        let leaving = findings.isDryRun ? [] : findings.verdicts.filter { $0.action == .remove }
        progress = Progress(findings: findings, waiting: Set(leaving.map(\.key)))
        finishIfDone(in: domain)
    }

    /// A router left, or did not.
    mutating func note(_ key: PublicKey, _ fate: Fate, in domain: DomainName) {
        guard progress?.waiting.remove(key) != nil else { return }
        progress?.fates[key] = fate
        finishIfDone(in: domain)
    }

    private mutating func finishIfDone(in domain: DomainName) {
        guard let progress, progress.waiting.isEmpty else { return }
        let events = progress.findings.verdicts.map { verdict in
            let action: SweepEvent.Action =
                switch verdict.action {
                case .mark: .marked
                case .wait: .waiting
                case .unmark: .returned
                case .remove:
                    switch progress.fates[verdict.key] {
                    case .removed?, nil: .removed
                    case .returned?: .returned
                    case .failed?: .failed
                    }
                }
            return SweepEvent(domain: domain, key: verdict.key, action: action, silence: verdict.silence)
        }
        if let current, !isForgotten { reports[current.token] = .success((events, progress.findings.routerCount)) }
        current = nil
        self.progress = nil
    }

    func hasReport(for token: UInt64) -> Bool { reports[token] != nil }

    /// What the connection asked for, once.
    mutating func takeReport(for token: UInt64) -> Report? { reports.removeValue(forKey: token) }

    /// Nobody waits for it any more.
    mutating func forget(_ token: UInt64) {
        waiting.removeAll { $0.token == token }
        // What is under way goes on, or the next sweep would begin among its removals.
        if current?.token == token { isForgotten = true }
        reports[token] = nil
    }
}

/// Routers that stay silent go.
extension MeshDomain {
    /// What came of a sweep: what became of each router that was stale, and how many routers there were; or why there
    /// was none.
    public typealias SweepReport = Result<(events: [SweepEvent], peers: Int), DomainFailure>

    /// Asks for a sweep.
    ///
    /// - Parameter token: of whoever asks, for ``takeSweepReport(for:)``.
    public func sweep(for token: UInt64, isDryRun: Bool) {
        sweeps.ask(token, isDryRun: isDryRun)
        // After a failure the domain rests.
        if let failure = state.failure, !schedule.isOutdated, context.now < schedule.earliest {
            return sweeps.fail(failure)
        }
        scheduleRefresh(at: context.now, isUrgent: true)
    }

    /// Takes in what a sweep found. Those who stayed silent are in the backlog.
    func takeIn(_ findings: SweepFindings) {
        if let step = findings.clockStep, !findings.isDryRun {
            log(.clockStepped, .warning, "the clock was stepped by \(step) s: this sweep removes nobody")
        }
        if findings.isNewlySuspicious, !findings.isDryRun {
            let line = "more than half of the routers fell silent together: this sweep removes nobody"
            log(.massSilence, .warning, "\(line); a later one does, if they stay silent")
        }
        sweeps.takeIn(findings, in: settings.name)
    }

    /// Whether ``takeSweepReport(for:)`` has something.
    public func hasSweepReport(for token: UInt64) -> Bool { sweeps.hasReport(for: token) }

    /// What came of the sweep that was asked for under this token, once; `nil` if it is not over.
    public func takeSweepReport(for token: UInt64) -> SweepReport? { sweeps.takeReport(for: token) }

    /// Nobody waits any more for the sweep that was asked for under this token.
    public func forgetSweep(for token: UInt64) { sweeps.forget(token) }
}
