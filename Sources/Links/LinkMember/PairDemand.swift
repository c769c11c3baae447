internal import LinkFacts
internal import NetworkAddresses
internal import PathProbe
internal import Time
internal import WireGuardTypes

// Links on demand: a pair without traffic has no session, and nothing is sent for it.
extension Pair {
    /// How long a pair is awake because the other member wants it. Traffic that keeps it awake has come until then.
    static let courtesy = Duration.seconds(30)
    /// Between looks at a pair that sleeps.
    static let sleep = Duration.seconds(3600)

    /// Until when there is a reason for a link; `nil`: there is one always.
    func wantedUntil(_ idleTime: Duration?) -> MonotonicTime? {
        guard let idleTime else { return nil }
        let own = meter?.lastTraffic.map { $0 + idleTime } ?? .start
        return max(own, wantedUntil)
    }

    func isAsleep(_ idleTime: Duration?, at now: MonotonicTime) -> Bool {
        wantedUntil(idleTime).map { $0 <= now } ?? false
    }

    /// There is traffic between the two.
    ///
    /// - Returns: whether it wakes the pair.
    mutating func noteTraffic(_ idleTime: Duration, at now: MonotonicTime) -> Bool {
        let wakes = isAsleep(idleTime, at: now)
        // It begins anew.
        if wakes { (callCount, lastCall) = (0, nil) }
        wantedUntil = max(wantedUntil, now + idleTime)
        lastDemand = now
        return wakes
    }

    /// The other member wants a link.
    mutating func noteWish(at now: MonotonicTime) { wantedUntil = max(wantedUntil, now + Self.courtesy) }

    /// Goes back to the hub, and both sides with it. Nothing has failed, so the next session need not wait.
    mutating func goBack(_ outbox: inout Outbox, at now: MonotonicTime) {
        guard initiation.state != .idle else { return }
        let before = (resets, notBefore)
        reset(&outbox, isTold: true, at: now)
        (resets, notBefore) = before
    }
}

/// Tells traffic of a session from what WireGuard and this program send in it by themselves.
struct TrafficMeter: Hashable, Sendable {
    /// An idle session has 15 bytes a second, both ways together: empty packets, handshakes, and facts; and four times
    /// as many while it is looked after because it had traffic.
    static let noise: UInt64 = 64
    /// So many bytes more are traffic.
    static let threshold: UInt64 = 1_024

    private var received: UInt64
    private var sent: UInt64
    private var level: UInt64 = 0
    private var readAt: MonotonicTime
    private(set) var lastTraffic: MonotonicTime?

    init(_ peer: Peer, at now: MonotonicTime) {
        (received, sent) = (peer.receivedBytes, peer.sentBytes)
        readAt = now
    }

    /// Compares the counters of the peer. Counters that went back are of a peer that was made anew.
    mutating func note(_ peer: Peer, at now: MonotonicTime) {
        let seconds = UInt64(max((now - readAt).components.seconds, 0))
        let gone = min(level, seconds.multipliedReportingOverflow(by: Self.noise).partialValue)
        let most = 2 * Self.threshold
        let new =
            min(peer.receivedBytes > received ? peer.receivedBytes - received : 0, most)
            + min(peer.sentBytes > sent ? peer.sentBytes - sent : 0, most)
        level = min(level - gone + new, most)
        (received, sent) = (peer.receivedBytes, peer.sentBytes)
        // Parts of seconds are not lost.
        if seconds > 0 { readAt = now }
        if level > Self.threshold { lastTraffic = now }
    }
}

/// Which member has an address of the tunnel.
struct AddressOwners: Sendable {
    private var hosts: [IPv6Address: PublicKey] = [:]
    private var networks: [PublicKey: [IPPrefix]] = [:]
    private var known: [PublicKey: [IPPrefix]] = [:]

    mutating func set(_ prefixes: [IPPrefix], of key: PublicKey) {
        guard known[key] != prefixes else { return }
        for prefix in known[key] ?? [] where prefix.isHost && hosts[prefix.mapped] == key { hosts[prefix.mapped] = nil }
        known[key] = prefixes.isEmpty ? nil : prefixes
        for prefix in prefixes where prefix.isHost { hosts[prefix.mapped] = key }
        let wide = prefixes.filter { !$0.isHost }
        networks[key] = wide.isEmpty ? nil : wide
    }

    subscript(address: IPv6Address) -> PublicKey? {
        hosts[address] ?? networks.first { $0.value.contains { $0.contains(address) } }?.key
    }
}
