internal import EventLoop
internal import SystemCalls
internal import SystemPackage

/// The listening sockets of a server. They are watched together or not at all.
///
/// Each gives its connections the setting that they are reset when they are closed, or when this process dies: an end in
/// order means success. A connection has it before this process knows of it, so there is no moment without.
struct ListenerSet: ~Copyable {
    private var descriptors: [FileDescriptor] = []
    /// For each listener, whether connections may wait that reached it before it had the setting: systemd listens first.
    private var mayHoldEarlier: [Bool] = []
    private(set) var isPaused = false

    init() {}

    deinit {
        for descriptor in descriptors { _ = OwnedDescriptor(adopting: descriptor) }
    }

    subscript(index: Int) -> FileDescriptor { descriptors[index] }

    mutating func add(_ listener: consuming OwnedDescriptor, _ loop: borrowing EventLoop) throws(SystemCallError) {
        try Socket.setReset(true, atCloseOf: listener.raw)
        try loop.watch(listener.raw, for: .readable, token: Token.listener(descriptors.count).rawValue)
        descriptors.append(listener.release())
        mayHoldEarlier.append(true)
    }

    /// Whether every connection that is accepted from now on was born with the setting.
    func areAllReset(_ index: Int) -> Bool { !mayHoldEarlier[index] }

    /// Nobody waits at this listener.
    mutating func noteEmpty(_ index: Int) { mayHoldEarlier[index] = false }

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
        mayHoldEarlier.removeAll()
    }
}
