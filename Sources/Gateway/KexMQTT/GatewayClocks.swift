internal import KexProtocol

/// Which gateways' clocks differ from ours, as the times of their notes tell, and what was said of it.
struct GatewayClocks: Sendable {
    private struct Word: Sendable {
        /// By how much the clock is ahead, as was said; zero if it is right.
        var difference: Duration
        /// No other word before this time.
        var next: Duration
    }

    private var words: [GatewayName: Word] = [:]

    /// Takes in the time of a note.
    ///
    /// - Parameters:
    ///   - difference: by how much it is in the future by our clock; less than zero in the past.
    ///   - isNew: whether it was published just now, so that it is of now by the gateway's clock.
    /// - Returns: what is to be said: a difference that was not said before, or that there is none any more.
    mutating func see(_ gateway: GatewayName, _ difference: Duration, isNew: Bool, at now: Duration) -> BusNotice? {
        let isRight = difference <= BusLimit.clockTolerance && difference >= .zero - BusLimit.clockTolerance
        // What was kept is old, as it should be; but nothing is kept from the future.
        guard isNew || difference > BusLimit.clockTolerance else { return nil }
        let found = isRight ? .zero : difference
        let word = words[gateway]
        let change = found - (word?.difference ?? .zero)
        guard abs(change.components.seconds) >= BusLimit.clockTolerance.components.seconds, word?.next ?? now <= now,
            word != nil || words.count < BusLimit.gateways
        else { return nil }
        words[gateway] = Word(difference: found, next: now + BusLimit.clockNoticeInterval)
        return .clock(gateway: gateway.text, ahead: found)
    }
}
