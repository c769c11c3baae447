internal import LinkFacts

/// Times of the gossip. Source, where nothing else is said: wirelink's behaviour, measured.
enum FactTimes {
    /// From one round to the next: machines of the field are told what is new, and peers are configured.
    static let round = Duration.seconds(5)
    /// A session is healthy until its last handshake is so old: the times after which WireGuard renews a session, gives
    /// up a handshake and sends a keepalive, the longest jitter, and 30 s.
    static let handshakeValidity = Duration.seconds(120 + 5 + 10 + 30) + .milliseconds(334)
    /// From one alive fact to the next.
    static let alive = Duration.seconds(30)
    /// The same while the receiver has not been heard, for the first ``eagerTries``. Ours; the field waits.
    static let eagerAlive = Duration.seconds(5)
    static let eagerTries = 3
    /// Everything is told again after so long, in rounds of ``round``: the receiver's knowledge lasts 255 s, and half
    /// of that is left when it comes.
    static let refresh = Duration.seconds(120)
    /// A machine is left alone by removals until it has been running for so long, a whole time to live.
    static let settling = Duration.seconds(255)
    /// Who says that a machine is no member any more has been there for so long, and will stay for so long.
    static let steadiness = Duration.seconds(260)
    static let persistence = Duration.milliseconds(7_500)
    /// A machine that was removed from the device is remembered for so long, in case that it comes back at once.
    static let absence = Duration.seconds(60)
    /// What was said before a machine of ours started again holds for so long at most.
    static let fading = Duration.seconds(255)
    /// What was said before one of ours told everything anew, without a start, holds for so long: until all of it came.
    static let briefFading = Duration.seconds(30)
    /// A new identifier of this start, which makes others tell everything again, comes no sooner after the last.
    static let bootPause = Duration.seconds(60)
    /// An endpoint that a machine names for another is not displaced by it in the same round.
    static let sameRound = round
}

/// Times of deltas between ours.
enum DeltaTimes {
    static let firstRetry = Duration.seconds(1)
    static let longestRetry = Duration.seconds(16)
    /// A delta that was sent so often without an answer to one that is heard is given up, and everything is told anew.
    static let tries = 8
    /// From one alive fact to the next. Its answer also shows that the receiver knows what it was told.
    static let alive = Duration.seconds(60)
    /// Deltas on their way to one receiver.
    static let window = 8
    /// Changes that come sooner after a delta wait and go together, for each receiver that there is.
    static let gathering = Duration.milliseconds(1)
    static let leastGathering = Duration.milliseconds(50)
}
