internal import Glibc
public import SystemPackage

/// A system call that failed: what was tried, on what, and the errno.
public struct SystemCallError: Error, Hashable, Sendable {
    /// What was being done, in words that follow "cannot": `connect to`, `read`.
    public let operation: String
    /// What it was done to: a path, an address, an interface.
    public let object: String
    public let errno: Errno

    public init(_ operation: String, _ object: String, errno: Errno) {
        self.operation = operation
        self.object = object
        self.errno = errno
    }
}

extension SystemCallError: CustomStringConvertible {
    /// One line: `cannot connect to /run/kex/handler.sock: Connection refused (errno 111)`.
    public var description: String { "cannot \(operation) \(object): \(errno) (errno \(errno.rawValue))" }
}

/// Runs `call` until it is not interrupted by a signal, and throws if it returns -1.
///
/// The name of the object is evaluated only on failure.
package func check(
    _ operation: String,
    _ object: @autoclosure () -> String,
    _ call: () -> Int
) throws(SystemCallError) -> Int {
    while true {
        let result = call()
        if result != -1 { return result }
        let errno = Errno(rawValue: Glibc.errno)
        if errno != .interrupted { throw SystemCallError(operation, object(), errno: errno) }
    }
}

/// Runs `call` as ``check(_:_:_:)`` does, and returns `nil` if it would have to wait (EAGAIN). That is an everyday
/// answer of a non-blocking descriptor, so no error with its texts is made for it.
package func checkWithoutWaiting(
    _ operation: String,
    _ object: @autoclosure () -> String,
    _ call: () -> Int
) throws(SystemCallError) -> Int? {
    while true {
        let result = call()
        if result != -1 { return result }
        switch Errno(rawValue: Glibc.errno) {
        case .interrupted: continue
        case .resourceTemporarilyUnavailable, .wouldBlock: return nil
        case let errno: throw SystemCallError(operation, object(), errno: errno)
        }
    }
}
