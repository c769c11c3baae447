/// Routers that front doors were told the broker has, lately. A gateway that was away then has missed them, because the
/// broker keeps no registration; so they are published once more when one comes.
struct RecentRegistrations: Sendable {
    private var all: [(router: RouterID, at: Duration)] = []
    private var repeats = UniqueQueue<RouterID>(limit: BusLimit.recentRegistrations)
    /// When to publish them; `nil` if nobody has come.
    private(set) var due: Duration?
    private var earliest = Duration.zero

    mutating func insert(_ router: RouterID, at now: Duration) {
        if all.count >= 2 * BusLimit.recentRegistrations { all.removeFirst(BusLimit.recentRegistrations) }
        all.append((router, now))
    }

    /// A gateway has said that it is there. Several may come at the same time.
    mutating func noteArrival(at now: Duration) {
        due = due ?? max(now + BusLimit.arrivalTime, earliest)
    }

    mutating func advance(to now: Duration) {
        guard let due, due <= now else { return }
        self.due = nil
        earliest = now + BusLimit.repeatInterval
        all.removeAll { now - $0.at >= BusLimit.recentTime }
        for (router, _) in all.suffix(BusLimit.recentRegistrations) { _ = repeats.append(router) }
    }

    mutating func next() -> RouterID? { repeats.popFirst() }
}

/// Registrations that the broker could not be told of. Whoever is let in here alone is made known when it is back.
struct LateRegistrations: Sendable {
    private var routers = UniqueQueue<RouterID>(limit: BusLimit.lateRegistrations)
    /// When each of them registered last.
    private var times: [RouterID: Duration] = [:]

    mutating func insert(_ router: RouterID, at now: Duration) {
        if routers.append(router) { times[router] = now }
    }

    /// The next one that is not too old to be of use.
    mutating func next(at now: Duration) -> RouterID? {
        while let router = routers.popFirst() {
            if let time = times.removeValue(forKey: router), now - time < BusLimit.recentTime { return router }
        }
        return nil
    }
}
