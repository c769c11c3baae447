internal import BusMessages
internal import HandlerChannel
internal import KexProtocol

/// What gateways say of routers on the bus, on its way to the handler: others, and this one before it lost them.
struct Elsewhere: Sendable {
    /// A word on a router.
    struct Word: Hashable, Sendable {
        var kind: RouterNews.Kind
        /// Seconds since 1970.
        var time: Int64
    }

    /// The newest of what was said of a router and not told yet. Of each kind one: they come in any order, and the handler
    /// weighs a removal against the signs of life that it knows of, so none may be lost to a removal.
    private struct Words: Sendable {
        private var heard: Int64?
        private var removed: Int64?

        mutating func add(_ word: Word) {
            switch word.kind {
            case .heard: heard = max(heard ?? word.time, word.time)
            case .removed: removed = max(removed ?? word.time, word.time)
            }
        }

        /// One or two, in the order in which they are to be told.
        var all: [Word] {
            let removed = removed.flatMap { time in heard.map { time > $0 } ?? true ? time : nil }
            return [heard.map { Word(kind: .heard, time: $0) }, removed.map { Word(kind: .removed, time: $0) }]
                .compactMap(\.self)
        }
    }

    /// Whose note of a router was the last, and when it said so.
    private struct Memory: Sendable {
        let gateway: Int
        let time: Int64
    }

    private var memories: [RouterID: Memory] = [:]
    private var queue = UniqueQueue<RouterID>(limit: BusLimit.news)
    private var words: [RouterID: Words] = [:]
    private var told: [UInt32: (router: RouterID, word: Word)] = [:]
    private var lastNumber: UInt32 = 0
    /// The handler could not take it in: not before this time.
    private(set) var earliest: Duration?
    /// Those for which there was no room, ever.
    private(set) var dropped = 0

    /// Takes in a note. Only one that is the same as the last one is no news: what an older one is worth is for the handler to
    /// say, because a gateway's clock may have been put back.
    ///
    /// - Returns: whether it is news.
    mutating func insert(_ word: Word, of router: RouterID, from gateway: GatewayName, saidAt time: Int64) -> Bool {
        // Of the name only whether it is the same: with a seed of this process, so that nobody can make two the same.
        let memory = Memory(gateway: gateway.hashValue, time: time)
        if let last = memories[router], last.gateway == memory.gateway, last.time == time { return false }
        if memories.count >= BusLimit.rememberedNotes { memories.removeAll(keepingCapacity: true) }
        memories[router] = memory
        add(word, of: router)
        return true
    }

    private mutating func add(_ word: Word, of router: RouterID) {
        if queue.append(router) {
            words[router, default: Words()].add(word)
        } else {
            dropped += 1
            // It is news still when it comes again.
            memories[router] = nil
        }
    }

    /// What the handler is to be told now, at most one frame.
    mutating func next(at now: Duration) -> [(id: UInt32, router: RouterID, word: Word)] {
        if let earliest, now < earliest { return [] }
        earliest = nil
        var news: [(id: UInt32, router: RouterID, word: Word)] = []
        let room = min(ChannelLimit.records, BusLimit.newsAtHandler - told.count)
        while news.count < room, let router = queue.popFirst(), let words = words.removeValue(forKey: router) {
            for word in words.all {
                // There may be two of one router.
                guard news.count < room else {
                    add(word, of: router)
                    break
                }
                repeat { lastNumber &+= 1 } while told[lastNumber] != nil
                told[lastNumber] = (router, word)
                news.append((lastNumber, router, word))
            }
        }
        return news
    }

    /// What cannot be done now is said again later.
    mutating func take(_ answer: RegistrationAnswer, at now: Duration) {
        guard let (router, word) = told.removeValue(forKey: answer.id), answer.refusal == .unavailable else { return }
        add(word, of: router)
        earliest = now + BusLimit.handlerPause
    }

    /// The handler is gone. The next one may know nothing of all this.
    mutating func lose(at now: Duration) {
        for (router, word) in told.values { add(word, of: router) }
        told.removeAll()
        memories.removeAll()
        earliest = now + BusLimit.handlerPause
    }
}
