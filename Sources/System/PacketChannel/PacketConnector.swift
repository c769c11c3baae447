public import SystemCalls
public import Time

/// Connects to one local socket, again and again but not too often.
public struct PacketConnector: Sendable {
    /// What a pause follows.
    public enum Pause: Sendable {
        /// An attempt that failed.
        case afterFailure(Duration)
        /// Any attempt, so that a connection that ends at once is not made anew at once.
        case afterAttempt(Duration)
    }

    /// Why there is no connection.
    public enum Failure: Error, Hashable, Sendable, CustomStringConvertible {
        case systemCall(SystemCallError)
        /// The pause is not over.
        case pausing

        public var description: String {
            switch self {
            case .systemCall(let error): "\(error)"
            case .pausing: "the last attempt to connect failed a moment ago"
            }
        }
    }

    /// Of the socket's file.
    public let path: String
    private let pause: Pause
    /// No attempt before this time.
    public private(set) var nextAttempt = MonotonicTime.start

    public init(path: String, pause: Pause) {
        self.path = path
        self.pause = pause
    }

    /// Connects to the socket if the pause is over. This never waits: it works or fails at once.
    ///
    /// - Throws: ENOENT and ECONNREFUSED if nobody listens there, EAGAIN if the listener's queue is full.
    public mutating func connect(now: MonotonicTime) throws(Failure) -> OwnedDescriptor {
        guard nextAttempt <= now else { throw .pausing }
        do throws(SystemCallError) {
            let descriptor = try Socket.connect(toPath: path, kind: .sequentialPacket)
            if case .afterAttempt(let duration) = pause { nextAttempt = now + duration }
            return descriptor
        } catch {
            noteFailure(now: now)
            throw .systemCall(error)
        }
    }

    /// A connection was made but is of no use. The pause begins.
    public mutating func noteFailure(now: MonotonicTime) {
        switch pause {
        case .afterFailure(let duration), .afterAttempt(let duration): nextAttempt = now + duration
        }
    }
}
