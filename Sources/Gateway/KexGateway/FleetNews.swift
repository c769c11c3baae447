internal import KexProtocol
public import Time
public import WireGuardTypes

/// What other gateways of the same domain say of routers. Whoever brings it here has made sure that a gateway said it.
extension DomainTable {
    /// Takes in that another gateway has heard of a router: it is let in here too, so that it may come at any moment,
    /// and it is not stale here as long as it is heard there. Its flood entry comes when it is heard here.
    ///
    /// The limits for new keys are not for it, because its owner has proved to have the private key;
    /// ``DomainRules/maximumPeers`` is.
    ///
    /// - Parameter time: seconds since 1970, by the other gateway's clock. The future counts as now.
    /// - Returns: as for a registration. News of a router that is stale by now, or that are no newer than what was
    ///   known when it was removed here, are ``Decision/present``: there is nothing to do.
    public mutating func hear(inFleet key: PublicKey, at time: Int64, now: Moment) -> Decision {
        if let refusal = objection(to: key) { return refusal }
        let time = min(time, now.seconds)
        // Before 1970 is as good as in 1970, and then the difference has no overflow.
        guard .seconds(now.seconds - max(time, 0)) <= rules.staleAfter else { return .present }
        if routers[key] != nil {
            guard makeKnown(key, lastHeard: time) else { return .refuse(.domainFull, reason: fullReason) }
            heardInFleet[key] = max(heardInFleet[key] ?? .min, time)
            return .present
        }
        // What was known already when it was removed brings nobody back.
        if removals.isOld(time, of: key, at: now.seconds) { return .present }
        let addresses = rules.addresses(of: key)
        guard hasRoom else { return .refuse(.domainFull, reason: fullReason) }
        switch self.addresses(addresses, for: key, isProven: true, at: now.sinceStart) {
        case .taken(let refusal): return refusal
        case .free(let others): for other in others { displace(other, .displaced) }
        }
        heardInFleet[key] = time
        return .admit(
            add(key, Router(addresses: addresses, lastHeard: time), missing: rules.entries.subtracting(.flood))
        )
    }

    /// Takes in that another gateway has taken a router out, by a sweep or by its operator's hand.
    ///
    /// That is weighed against all that is known here, because the broker may keep the word back and say it again at
    /// any time: it has to be newer than every sign of life that this gateway knows of, and the router silent for as
    /// long as for a sweep. So nobody needs to remember earlier words, and whoever the operator of another gateway does
    /// not want is gone there alone. A router that had a session in this WireGuard device is left to the sweeps here,
    /// which know more of it; so is everybody after a step of the wall clock, and whoever registered a moment ago.
    ///
    /// - Parameter time: seconds since 1970, by the other gateway's clock.
    /// - Returns: the departure, if it is to go here too.
    public mutating func forget(
        inFleet key: PublicKey,
        at time: Int64,
        now: Moment
    ) -> Departure? {
        guard let router = routers[key], !router.isHeld, let own = router.lastHeard, !router.hasSession,
            !isRegistering(key), clockStep(until: now) == nil
        else { return nil }
        // Before 1970 is as good as in 1970, and then the difference has no overflow.
        let heard = max(own, heardInFleet[key] ?? own, 0)
        let isSilent = .seconds(now.seconds - heard) > rules.staleAfter
        let isListenedFor = now.sinceStart - restoredAt > rules.staleAfter
        return time > heard && isSilent && isListenedFor ? departure(of: key, .removedInFleet) : nil
    }

    /// The routers with the times of their last handshakes in this WireGuard device, in no order.
    public var handshakes: [(key: PublicKey, time: Int64?)] {
        routers.map { ($0.key, $0.value.hasSession ? $0.value.lastHeard : nil) }
    }
}
