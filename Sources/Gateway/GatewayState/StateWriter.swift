public import SystemCalls
public import SystemPackage
internal import Time

/// Writes states without keeping an event loop waiting: fsync(2) on a busy disk takes seconds. One at a time.
public final class StateWriter {
    private let thread: SideThread<Result<Duration, SystemCallError>>

    public init() throws(SystemCallError) { thread = try SideThread() }

    /// Readable when a write has ended, until ``finished()`` is called.
    public var descriptor: FileDescriptor { thread.descriptor }

    /// Begins to write. The write before must have ended, and ``finished()`` must have been called.
    public func start(writing state: DomainState, to file: StateFile) {
        thread.run {
            let start = MonotonicTime.now
            return Result { () throws(SystemCallError) in
                try file.write(state)
                return MonotonicTime.now - start
            }
        } orElse: {
            .failure($0)
        }
    }

    /// How the last write ended: how long it took, or what went wrong; `nil` if none has ended since the last call.
    public func finished() -> Result<Duration, SystemCallError>? { thread.outcome() }

    /// The same, after having waited for a write that has been started.
    public func waitUntilFinished() -> Result<Duration, SystemCallError>? { thread.wait() }
}
