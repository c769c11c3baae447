internal import Glibc
public import SystemPackage

/// Waiting for one descriptor, for programs that have nothing else to do meanwhile.
public enum Readiness: Sendable {
    /// Something can be received, or the other side has ended or failed.
    case readable
    /// Something can be sent, or a connect has ended, well or badly.
    case writable

    /// Waits until `descriptor` is as asked or `deadline` is there. Source: poll(2).
    ///
    /// - Returns: `false` if the deadline came first.
    public func wait(
        on descriptor: FileDescriptor,
        until deadline: MonotonicTime
    ) throws(SystemCallError) -> Bool {
        let events = Int16(self == .readable ? POLLIN : POLLOUT)
        var poll = pollfd(fd: descriptor.rawValue, events: events, revents: 0)
        while true {
            // Rounded up, or the last millisecond would be spent in a busy loop.
            let left = max(.zero, deadline - .now)
            let milliseconds = (left + .nanoseconds(999_999)) / .milliseconds(1)
            let count = try check("wait for", "descriptor \(descriptor.rawValue)") {
                unsafe Int(Glibc.poll(&poll, 1, Int32(min(milliseconds, 1_000_000))))
            }
            if count > 0 { return true }
            if MonotonicTime.now >= deadline { return false }
        }
    }
}
