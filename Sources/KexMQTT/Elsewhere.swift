internal import BusMessages
internal import HandlerChannel
internal import KexProtocol

/// What gateways say of routers on the bus, on its way to the handler: others, and this one before it lost them.
struct Elsewhere: Sendable {
    /// The last word on a router.
    struct Word: Hashable, Sendable {
        var kind: RouterNews.Kind
        /// Seconds since 1970.
        var time: Int64
    }

    /// Whose note of a router was the last, and when it said so.
    private struct Memory: Sendable {
        let gateway: Int
        let time: Int64
    }

    private var memories: [RouterID: Memory] = [:]
    private var queue = UniqueQueue<RouterID>(limit: BusLimit.news)
    private var words: [RouterID: Word] = [:]
    private var told: [UInt32: (router: RouterID, word: Word)] = [:]
    private var lastNumber: UInt32 = 0
    /// The handler could not take it in: not before this time.
    private(set) var earliest: Duration?
    /// Those for which there was no room, ever.
    private(set) var dropped = 0

    /// Takes in a note.
    ///
    /// - Returns: whether it is news.
    mutating func insert(_ word: Word, of router: RouterID, from gateway: GatewayName, saidAt time: Int64) -> Bool {
        // Of the name only whether it is the same: with a seed of this process, so that nobody can make two the same.
        let memory = Memory(gateway: gateway.hashValue, time: time)
        if let last = memories[router], last.gateway == memory.gateway, last.time >= time { return false }
        if memories.count >= BusLimit.rememberedNotes { memories.removeAll(keepingCapacity: true) }
        memories[router] = memory
        add(word, of: router)
        return true
    }

    private mutating func add(_ word: Word, of router: RouterID) {
        if queue.append(router) {
            words[router] = word
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
        while news.count < room, let router = queue.popFirst(), let word = words.removeValue(forKey: router) {
            repeat { lastNumber &+= 1 } while told[lastNumber] != nil
            told[lastNumber] = (router, word)
            news.append((lastNumber, router, word))
        }
        return news
    }

    /// What cannot be done now is said again later.
    mutating func take(_ answer: RegistrationAnswer, at now: Duration) {
        guard let (router, word) = told.removeValue(forKey: answer.id), answer.refusal == .unavailable else { return }
        if words[router] == nil { add(word, of: router) }
        earliest = now + BusLimit.handlerPause
    }

    /// The handler is gone. The next one may know nothing of all this.
    mutating func lose(at now: Duration) {
        for (router, word) in told.values where words[router] == nil { add(word, of: router) }
        told.removeAll()
        memories.removeAll()
        earliest = now + BusLimit.handlerPause
    }
}
