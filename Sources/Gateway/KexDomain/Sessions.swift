internal import GatewayEvents
internal import KexGateway
internal import Logging
internal import SystemCalls
internal import Systemd
internal import Time
public import VXLANFdb
internal import WireGuardTypes

/// When WireGuard is polled for signs of life. It does not report handshakes (kernel: the family has no multicast
/// group). So it is polled often just after a registration, and more and more rarely while nobody new comes.
struct Polling {
    /// `nil` while no router is awaited.
    var next: MonotonicTime?
    /// When a registration last succeeded.
    var news = MonotonicTime.start
    /// No poll before this, however many register: see ``share``.
    var earliest = MonotonicTime.start

    static let shortestPause = Duration.milliseconds(250)
    static let longestPause = Duration.seconds(5)
    /// The pause is this part of the time since the last news.
    static let newsShare = 4
    /// Polls take at most this share of the time, unless one takes so long that there would be fewer than one in
    /// ``longestPause``.
    static let share = 100

    /// The pause before the next poll.
    func pause(at now: MonotonicTime) -> Duration {
        min(max((now - news) / Self.newsShare, Self.shortestPause), Self.longestPause)
    }
}

/// Routers are heard of, or their sessions found dead.
extension MeshDomain {
    /// Has WireGuard polled soon, if a router is awaited.
    ///
    /// - Parameter isNews: whether a registration has just succeeded.
    func schedulePolling(isNews: Bool) {
        let now = context.now
        if isNews {
            polling.news = now
        } else if polling.next != nil {
            return
        }
        guard isNews || table.awaitsSomebody else { return }
        let next = max(now + polling.pause(at: now), polling.earliest)
        polling.next = min(polling.next ?? next, next)
    }

    /// A refresh counts as a poll.
    func notePolled() {
        let now = context.now
        polling.next = nil
        let limit = max(Polling.longestPause, schedule.cost * RefreshSchedule.share)
        polling.earliest = now + context.pause(after: schedule.cost, share: Polling.share, limit: limit)
        schedulePolling(isNews: false)
    }

    /// Takes in what VXLAN interfaces learned: a router's first frame.
    public func notice(_ news: LearningNews) {
        guard let interfaces = state.interfaces else { return }
        if !news.isWhole {
            noteLearning()
            // It is polled no earlier than without reports, because strangers can cause a loss of reports at any time.
            if table.awaitsSomebody { polling.next = min(polling.next ?? polling.earliest, polling.earliest) }
            // The learned entries show who moved.
            if isMigration { invalidate(.entries) }
        }
        let now = context.clocks
        let own = news.entries.filter { $0.device == interfaces.vxlan && $0.entry.via == interfaces.wireGuard }
        if !own.isEmpty { noteLearning() }
        let sightings = own.compactMap { table.hear(from: $0.entry.destination, at: now) }
        guard !sightings.isEmpty else { return }
        noteHeard(sightings.filter(\.isFirst).map(\.key))
        for (key, place) in sightings.compactMap({ sighting in sighting.place.map { (sighting.key, $0) } }) {
            noteStranger(.readdressed, .info, key, "\(key) moved to \(place)")
        }
        backlog.isStuck = false
        repair()
    }

    /// Removes and adds the peers of routers whose sessions are dead. WireGuard then forgets their last handshakes,
    /// which may have been in the router's future.
    func resetSome() {
        for router in backlog.takeResets() where table.addresses(of: router.key) != nil {
            // One request, so there is no moment without the peer, and no other change in between.
            if let failure = apply([.remove(router.key), router.peerChange]) {
                log(.failed, .error, key: router.key, "could not reset the session of \(router.key): \(failure)")
                invalidate(.table)
            } else {
                table.take(.reset(router.key, at: context.clocks.sinceStart))
                log(.reset, .info, key: router.key, "reset the session of \(router.key): nothing arrived in it")
            }
        }
        schedulePolling(isNews: false)
    }
}
