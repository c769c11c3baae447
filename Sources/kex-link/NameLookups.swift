internal import NetworkAddresses
internal import SystemCalls
internal import SystemPackage
internal import Time

/// Looks up names beside the loop, one after the other. The resolver may take as long as it likes.
struct NameLookups: ~Copyable {
    /// What came of one.
    struct Result: Hashable, Sendable {
        let name: HostPort
        /// None if there is no such name, or nobody answers.
        let endpoints: [Endpoint]
    }

    /// How long one may take.
    private static let patience = Duration.seconds(10)
    /// Most names that wait. The operator's file has them all.
    static let maximumWaiting = 4096

    private let thread: SideThread<Result>
    private var isRunning = false
    private var waiting: [HostPort] = []

    init() throws(SystemCallError) { thread = try SideThread() }

    /// Readable when ``take()`` has something.
    var descriptor: FileDescriptor { thread.descriptor }

    /// Has a name looked up, unless it waits for that already.
    mutating func want(_ name: HostPort) {
        if !waiting.contains(name), waiting.count < Self.maximumWaiting { waiting.append(name) }
        begin()
    }

    /// What came of the last one; `nil` if nothing has come.
    mutating func take() -> Result? {
        guard let result = thread.outcome() else { return nil }
        isRunning = false
        begin()
        return result
    }

    private mutating func begin() {
        guard !isRunning, let name = waiting.first else { return }
        waiting.removeFirst()
        isRunning = true
        thread.run {
            let deadline = MonotonicTime.now + Self.patience
            let endpoints = try? HostLookup.endpoints(ofHost: name.host, port: name.port, until: deadline)
            return Result(name: name, endpoints: endpoints ?? [])
        } orElse: { _ in
            Result(name: name, endpoints: [])
        }
    }
}
