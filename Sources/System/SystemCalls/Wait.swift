internal import CLinux
internal import Glibc
public import SystemPackage
public import Time

extension Socket {
    /// What to wait for on a descriptor. An error or an end counts as either: the next call tells.
    public enum Readiness: Sendable {
        case readable
        case writable
    }

    /// Waits until `descriptor` is ready, for programs that do one thing at a time.
    ///
    /// - Returns: `false` if `deadline` came first.
    public static func wait(
        for readiness: Readiness,
        of descriptor: FileDescriptor,
        until deadline: MonotonicTime
    ) throws(SystemCallError) -> Bool {
        let events = readiness == .readable ? POLLIN : POLLOUT
        var entry = pollfd(fd: descriptor.rawValue, events: Int16(events), revents: 0)
        let count = try check("wait for", "descriptor \(descriptor.rawValue)") {
            let left = deadline - .now
            // Rounded up, so that a wait that ends by itself has reached the deadline.
            let milliseconds = left > .zero ? (left + .microseconds(999)) / .milliseconds(1) : 0
            return unsafe Int(poll(&entry, 1, Int32(clamping: Int64(milliseconds))))
        }
        return count > 0
    }
}
