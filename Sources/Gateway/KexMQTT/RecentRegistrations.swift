/// Routers whose registrations the broker acknowledged lately. The broker keeps no registration, so a gateway that was
/// away has missed them. They are published once more when a gateway comes.
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

    /// A gateway has come. Several may come at the same time.
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

/// Registrations that could not be published. They are published when the broker is back.
struct LateRegistrations: Sendable {
    private var routers = UniqueQueue<RouterID>(limit: BusLimit.lateRegistrations)
    /// When each of them registered last.
    private var times: [RouterID: Duration] = [:]

    mutating func insert(_ router: RouterID, at now: Duration) {
        if routers.append(router) { times[router] = now }
    }

    /// The next router whose registration is not too old to be of use.
    mutating func next(at now: Duration) -> RouterID? {
        while let router = routers.popFirst() {
            if let time = times.removeValue(forKey: router), now - time < BusLimit.recentTime { return router }
        }
        return nil
    }
}
