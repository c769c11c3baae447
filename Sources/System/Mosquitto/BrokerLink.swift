public import EventLoop
public import SystemCalls
internal import SystemPackage
public import Time

/// The connection to the broker, on the owner's event loop. It never waits, and it never connects by itself: the owner
/// decides when and how often (`Backoff`).
///
/// In each round of the loop the owner calls ``handle(_:)`` for an event of the link's token, and then
/// ``attend(_:now:)``, which returns what happened. The next round must not wait beyond ``deadline``.
public struct BrokerLink: ~Copyable {
    private let settings: BrokerSettings
    private let token: UInt64
    private var session: BrokerSession?
    /// What the loop watches for us.
    private var watched: BrokerSession.Watch?
    /// When the session is to be cared for.
    private var nextCare: MonotonicTime?
    /// What happened outside a session.
    private var events: [BrokerEvent] = []
    /// Messages that were over a limit and have been dropped unread, ever.
    public private(set) var droppedMessages: UInt64 = 0

    /// - Parameter token: of this link's events in the loop.
    public init(_ settings: BrokerSettings, token: UInt64) {
        self.settings = settings
        self.token = token
    }

    /// Whether there is a connection, or one in the making.
    public var isBusy: Bool { session != nil }

    /// Whether the broker has let us in.
    public var isConnected: Bool { session?.isConnected ?? false }

    /// Starts to connect, unless there is a connection or one in the making. ``BrokerEvent/connected`` or
    /// ``BrokerEvent/disconnected(_:)`` will come of it; the latter after two minutes and more if nothing answers at
    /// all, because that is how long connect(2) tries.
    public mutating func connect(now: MonotonicTime) {
        guard session == nil else { return }
        do throws(SessionFailure) {
            let new = try BrokerSession(settings)
            new.open()
            session = new
            nextCare = now + BrokerLimit.careInterval
        } catch {
            events.append(.disconnected(.unreachable(error.text)))
        }
    }

    /// An event with the link's token. One that is left over from an earlier connection does no harm.
    public mutating func handle(_ readiness: EventLoop.Readiness) { session?.transfer(readiness) }

    /// When ``attend(_:now:)`` has something to do, even if the loop has no event for it; `nil` if never.
    public var deadline: MonotonicTime? {
        guard let session, events.isEmpty else { return events.isEmpty ? nil : MonotonicTime.start }
        let isOwed = session.hasEvents || session.hasMore || session.watch != watched
        return isOwed ? MonotonicTime.start : nextCare
    }

    /// Does what is due, and returns what happened: at most ``BrokerLimit/readsPerRound`` packets, and one more for
    /// each publication that was on its way.
    ///
    /// - Throws: what ``EventLoop/EventLoop/watch(_:for:token:)`` throws: the system is at one of its limits.
    public mutating func attend(
        _ loop: borrowing EventLoop,
        now: MonotonicTime
    ) throws(SystemCallError) -> [BrokerEvent] {
        var happened = events
        events = []
        guard let session else { return happened }
        if session.hasMore { session.transfer(.readable) }
        if let due = nextCare, due <= now {
            session.care()
            nextCare = now + BrokerLimit.careInterval
        }
        happened += session.takeEvents()
        droppedMessages += UInt64(session.takeDropped())
        if let end = session.end {
            happened.append(.disconnected(end))
            try forgetSession(loop)
        } else {
            try watch(session, loop)
        }
        return happened
    }

    private mutating func watch(_ session: BrokerSession, _ loop: borrowing EventLoop) throws(SystemCallError) {
        guard let wanted = session.watch, wanted != watched else { return }
        if let watched, watched.isOpening == wanted.isOpening {
            try loop.change(wanted.descriptor, to: wanted.readiness, token: token)
        } else {
            if let watched { try loop.stopWatching(watched.descriptor) }
            try loop.watch(wanted.descriptor, for: wanted.readiness, token: token)
        }
        watched = wanted
    }

    /// A socket that is closed is watched no longer; the descriptor of a connection in the making may live on with its
    /// thread.
    private mutating func forgetSession(_ loop: borrowing EventLoop) throws(SystemCallError) {
        if let watched, watched.isOpening { try loop.stopWatching(watched.descriptor) }
        watched = nil
        session = nil
        nextCare = nil
    }

    /// Publishes a message.
    ///
    /// - Parameters:
    ///   - isRetained: whether the broker keeps it for whoever subscribes later, in the place of what it had for the
    ///     topic; an empty payload only takes that away.
    ///   - expiry: after how many seconds nobody needs it any more; `nil` for never.
    /// - Returns: the number that ``BrokerEvent/acknowledged(id:reason:)`` will have.
    public mutating func publish(
        _ topic: String,
        _ payload: [UInt8],
        quality: BrokerQuality,
        isRetained: Bool = false,
        expiry: UInt32? = nil
    ) throws(BrokerError) -> Int32 {
        guard let session else { throw .notConnected }
        return try session.publish(topic, payload, quality, isRetained: isRetained, expiry: expiry)
    }

    /// Asks for all messages whose topic matches, in the place of an earlier subscription to the same.
    ///
    /// - Parameters:
    ///   - withOwn: whether our own messages come back to us as well.
    ///   - withKept: whether those that the broker keeps come at once, each time that this is called.
    /// - Returns: the number that ``BrokerEvent/subscribed(id:reason:)`` will have.
    public mutating func subscribe(
        to filter: String,
        quality: BrokerQuality,
        withOwn: Bool = true,
        withKept: Bool = true
    ) throws(BrokerError) -> Int32 {
        guard let session else { throw .notConnected }
        return try session.subscribe(to: filter, quality, withOwn: withOwn, withKept: withKept)
    }

    /// Ends the connection in order, so that the broker forgets the will. What was not acknowledged may be lost. No
    /// event comes of it.
    public mutating func disconnect(_ loop: borrowing EventLoop) throws(SystemCallError) {
        session?.close()
        events = []
        try forgetSession(loop)
    }
}
