internal import Time
public import WireGuardTypes

/// What a sweep makes of one router.
public struct SweepVerdict: Hashable, Sendable {
    /// What is to be done about the router.
    public enum Action: Hashable, Sendable {
        /// Stale for the first time.
        case mark
        /// Marked, but not long enough ago.
        case wait
        /// Stale, and marked long enough ago: it is to leave.
        case remove
        /// Heard of since it was marked.
        case unmark
    }

    public var key: PublicKey
    public var addresses: RouterAddresses
    public var action: Action
    /// Seconds since the last handshake; `nil` if there never was one.
    public var silence: Int64?
}

/// What a sweep found.
public struct SweepFindings: Sendable {
    /// Whether it only says what a sweep would do.
    public var isDryRun: Bool
    /// In the order of the keys' text.
    public var verdicts: [SweepVerdict]
    /// Routers before it.
    public var routerCount: Int
    /// Seconds by which the clock was stepped since the sweep before; `nil` if it was not.
    public var clockStep: Int64?
    /// Whether it is this sweep that found too many silent.
    public var isNewlySuspicious: Bool
}

extension DomainTable {
    /// Difference between the two clocks that counts as a step of the wall clock. It is more than a leap second and the
    /// slow corrections of NTP between two sweeps, and less than anything that could make a router stale.
    public static let clockStep = Duration.seconds(60)

    /// Removals in one sweep from which they are compared with ``suspiciousShare``; below, a small domain is just
    /// small.
    public static let suspiciousRemovals = 10
    /// If more than one of this many routers should go at once, the gateway is the more likely culprit: a clock, or its
    /// own way to the internet.
    public static let suspiciousShare = 2

    /// Whether the last sweep removed nobody because of ``suspiciousShare``.
    var isSilenceSuspicious: Bool { suspicion != nil }

    /// Goes through all routers, in the order of their keys' text. Call it right after
    /// ``reset(to:isNewDevice:sinceStart:)``.
    ///
    /// A router is stale if its last handshake is older than ``DomainRules/staleAfter``, or if there never was one. One
    /// that was brought back into a new device is given that time from then on.
    ///
    /// WireGuard dates handshakes by the wall clock. So a handshake in the future counts as fresh, and a router is
    /// removed only if no authenticated byte came in since it was marked, and if the clock was not stepped since. After
    /// a step all marks are set anew.
    ///
    /// If ``suspiciousShare`` of the routers should be removed at once, they have to stay silent for one more
    /// ``DomainRules/sweepInterval``.
    ///
    /// - Parameter isDryRun: leave the marks as they are.
    mutating func sweep(_ now: Moment, isDryRun: Bool) -> [SweepVerdict] {
        let step = clockStep(until: now)
        var verdicts: [SweepVerdict] = []
        // Routers whose peers the operator has changed are left alone.
        for (key, router) in routers where !router.isHeld {
            var lastHeard = router.lastHeard
            // Remembered by this process, so it can be moved along; handshakes in the kernel cannot.
            if let step, !router.hasSession, let time = lastHeard {
                let (moved, isAbsurd) = time.addingReportingOverflow(step)
                lastHeard = isAbsurd ? time : moved
            }
            // A router is silent only if it is so at every gateway.
            let heard = heardInFleet.isEmpty ? lastHeard : lastHeard.map { max($0, heardInFleet[key] ?? $0) }
            // Before 1970 is as good as in 1970, and then the difference has no overflow.
            let silence = heard.map { now.seconds - max($0, 0) }
            var isStale = silence.map { .seconds($0) > rules.staleAfter } ?? true
            if lastHeard != nil, !router.hasSession, now.sinceStart - restoredAt <= rules.staleAfter {
                isStale = false
            }
            let ownMark = marks.isEmpty ? nil : marks[key]
            let oldMark = step == nil ? ownMark : nil
            var mark: StaleMark? = nil
            let action: SweepVerdict.Action?
            switch (isStale, oldMark) {
            case (false, nil): action = ownMark == nil ? nil : .unmark
            case (false, .some): action = .unmark
            case (true, nil):
                action = .mark
                mark = StaleMark(since: now.sinceStart, receivedBytes: router.receivedBytes)
            case (true, let old?) where old.receivedBytes != router.receivedBytes: action = .unmark
            case (true, let old?):
                action = now.sinceStart - old.since < rules.sweepInterval ? .wait : .remove
                mark = old
            }
            if !isDryRun {
                if mark != ownMark { marks[key] = mark }
                if lastHeard != router.lastHeard { routers[key]?.lastHeard = lastHeard }
            }
            if let action {
                verdicts.append(SweepVerdict(key: key, addresses: router.addresses, action: action, silence: silence))
            }
        }
        let removals = verdicts.count { $0.action == .remove }
        let isMany = removals >= Self.suspiciousRemovals && removals * Self.suspiciousShare > routers.count
        let suspicion = isMany ? self.suspicion ?? now.sinceStart : nil
        let isCertain = suspicion.map { now.sinceStart - $0 >= rules.sweepInterval } ?? true
        if !isCertain {
            for index in verdicts.indices where verdicts[index].action == .remove { verdicts[index].action = .wait }
        }
        if !isDryRun {
            self.suspicion = isCertain ? nil : suspicion
            clocks = now
            changeCount += 1
        }
        return verdicts.map { (text: $0.key.description, verdict: $0) }.sorted { $0.text < $1.text }.map(\.verdict)
    }

    /// By how many seconds the wall clock was stepped since the last sweep; `nil` if it was not.
    func clockStep(until now: Moment) -> Int64? {
        guard let clocks else { return nil }
        let step = now.wallClock - clocks.wallClock - (now.sinceStart - clocks.sinceStart)
        return abs(step.components.seconds) >= Self.clockStep.components.seconds ? step.components.seconds : nil
    }
}
