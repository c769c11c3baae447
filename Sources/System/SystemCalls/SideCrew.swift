internal import CLinux
internal import Glibc
internal import Synchronization
public import SystemPackage

/// Runs beside an event loop what would keep it waiting, a few things at a time, each on a thread that ends with it.
/// What comes of them is handed to the loop when it asks.
public final class SideCrew {
    /// What threads leave for the loop.
    private final class Outbox: Sendable {
        let finished = Mutex<[(work: UInt64, outcome: any Sendable)]>([])
        let event: OwnedDescriptor

        init(_ event: consuming OwnedDescriptor) { self.event = event }

        func put(_ outcome: any Sendable, of work: UInt64) {
            finished.withLock { finished in
                finished.append((work, outcome))
                _ = eventfd_write(event.raw.rawValue, 1)
            }
        }
    }

    private typealias Continuation = (Result<any Sendable, SystemCallError>) -> Void

    /// Bytes.
    private static let stackSize = 1 << 20

    private let outbox: Outbox
    private let size: Int
    private var continuations: [UInt64: Continuation] = [:]
    private var waiting: [(work: UInt64, body: @Sendable () -> any Sendable)] = []
    private var lastWork: UInt64 = 0
    private var running = 0

    /// - Parameter size: most threads at a time; further works wait for one.
    /// - Throws: the system is at one of its limits.
    public init(size: Int) throws(SystemCallError) {
        let number = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        guard number >= 0 else {
            throw SystemCallError("create", "an event descriptor", errno: Errno(rawValue: errno))
        }
        outbox = Outbox(OwnedDescriptor(adopting: number))
        self.size = size
    }

    /// Readable when something is done, until ``deliver()`` is called.
    public var descriptor: FileDescriptor { outbox.event.raw }

    /// Has `body` run, now or when those before it are done.
    ///
    /// - Parameter continuation: called by ``deliver()`` with what came of it. It fails only if there can be no thread.
    public func run<Outcome: Sendable>(
        _ body: @escaping @Sendable () -> Outcome,
        then continuation: @escaping (Result<Outcome, SystemCallError>) -> Void
    ) {
        lastWork += 1
        continuations[lastWork] = { result in
            continuation(
                result.map { outcome in
                    guard let outcome = outcome as? Outcome else { preconditionFailure("the outcome is the body's") }
                    return outcome
                }
            )
        }
        waiting.append((lastWork, body))
        startNext()
    }

    /// Hands over what is done.
    public func deliver() {
        var count: eventfd_t = 0
        _ = unsafe eventfd_read(outbox.event.raw.rawValue, &count)
        let finished = outbox.finished.withLock { finished in
            defer { finished = [] }
            return finished
        }
        for (work, outcome) in finished {
            running -= 1
            let result = (outcome as? SystemCallError).map { .failure($0) } ?? Result.success(outcome)
            continuations.removeValue(forKey: work)?(result)
        }
        startNext()
    }

    private func startNext() {
        while running < size, !waiting.isEmpty {
            let (work, body) = waiting.removeFirst()
            running += 1
            let errno = startThread(stackSize: Self.stackSize) { [outbox] in outbox.put(body(), of: work) }
            // It is said with the next delivery, as everything is.
            if let errno { outbox.put(SystemCallError("start", "a thread", errno: errno), of: work) }
        }
    }
}
