internal import GatewayEvents
internal import KexGateway
internal import Logging
internal import SystemCalls
internal import Systemd
public import VXLANFdb
internal import WireGuardTypes

/// When WireGuard is asked for signs of life. It does not tell of handshakes (kernel: the family has no multicast group),
/// so it is asked often just after a registration, and more and more rarely while nobody new comes.
struct Polling {
    /// `nil` while nobody is awaited.
    var next: MonotonicTime?
    /// When somebody was last answered with success.
    var news = MonotonicTime(nanoseconds: 0)
    /// Not before this, however many register: see ``share``.
    var earliest = MonotonicTime(nanoseconds: 0)

    static let shortestPause = Duration.milliseconds(250)
    static let longestPause = Duration.seconds(5)
    /// The pause is this part of the time since the last news.
    static let newsShare = 4
    /// Asking takes at most this share of the time, unless one question takes so long that it would be asked more rarely
    /// than every ``longestPause``.
    static let share = 100

    /// The pause before the next question, if there is one more.
    func pause(at now: MonotonicTime) -> Duration {
        min(max((now - news) / Self.newsShare, Self.shortestPause), Self.longestPause)
    }
}

/// Routers are heard of, or their sessions found dead.
extension MeshDomain {
    /// Asks WireGuard soon for signs of life, if there is anybody who has not given one.
    ///
    /// - Parameter isNews: whether somebody has just been answered with success.
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

    /// A refresh has said who shook hands.
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
            // As rarely as without the kernel's word: strangers can cause this at any time.
            if table.awaitsSomebody { polling.next = min(polling.next ?? polling.earliest, polling.earliest) }
            // Who moved, what was learned tells.
            if isMigration { invalidate(.entries) }
        }
        let now = context.clocks
        let own = news.entries.filter { $0.device == interfaces.vxlan && $0.entry.via == interfaces.wireGuard }
        if !own.isEmpty { noteLearning() }
        let sightings = own.compactMap { table.hear(from: $0.entry.destination, at: now) }
        guard !sightings.isEmpty else { return }
        noteHeard(sightings.filter(\.isFirst).map(\.key))
        for (key, place) in sightings.compactMap({ sighting in sighting.place.map { (sighting.key, $0) } }) {
            noteStranger(.readdressed, .info, key, "\(key) is at \(place)")
        }
        backlog.isStuck = false
        repair()
    }

    /// Takes the peers of such routers out and puts them in again. WireGuard forgets their last handshakes then, which may
    /// have been in their future.
    func resetSome() {
        for router in backlog.takeResets() where table.addresses(of: router.key) != nil {
            // One message: no moment without the peer, and no other registration in between.
            if let failure = apply([.remove(router.key), router.peerChange]) {
                log(.failed, .error, key: router.key, "could not reset the session of \(router.key): \(failure)")
                invalidate(.table)
            } else {
                table.take(.reset(router.key, at: context.clocks.sinceStart))
                log(.reset, .info, key: router.key, "reset the session of \(router.key): nothing came in it any more")
            }
        }
        schedulePolling(isNews: false)
    }
}
