public import SourceLimits

/// What strangers may make of one domain. The operator sets ``DomainRules/maximumPeers``; the rest is the same
/// everywhere.
public enum DomainLimit {
    /// New keys of one source. A front door without a handler has the same limit. See ``SourceLimits`` for what a
    /// source is.
    public static let newKeysOfSource = SourceLimits.Share.newKeys

    /// New keys of all sources: those of a domain whose gateway lost its saved state, within a minute. Later 50 a
    /// second. A domain has this twice: for sources that brought no key lately, and for the others. So a flood from
    /// many sources, which are no longer new after their first key, leaves room for a router that comes from somewhere
    /// else.
    static let newKeys = TokenBucket.Size(burst: 1000, interval: .milliseconds(20))

    /// Routers that have not been heard of. When newcomers take the places of others, the others leave right after
    /// them, so that no answer waits for a removal: so there are some more for moments, but never twice as many.
    public static let pending = 1024
    /// The same, of one source.
    public static let pendingOfSource = 32
    /// How long a router may take for its first handshake.
    public static let pendingTime = Duration.seconds(300)
    /// How long it may take when others wait for its place. WireGuard repeats a handshake that got no answer after 5 s
    /// (whitepaper, section 6.4: REKEY_TIMEOUT). With ``newKeys`` all places are used up in this time, not before.
    public static let pendingGrace = Duration.seconds(10)

    /// Routers at one address, or of one /64, before they give way in a full domain: a block of houses behind one
    /// address.
    static let share = 32
    /// How many times that of a /64 all of a /48 may hold, which is what one customer may get.
    static let siteFactor = 8

    /// A handshake older than this is worth nothing: no key of its session is used any more, by either side (WireGuard
    /// whitepaper, section 6.2: REJECT_AFTER_TIME).
    public static let sessionTime = Duration.seconds(180)
    /// A router that registers again and has a session is given this time to send an authenticated byte. The firmware
    /// sends one every 25 s, because it keeps its address translation alive.
    public static let evidenceTime = Duration.seconds(31)
    /// A snapshot that is begun this soon after the registration says what had been received by then: less than the
    /// shortest time between two signs of life of the firmware, so that a router that lives is not found dead for it.
    static let evidenceDelay = Duration.seconds(5)
    /// How much earlier a check may be made when another one is made anyway: one question to WireGuard serves both.
    static let evidenceTolerance = Duration.seconds(1)
    /// A router that registers again and never shook hands since it is in the device has had this time to do so.
    public static let firstHandshakeTime = Duration.seconds(30)
    /// Shortest time from one reset of a router's session to the next.
    public static let resetPause = Duration.seconds(60)
    /// Resets of all routers of a domain: 64 without a pause, 5 a second in the long run, because each takes the lock
    /// that all network configuration of the host needs.
    static let resets = TokenBucket.Size(burst: 64, interval: .milliseconds(200))
    /// Shortest time from one move of a router, from one of its addresses to another, to the next. A router that sends
    /// from both in turn would have its flood entry moved for each frame.
    static let movePause = Duration.seconds(10)
    /// Removals that are remembered, so that they can be reported to the other gateways. A gateway asks every few
    /// seconds.
    public static let removals = 16_384
    /// A wall clock that was stepped by more than this makes ages of handshakes worthless for ``sessionTime``: live
    /// ones are at most 165 s old (WireGuard whitepaper, section 6.2).
    static let toleratedStep = Duration.seconds(5)
}
