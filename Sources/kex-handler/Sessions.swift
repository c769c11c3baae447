internal import KexGateway
internal import Logging
internal import SystemCalls
internal import Systemd
internal import VXLANFdb
internal import WireGuardControl
internal import WireGuardTypes

/// When WireGuard is asked for signs of life. It does not tell of handshakes (kernel: the family has no multicast group),
/// so it is asked often just after a registration, and more and more rarely while nobody new comes.
struct Listening {
    /// `nil` while nobody is awaited.
    var next: MonotonicTime?
    /// When somebody was last told that he is in.
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
    /// - Parameter isNews: whether somebody has just been told that he is in.
    func scheduleListening(isNews: Bool) {
        let now = MonotonicTime.now
        if isNews {
            listening.news = now
        } else if listening.next != nil {
            return
        }
        guard isNews || table.awaitsSomebody else { return }
        let next = max(now + listening.pause(at: now), listening.earliest)
        listening.next = min(listening.next ?? next, next)
    }

    func listen() {
        listening.next = nil
        let start = MonotonicTime.now
        guard let peers = askWireGuard() else { return }
        noteHeard(table.hear(peers))
        repair()
        Heap.trim()
        let now = MonotonicTime.now
        listening.earliest =
            now + host.pause(after: now - start, share: Listening.share, limit: Listening.longestPause)
        guard table.awaitsSomebody else { return }
        listening.next = max(now + listening.pause(at: now), listening.earliest)
    }

    /// Takes in what VXLAN interfaces learned: a router's first frame.
    func notice(_ news: LearningNews) {
        guard trouble == nil, let device = devices?.fdb.device, let via = devices?.wireGuardIndex else { return }
        if !news.isWhole {
            noteLearning()
            // As rarely as without the kernel's word: strangers can cause this at any time.
            if table.awaitsSomebody { listening.next = min(listening.next ?? listening.earliest, listening.earliest) }
            // Who moved, what was learned tells.
            if isMigration { lookSoonAtEntries() }
        }
        let now = host.clocks
        let own = news.entries.filter { $0.device == device && $0.entry.via == via }
        if !own.isEmpty { noteLearning() }
        let sightings = own.compactMap { table.hear(from: $0.entry.destination, at: now) }
        guard !sightings.isEmpty else { return }
        noteHeard(sightings.filter(\.isFirst).map(\.key))
        for (key, place) in sightings.compactMap({ sighting in sighting.place.map { (sighting.key, $0) } }) {
            noteStranger(.readdressed, .info, key, "\(key) is at \(place)")
        }
        repair()
    }

    func noteHeard(_ keys: [PublicKey]) {
        for key in keys { log(.confirmed, .info, key: key, "first sign of life of \(key)") }
    }

    /// Takes the peers of routers out and puts them in again who registered and whose sessions have proved dead. WireGuard
    /// forgets their last handshakes then, which may have been in their future.
    func resetDeadSessions() {
        guard let peers = askWireGuard() else { return }
        let now = host.clocks.sinceStart
        for router in table.deadSessions(peers, at: now) {
            host.pulse.beat()
            // One message: no moment without the peer, and no other registration in between.
            if let trouble = apply([.remove(router.key), router.peerChange]) {
                log(.failed, .error, key: router.key, "could not reset the session of \(router.key): \(trouble)")
                pictureExpires = MonotonicTime(nanoseconds: 0)
            } else {
                table.noteReset(router.key, at: now)
                log(.reset, .info, key: router.key, "reset the session of \(router.key): nothing came in it any more")
            }
        }
        scheduleListening(isNews: false)
    }

    /// The peers as they are now; `nil` if the domain is, or has just left, service.
    private func askWireGuard() -> [Peer]? {
        guard trouble == nil, let wireGuard = devices?.wireGuard else { return nil }
        host.pulse.beat()
        let start = MonotonicTime.now
        do throws(WireGuardError) {
            return try wireGuard.state().peers
        } catch {
            leaveService(Trouble("\(error)"), since: start)
            return nil
        }
    }
}

extension MonotonicTime {
    /// The same time as a ``Clocks`` has it.
    init(sinceStart: Duration) { self = MonotonicTime(nanoseconds: 0) + sinceStart }
}
