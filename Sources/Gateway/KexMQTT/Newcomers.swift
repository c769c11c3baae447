internal import HandlerChannel
internal import KexProtocol

/// Registrations from the bus on their way to the handler.
struct Newcomers: Sendable {
    private struct Wait: Sendable {
        let router: RouterID
        /// When it came first.
        let since: Duration
    }

    private var queue = UniqueQueue<RouterID>(limit: BusLimit.newcomers)
    private var since: [RouterID: Duration] = [:]
    private var asked: [UInt32: Wait] = [:]
    private var lastNumber: UInt32 = 0
    /// No registration before this time, because the handler could not carry one out; `nil` if it could.
    private(set) var earliest: Duration?
    /// Those for which there was no room, ever.
    private(set) var dropped = 0

    mutating func insert(_ router: RouterID, at now: Duration) {
        if queue.append(router) {
            since[router] = since[router] ?? now
        } else {
            dropped += 1
        }
    }

    /// What the handler is to be asked now, at most one frame.
    mutating func next(at now: Duration) -> [(id: UInt32, router: RouterID)] {
        if let earliest, now < earliest { return [] }
        earliest = nil
        var requests: [(id: UInt32, router: RouterID)] = []
        let room = min(ChannelLimit.records, BusLimit.newcomersAtHandler - asked.count)
        while requests.count < room, let router = queue.popFirst() {
            let start = since.removeValue(forKey: router) ?? now
            guard now - start < BusLimit.newcomerTime else { continue }
            repeat { lastNumber &+= 1 } while asked[lastNumber] != nil
            asked[lastNumber] = Wait(router: router, since: start)
            requests.append((lastNumber, router))
        }
        return requests
    }

    /// A registration that cannot be carried out now is sent again later. Every other refusal is final.
    mutating func take(_ answer: RegistrationAnswer, at now: Duration) {
        guard let wait = asked.removeValue(forKey: answer.id), answer.refusal == .unavailable else { return }
        retry(wait)
        earliest = now + BusLimit.handlerPause
    }

    /// The handler is gone, and nobody knows what it did. Registering twice does no harm.
    mutating func lose(at now: Duration) {
        for wait in asked.values { retry(wait) }
        asked.removeAll()
        earliest = now + BusLimit.handlerPause
    }

    private mutating func retry(_ wait: Wait) {
        insert(wait.router, at: wait.since)
    }
}
