internal import CLinux
internal import Glibc
public import SystemCalls
public import SystemPackage

/// Waits for many descriptors at once, for one daemon's only thread. Level triggered: what has not been dealt with is
/// reported again.
///
/// Source: epoll(7). Nothing is allocated after the start. The type is safe although `epoll_event` is not: of that union
/// only the number is ever used.
@safe public struct EventLoop: ~Copyable {
    /// What a descriptor is watched for, or is ready for.
    public struct Readiness: OptionSet, Hashable, Sendable {
        public let rawValue: UInt8
        public init(rawValue: UInt8) { self.rawValue = rawValue }

        public static let readable = Readiness(rawValue: 1)
        public static let writable = Readiness(rawValue: 2)
    }

    /// One descriptor that is ready.
    public struct Event: Hashable, Sendable {
        /// What the owner gave when the watch began.
        public let token: UInt64
        /// An error or the end of a connection makes a descriptor ready for both: the next call on it says which.
        public let readiness: Readiness

        public init(token: UInt64, readiness: Readiness) {
            self.token = token
            self.readiness = readiness
        }
    }

    /// Most events of one ``wait(until:)``; the others come with the next.
    public static let eventsPerRound = 256

    private let epoll: OwnedDescriptor
    private var events = unsafe [epoll_event](repeating: epoll_event(), count: Self.eventsPerRound)

    public init() throws(SystemCallError) {
        let number = try check("create", "an epoll descriptor") { Int(epoll_create1(Int32(EPOLL_CLOEXEC))) }
        epoll = OwnedDescriptor(adopting: FileDescriptor(rawValue: Int32(number)))
    }

    /// Watches a descriptor. Its owner must ``stopWatching(_:)`` or close it; a closed descriptor is watched no longer.
    ///
    /// - Parameter token: comes back with each event. A descriptor that is closed while events are being handled may
    ///   still have one among them, so the token should tell one use of a number from the next.
    /// - Throws: EEXIST if it is watched already, EPERM for a regular file, ENOSPC at the limit of the user
    ///   (`fs.epoll.max_user_watches`), ENOMEM.
    public func watch(_ descriptor: FileDescriptor, for readiness: Readiness, token: UInt64) throws(SystemCallError) {
        try control(EPOLL_CTL_ADD, descriptor, readiness, token)
    }

    /// Watches a descriptor for something else from now on. Errors and hang-ups are reported even if `readiness` is
    /// empty.
    ///
    /// - Throws: ENOENT if it is not watched.
    public func change(_ descriptor: FileDescriptor, to readiness: Readiness, token: UInt64) throws(SystemCallError) {
        try control(EPOLL_CTL_MOD, descriptor, readiness, token)
    }

    /// Ends the watch of a descriptor that stays open.
    ///
    /// - Throws: ENOENT if it is not watched.
    public func stopWatching(_ descriptor: FileDescriptor) throws(SystemCallError) {
        try control(EPOLL_CTL_DEL, descriptor, [], 0)
    }

    private func control(
        _ operation: Int32,
        _ descriptor: FileDescriptor,
        _ readiness: Readiness,
        _ token: UInt64
    ) throws(SystemCallError) {
        var event = unsafe epoll_event()
        if readiness.contains(.readable) { unsafe event.events |= EPOLLIN.rawValue }
        if readiness.contains(.writable) { unsafe event.events |= EPOLLOUT.rawValue }
        unsafe event.data.u64 = token
        _ = try check("watch", "descriptor \(descriptor.rawValue)") {
            unsafe Int(epoll_ctl(epoll.raw.rawValue, operation, descriptor.rawValue, &event))
        }
    }

    /// Waits until a descriptor is ready or `deadline` is there. `nil` waits for descriptors only; a deadline in the past
    /// takes what is ready already. It may return early with no event, for instance when the process was stopped and
    /// goes on.
    ///
    /// - Returns: the number of events, for the subscript.
    public mutating func wait(until deadline: MonotonicTime?) throws(SystemCallError) -> Int {
        let timeout = Self.timeout(until: deadline, now: deadline == nil ? nil : .now)
        let count = unsafe events.withUnsafeMutableBufferPointer {
            unsafe epoll_wait(epoll.raw.rawValue, $0.baseAddress, Int32($0.count), timeout)
        }
        if count >= 0 { return Int(count) }
        let failure = Errno(rawValue: Glibc.errno)
        guard failure == .interrupted else { throw SystemCallError("wait for", "events", errno: failure) }
        return 0
    }

    /// Milliseconds for epoll_wait(2), -1 for no limit. Rounded up: rounding down would wake again and again in the last
    /// millisecond before each deadline.
    static func timeout(until deadline: MonotonicTime?, now: MonotonicTime?) -> Int32 {
        guard let deadline, let now else { return -1 }
        guard deadline > now else { return 0 }
        let milliseconds = (deadline.nanoseconds - now.nanoseconds + 999_999) / 1_000_000
        return Int32(clamping: milliseconds)
    }

    /// Event `index` of the last ``wait(until:)``.
    public subscript(index: Int) -> Event {
        let event = unsafe events[index]
        var readiness: Readiness = []
        let broken = EPOLLERR.rawValue | EPOLLHUP.rawValue
        if unsafe event.events & (EPOLLIN.rawValue | broken) != 0 { readiness.insert(.readable) }
        if unsafe event.events & (EPOLLOUT.rawValue | broken) != 0 { readiness.insert(.writable) }
        return unsafe Event(token: event.data.u64, readiness: readiness)
    }
}
