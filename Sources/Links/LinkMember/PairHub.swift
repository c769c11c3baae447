internal import PathProbe
internal import Time
internal import WireGuardTypes

// With several hubs both members must use the same one, or the halves of the relay do not meet. The initiator chooses,
// and the responder takes the hub by which the initiator's words come. The initiator does the same if nothing comes by
// its own.
extension Pair {
    /// How long an initiator waits for a word by the hub that it has chosen, if one comes by another.
    static let hubPatience = Duration.seconds(2)

    /// The hub to use, of those that know the other member and are there: the same as before, else the lowest key.
    func choose(of hubs: [PublicKey]) -> PublicKey? {
        if let hub, hubs.contains(hub) { return hub }
        return hubs.filter { !deadHubs.contains($0) }.min() ?? hubs.min()
    }

    /// Takes up a hub. What was granted by another one is void.
    mutating func use(_ new: PublicKey?, _ outbox: inout Outbox, at now: MonotonicTime) {
        guard let new, new != hub else { return }
        let isFirst = hub == nil && relay == RelayPath()
        hub = new
        unheardSince = nil
        guard !isFirst else { return }
        // The session may lead over that relay.
        if initiation.state != .idle, endpoint == relay.endpoint { reset(&outbox, isTold: true, at: now) }
        relay = RelayPath()
        (callCount, lastCall) = (0, nil)
    }

    /// An authentic word of the other member came through a hub.
    mutating func heard(through new: PublicKey, _ outbox: inout Outbox, at now: MonotonicTime) {
        if new == hub {
            unheardSince = nil
        } else if !initiation.isInitiator || unheardSince.map({ $0 + Self.hubPatience <= now }) ?? false {
            use(new, &outbox, at: now)
        }
    }

    /// Something was said through the hub.
    mutating func noteForwarded(at now: MonotonicTime) { if unheardSince == nil { unheardSince = now } }

    /// The hub does not reach the other member: the next one is tried, and in the end the first one again.
    mutating func noteUnreachable(of hubs: [PublicKey], _ outbox: inout Outbox, at now: MonotonicTime) {
        guard hubs.count > 1, let old = choose(of: hubs) else { return }
        deadHubs = deadHubs.intersection(hubs).union([old])
        if deadHubs.count == hubs.count { deadHubs = [old] }
        use(hubs.filter { !deadHubs.contains($0) }.min(), &outbox, at: now)
    }
}
