/// What is to be sent to the handler, and what the handler has not answered yet.
struct HandlerOutbox: Sendable {
    var registrations = Newcomers()
    var news = PendingNews()
    /// The domain whose routers the handler is listing.
    private(set) var listed: Int?
    /// No list before this time.
    private var nextList = Duration.zero

    /// Those for which there was no room, ever.
    var dropped: Int { registrations.dropped + news.dropped }

    /// When the domain whose list is due at `time` can be asked for; `nil` while another list has not ended.
    func listDue(_ time: Duration) -> Duration? { listed == nil ? max(time, nextList) : nil }

    /// The handler is asked for the routers of this domain.
    mutating func beginList(of domain: Int) { listed = domain }

    /// The list has ended.
    mutating func endList() { listed = nil }

    /// The handler is gone. The next one may know nothing of what this one was asked.
    mutating func lose(at now: Duration) {
        registrations.lose(at: now)
        news.lose(at: now)
        listed = nil
        nextList = now + BusLimit.handlerPause
    }
}
