internal import KexProtocol

/// Which gateways' clocks differ from ours, according to the times of their notes, and what was reported of that.
struct GatewayClocks: Sendable {
    private struct Report: Sendable {
        /// By how much the clock was ahead; zero if it was right.
        var difference: Duration
        /// No other report before this time.
        var next: Duration
    }

    private var reports: [GatewayName: Report] = [:]

    /// Takes in the time of a note.
    ///
    /// - Parameters:
    ///   - difference: how far the time is in the future by our clock; less than zero if it is past.
    ///   - isNew: whether the note was published just now, so that its time is the gateway's present time.
    /// - Returns: what is to be reported: a new difference, or that there is none any more.
    mutating func see(_ gateway: GatewayName, _ difference: Duration, isNew: Bool, at now: Duration) -> BusNotice? {
        let isRight = difference <= BusLimit.clockTolerance && difference >= .zero - BusLimit.clockTolerance
        // A kept note is old, as it should be. One from the future shows a wrong clock even so.
        guard isNew || difference > BusLimit.clockTolerance else { return nil }
        let found = isRight ? .zero : difference
        let report = reports[gateway]
        let change = found - (report?.difference ?? .zero)
        guard abs(change.components.seconds) >= BusLimit.clockTolerance.components.seconds, report?.next ?? now <= now,
            report != nil || reports.count < BusLimit.gateways
        else { return nil }
        reports[gateway] = Report(difference: found, next: now + BusLimit.clockNoticeInterval)
        return .clock(gateway: gateway.text, ahead: found)
    }
}
