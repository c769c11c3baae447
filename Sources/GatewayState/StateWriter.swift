internal import CLinux
internal import Dispatch
internal import Glibc
internal import Synchronization
public import SystemCalls
public import SystemPackage

/// Writes states without keeping an event loop waiting: fsync(2) on a busy disk takes seconds. One at a time.
public final class StateWriter {
    private let shared: Shared
    private let queue = DispatchQueue(label: "state")

    /// What the two threads share.
    private final class Shared: Sendable {
        let result = Mutex<Result<Duration, SystemCallError>?>(nil)
        let event: OwnedDescriptor

        init(event: consuming OwnedDescriptor) { self.event = event }
    }

    public init() throws(SystemCallError) {
        let number = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        guard number >= 0 else {
            throw SystemCallError("create", "an event descriptor", errno: Errno(rawValue: Glibc.errno))
        }
        shared = Shared(event: OwnedDescriptor(adopting: FileDescriptor(rawValue: number)))
    }

    /// Readable when a write has ended, until ``finished()`` is called.
    public var descriptor: FileDescriptor { shared.event.raw }

    /// Begins to write. The write before must have ended, and ``finished()`` must have been called.
    public func start(writing state: DomainState, to file: StateFile) {
        let shared = shared
        queue.async {
            let start = MonotonicTime.now
            let result = Result { () throws(SystemCallError) in
                try file.write(state)
                return MonotonicTime.now - start
            }
            shared.result.withLock { $0 = result }
            _ = eventfd_write(shared.event.raw.rawValue, 1)
        }
    }

    /// How the last write ended: how long it took, or what went wrong; `nil` if none has ended since the last call.
    public func finished() -> Result<Duration, SystemCallError>? {
        var count: eventfd_t = 0
        _ = unsafe eventfd_read(shared.event.raw.rawValue, &count)
        return shared.result.withLock { result in
            defer { result = nil }
            return result
        }
    }

    /// The same, after having waited for a write that has been started.
    public func waitUntilFinished() -> Result<Duration, SystemCallError>? {
        queue.sync {}
        return finished()
    }
}
