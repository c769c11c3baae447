internal import CLinux
internal import Glibc
internal import Synchronization
public import SystemPackage
public import Time

/// Runs beside an event loop what would keep it waiting, one thing at a time, on a thread that ends with it.
///
/// Not with libdispatch: it wants higher priorities for its threads, which a service without rights may not have, and
/// writes a line to the journal about it each time (measured).
public final class SideThread<Outcome: Sendable>: Sendable {
    private enum State {
        case idle
        case running
        case done(Outcome)
    }

    private let state = Mutex(State.idle)
    private let event: OwnedDescriptor
    /// Bytes.
    private let stackSize: Int

    /// - Throws: the system is at one of its limits.
    public convenience init() throws(SystemCallError) { try self.init(stackSize: 1 << 20) }

    init(stackSize: Int) throws(SystemCallError) {
        let number = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        guard number >= 0 else {
            throw SystemCallError("create", "an event descriptor", errno: Errno(rawValue: errno))
        }
        event = OwnedDescriptor(adopting: number)
        self.stackSize = stackSize
    }

    /// Readable when the work is done, until ``outcome()`` is called.
    public var descriptor: FileDescriptor { event.raw }

    /// Begins with `work`. What was begun before must be done, and its outcome taken.
    ///
    /// - Parameter failure: says what comes of it if the system is at its limit of threads.
    public func run(_ work: @escaping @Sendable () -> Outcome, orElse failure: (SystemCallError) -> Outcome) {
        state.withLock { state in
            guard case .idle = state else { preconditionFailure("one thing at a time") }
            state = .running
        }
        let errno = startThread(stackSize: stackSize) { self.finish(with: work()) }
        if let errno { finish(with: failure(SystemCallError("start", "a thread", errno: errno))) }
    }

    /// What came of it; `nil` while it is not done, and when it was taken before.
    public func outcome() -> Outcome? {
        state.withLock { state in
            guard case .done(let outcome) = state else { return nil }
            var count: eventfd_t = 0
            _ = unsafe eventfd_read(event.raw.rawValue, &count)
            state = .idle
            return outcome
        }
    }

    /// The same, after having waited for it.
    ///
    /// - Parameter deadline: when not to wait any longer; `nil` for never.
    public func wait(until deadline: MonotonicTime? = nil) -> Outcome? {
        while state.withLock({ if case .running = $0 { true } else { false } }) {
            let limit = deadline ?? .now + .seconds(3600)
            let isReady = try? Socket.wait(for: .readable, of: descriptor, until: limit)
            // poll(2) has no memory: to be tried again, and not at once.
            if isReady == nil { usleep(10_000) }
            if let deadline, isReady != true, .now >= deadline { return nil }
        }
        return outcome()
    }

    private func finish(with outcome: Outcome) {
        state.withLock { state in
            state = .done(outcome)
            _ = eventfd_write(event.raw.rawValue, 1)
        }
    }
}

/// Runs `body` on a thread that nobody waits for.
///
/// - Parameter stackSize: in bytes.
/// - Returns: why there is no thread.
func startThread(stackSize: Int, _ body: @escaping @Sendable () -> Void) -> Errno? {
    var attributes = pthread_attr_t()
    unsafe pthread_attr_init(&attributes)
    defer { unsafe pthread_attr_destroy(&attributes) }
    unsafe pthread_attr_setstacksize(&attributes, stackSize)
    unsafe pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
    let work = unsafe Unmanaged.passRetained(SideWork(body))
    var thread = pthread_t()
    // It inherits the mask of signals, which are the loop's.
    let status = unsafe pthread_create(&thread, &attributes, runSideThread, work.toOpaque())
    if status != 0 { unsafe work.release() }
    return status == 0 ? nil : Errno(rawValue: status)
}

/// What a thread is given. A C function is no member of a generic type.
private final class SideWork: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
}

private let runSideThread: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { argument in
    guard let argument = unsafe argument else { return nil }
    unsafe Unmanaged<SideWork>.fromOpaque(argument).takeRetainedValue().body()
    return nil
}
