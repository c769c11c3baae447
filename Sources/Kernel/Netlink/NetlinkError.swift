public import SystemPackage

/// Why a netlink operation failed. Each case is one that callers treat differently.
///
/// `operation` and `object` are the caller's words: what was tried and on what, so that "cannot", the operation and
/// the object make a sentence.
public enum NetlinkError: Error, Hashable, Sendable {
    /// The kernel answered with an errno. `text` is its own wording (NLMSGERR_ATTR_MSG), `nil` if it gave none.
    case refused(operation: String, object: String, errno: Errno, text: String?)
    /// The socket itself failed: nothing is known of what the kernel did. ENOBUFS means that answers were lost.
    case socketFailed(operation: String, object: String, errno: Errno)
    /// The kernel did not answer within ``NetlinkSocket/answerTimeout``. Whether it acted is not known.
    case noAnswer(operation: String, object: String)
    /// What was being listed changed under the kernel's hands in each of ``NetlinkSocket/dumpAttempts`` attempts.
    case interrupted(operation: String, object: String)
    /// What is being listed has more than `limit` entries.
    case tooLong(operation: String, object: String, limit: Int)
    /// The answer breaks the protocol: a bug here or in the kernel, never an operator's mistake.
    case malformedReply(operation: String, object: String, detail: String)
    /// The message under construction has outgrown its limit in bytes: send a part, and the rest in another message.
    case messageTooLong(limit: Int)
    /// The kernel has no generic netlink family of this name: the module is missing.
    case noSuchFamily(String)

    /// What the kernel answered, or `nil` if the failure was of another kind.
    public var refusal: Errno? {
        if case .refused(_, _, let errno, _) = self { errno } else { nil }
    }
}

extension NetlinkError: CustomStringConvertible {
    /// One line: `cannot create VXLAN interface vxr1: File exists (errno 17)`, and the kernel's own text if it has one.
    public var description: String {
        switch self {
        case .refused(let operation, let object, let errno, let text):
            "cannot \(operation) \(object): \(errno) (errno \(errno.rawValue))\(text.map { ": \($0)" } ?? "")"
        case .socketFailed(let operation, let object, let errno):
            "cannot \(operation) \(object): netlink socket: \(errno) (errno \(errno.rawValue))"
        case .noAnswer(let operation, let object):
            "cannot \(operation) \(object): the kernel did not answer"
        case .interrupted(let operation, let object):
            "cannot \(operation) \(object): it kept changing meanwhile"
        case .tooLong(let operation, let object, let limit):
            "cannot \(operation) \(object): it has more than \(limit) entries"
        case .malformedReply(let operation, let object, let detail):
            "cannot \(operation) \(object): malformed answer: \(detail)"
        case .messageTooLong(let limit):
            "netlink message of more than \(limit) bytes"
        case .noSuchFamily(let name):
            "the kernel has no generic netlink family \(name)"
        }
    }
}

/// What in an answer breaks the protocol. ``NetlinkSocket`` adds the operation and the object.
public struct MalformedReply: Error, Hashable, Sendable {
    public let detail: String

    public init(_ detail: String) { self.detail = detail }
}

extension Errno {
    /// ENODEV, which System calls `operationNotSupportedByDevice`. To rtnetlink it means that there is no such
    /// interface.
    package static var noSuchDevice: Errno { .operationNotSupportedByDevice }
}
