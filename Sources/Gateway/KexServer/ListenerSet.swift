internal import EventLoop
internal import SystemCalls
internal import SystemPackage

/// The listening sockets of a server. They are watched together or not at all.
struct ListenerSet: ~Copyable {
    private var descriptors: [FileDescriptor] = []
    private(set) var isPaused = false

    init() {}

    deinit {
        for descriptor in descriptors { _ = OwnedDescriptor(adopting: descriptor) }
    }

    subscript(index: Int) -> FileDescriptor { descriptors[index] }

    mutating func add(_ listener: consuming OwnedDescriptor, _ loop: borrowing EventLoop) throws(SystemCallError) {
        try loop.watch(listener.raw, for: .readable, token: Token.listener(descriptors.count).rawValue)
        descriptors.append(listener.release())
    }

    /// Leaves connections in the kernel's queue.
    mutating func pause(_ loop: borrowing EventLoop) throws(SystemCallError) { try setPaused(true, loop) }

    /// Takes connections again.
    mutating func resume(_ loop: borrowing EventLoop) throws(SystemCallError) { try setPaused(false, loop) }

    private mutating func setPaused(_ paused: Bool, _ loop: borrowing EventLoop) throws(SystemCallError) {
        guard paused != isPaused else { return }
        for index in descriptors.indices {
            try loop.change(
                descriptors[index],
                to: paused ? [] : .readable,
                token: Token.listener(index).rawValue
            )
        }
        isPaused = paused
    }

    /// Ends listening for good.
    mutating func close() {
        for descriptor in descriptors { _ = OwnedDescriptor(adopting: descriptor) }
        descriptors.removeAll()
    }
}
