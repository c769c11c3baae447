internal import BusMessages
internal import HandlerChannel
internal import KexProtocol

/// What gateways reported of routers on the bus, on its way to the handler. Most reports are other gateways'; some are
/// this gateway's own, from before it lost its routers.
struct PendingNews: Sendable {
    /// A report on a router.
    struct Report: Hashable, Sendable {
        var kind: RouterNews.Kind
        /// Seconds since 1970.
        var time: Int64
    }

    /// The newest reports on a router that the handler does not have yet, one of each kind. They come in any order, and
    /// the handler weighs a removal against the handshakes that it knows of: so a removal may replace no handshake.
    private struct Reports: Sendable {
        private var heard: Int64?
        private var removed: Int64?

        mutating func add(_ report: Report) {
            switch report.kind {
            case .heard: heard = max(heard ?? report.time, report.time)
            case .removed: removed = max(removed ?? report.time, report.time)
            }
        }

        /// One or two, in the order in which the handler gets them.
        var all: [Report] {
            let removed = removed.flatMap { time in heard.map { time > $0 } ?? true ? time : nil }
            return [heard.map { Report(kind: .heard, time: $0) }, removed.map { Report(kind: .removed, time: $0) }]
                .compactMap(\.self)
        }
    }

    /// Whose note on a router was the last, and the time in it.
    private struct LastNote: Sendable {
        let gateway: Int
        let time: Int64
    }

    private var lastNotes: [RouterID: LastNote] = [:]
    private var queue = UniqueQueue<RouterID>(limit: BusLimit.news)
    private var reports: [RouterID: Reports] = [:]
    private var unanswered: [UInt32: (router: RouterID, report: Report)] = [:]
    private var lastNumber: UInt32 = 0
    /// No news before this time, because the handler could not take some in; `nil` if it could.
    private(set) var earliest: Duration?
    /// Those for which there was no room, ever.
    private(set) var dropped = 0

    /// Takes in a note. Only a copy of the last one is no news. An older one is left to the handler to judge, because a
    /// gateway's clock may have been set back.
    ///
    /// - Returns: whether it is news.
    mutating func insert(_ report: Report, of router: RouterID, from gateway: GatewayName, saidAt time: Int64) -> Bool {
        // A hash is enough to see whether the name is the same. Its seed is this process's, so nobody can make two
        // collide.
        let note = LastNote(gateway: gateway.hashValue, time: time)
        if let last = lastNotes[router], last.gateway == note.gateway, last.time == time { return false }
        if lastNotes.count >= BusLimit.rememberedNotes { lastNotes.removeAll(keepingCapacity: true) }
        lastNotes[router] = note
        add(report, of: router)
        return true
    }

    private mutating func add(_ report: Report, of router: RouterID) {
        if queue.append(router) {
            reports[router, default: Reports()].add(report)
        } else {
            dropped += 1
            // It will still be news when it comes again.
            lastNotes[router] = nil
        }
    }

    /// What the handler is to get now, at most one frame.
    mutating func next(at now: Duration) -> [(id: UInt32, router: RouterID, report: Report)] {
        if let earliest, now < earliest { return [] }
        earliest = nil
        var news: [(id: UInt32, router: RouterID, report: Report)] = []
        let room = min(ChannelLimit.records, BusLimit.newsAtHandler - unanswered.count)
        while news.count < room, let router = queue.popFirst(), let reports = reports.removeValue(forKey: router) {
            for report in reports.all {
                // One router may have two.
                guard news.count < room else {
                    add(report, of: router)
                    break
                }
                repeat { lastNumber &+= 1 } while unanswered[lastNumber] != nil
                unanswered[lastNumber] = (router, report)
                news.append((lastNumber, router, report))
            }
        }
        return news
    }

    /// News that the handler cannot take in now is sent again later.
    mutating func take(_ answer: RegistrationAnswer, at now: Duration) {
        guard let (router, report) = unanswered.removeValue(forKey: answer.id), answer.refusal == .unavailable else {
            return
        }
        add(report, of: router)
        earliest = now + BusLimit.handlerPause
    }

    /// The handler is gone. The next one may know nothing of all this.
    mutating func lose(at now: Duration) {
        for (router, report) in unanswered.values { add(report, of: router) }
        unanswered.removeAll()
        lastNotes.removeAll()
        earliest = now + BusLimit.handlerPause
    }
}
