internal import BusMessages
internal import HandlerChannel
internal import KexProtocol

/// What gateways say of routers on the bus, on its way to the handler: others, and this one before it lost them.
struct PendingNews: Sendable {
    /// A report on a router.
    struct Report: Hashable, Sendable {
        var kind: RouterNews.Kind
        /// Seconds since 1970.
        var time: Int64
    }

    /// The newest of what was said of a router and not told yet. Of each kind one: they come in any order, and the handler
    /// weighs a removal against the signs of life that it knows of, so none may be lost to a removal.
    private struct Reports: Sendable {
        private var heard: Int64?
        private var removed: Int64?

        mutating func add(_ report: Report) {
            switch report.kind {
            case .heard: heard = max(heard ?? report.time, report.time)
            case .removed: removed = max(removed ?? report.time, report.time)
            }
        }

        /// One or two, in the order in which they are to be told.
        var all: [Report] {
            let removed = removed.flatMap { time in heard.map { time > $0 } ?? true ? time : nil }
            return [heard.map { Report(kind: .heard, time: $0) }, removed.map { Report(kind: .removed, time: $0) }]
                .compactMap(\.self)
        }
    }

    /// Whose note of a router was the last, and when it said so.
    private struct LastNote: Sendable {
        let gateway: Int
        let time: Int64
    }

    private var lastNotes: [RouterID: LastNote] = [:]
    private var queue = UniqueQueue<RouterID>(limit: BusLimit.news)
    private var reports: [RouterID: Reports] = [:]
    private var unanswered: [UInt32: (router: RouterID, report: Report)] = [:]
    private var lastNumber: UInt32 = 0
    /// The handler could not take it in: not before this time.
    private(set) var earliest: Duration?
    /// Those for which there was no room, ever.
    private(set) var dropped = 0

    /// Takes in a note. Only one that is the same as the last one is no news: what an older one is worth is for the handler to
    /// say, because a gateway's clock may have been put back.
    ///
    /// - Returns: whether it is news.
    mutating func insert(_ report: Report, of router: RouterID, from gateway: GatewayName, saidAt time: Int64) -> Bool {
        // Of the name only whether it is the same: with a seed of this process, so that nobody can make two the same.
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
            // It is news still when it comes again.
            lastNotes[router] = nil
        }
    }

    /// What the handler is to be told now, at most one frame.
    mutating func next(at now: Duration) -> [(id: UInt32, router: RouterID, report: Report)] {
        if let earliest, now < earliest { return [] }
        earliest = nil
        var news: [(id: UInt32, router: RouterID, report: Report)] = []
        let room = min(ChannelLimit.records, BusLimit.newsAtHandler - unanswered.count)
        while news.count < room, let router = queue.popFirst(), let reports = reports.removeValue(forKey: router) {
            for report in reports.all {
                // There may be two of one router.
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

    /// What cannot be done now is said again later.
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
