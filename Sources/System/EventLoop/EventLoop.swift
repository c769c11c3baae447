internal import CLinux
internal import Glibc
public import SystemCalls
public import SystemPackage
public import Time

/// Waits for many descriptors at once, for one daemon's only thread. Level triggered: what has not been dealt with is
/// reported again.
///
/// Source: epoll(7). Nothing is allocated after the start. The type is safe although `epoll_event` is not: of that
/// union only the number is ever used.
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
    /// Wakes the loop. A deadline that is later than ``armed`` costs no call: in a server they are seconds away and
    /// mostly gone before they come, while a limit of epoll_wait(2) itself arms and disarms a timer each time
    /// (measured: 3 µs of a wait in a virtual machine).
    private let timer: OwnedDescriptor
    /// When the timer goes off; `nil` if it does not.
    private var armed: MonotonicTime?

    /// No token of a caller's.
    private static let timerToken = UInt64.max
    private var events = unsafe [epoll_event](repeating: epoll_event(), count: Self.eventsPerRound)

    public init() throws(SystemCallError) {
        // All that can fail comes before the first property, or the compiler cannot take a half-made struct apart.
        let number = try check("create", "an epoll descriptor") { Int(epoll_create1(Int32(EPOLL_CLOEXEC))) }
        let epoll = OwnedDescriptor(adopting: FileDescriptor(rawValue: Int32(number)))
        let flags = Int32(TFD_CLOEXEC | TFD_NONBLOCK)
        let clock = try check("create", "a timer") { Int(timerfd_create(CLOCK_BOOTTIME, flags)) }
        let timer = OwnedDescriptor(adopting: FileDescriptor(rawValue: Int32(clock)))
        // Edge-triggered: nobody has to read it.
        var event = unsafe epoll_event()
        unsafe event.events = EPOLLIN.rawValue | EPOLLET.rawValue
        unsafe event.data.u64 = Self.timerToken
        let (loop, watched) = (epoll.raw.rawValue, timer.raw.rawValue)
        _ = try check("watch", "a timer") { unsafe Int(epoll_ctl(loop, EPOLL_CTL_ADD, watched, &event)) }
        self.epoll = epoll
        self.timer = timer
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

    /// Waits until a descriptor is ready or `deadline` is there. `nil` waits for descriptors only; a deadline in the
    /// past takes what is ready already. It may return early with no event, for instance when the process was stopped
    /// and goes on.
    ///
    /// - Returns: the number of events, for the subscript.
    public mutating func wait(until deadline: MonotonicTime?) throws(SystemCallError) -> Int {
        var isDue = false
        if let deadline {
            isDue = deadline <= .now
            if !isDue { try arm(deadline) }
        }
        let result = unsafe events.withUnsafeMutableBufferPointer {
            unsafe epoll_wait(epoll.raw.rawValue, $0.baseAddress, Int32($0.count), isDue ? 0 : -1)
        }
        guard result >= 0 else {
            let failure = Errno(rawValue: Glibc.errno)
            guard failure == .interrupted else { throw SystemCallError("wait for", "events", errno: failure) }
            return 0
        }
        var count = Int(result)
        if let index = unsafe events[..<count].firstIndex(where: { unsafe $0.data.u64 == Self.timerToken }) {
            armed = nil
            count -= 1
            unsafe events.swapAt(index, count)
        }
        return count
    }

    /// Sees to it that the timer goes off at that time at the latest.
    private mutating func arm(_ deadline: MonotonicTime) throws(SystemCallError) {
        if let armed, armed <= deadline { return }
        var time = itimerspec()
        time.it_value.tv_sec = Int(deadline.nanoseconds / 1_000_000_000)
        time.it_value.tv_nsec = Int(deadline.nanoseconds % 1_000_000_000)
        let number = timer.raw.rawValue
        _ = try check("set", "a timer") {
            unsafe Int(timerfd_settime(number, Int32(TFD_TIMER_ABSTIME), &time, nil))
        }
        armed = deadline
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
