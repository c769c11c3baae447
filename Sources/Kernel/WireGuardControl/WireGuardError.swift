public import NetworkAddresses
public import SystemCalls
public import SystemPackage

/// What was being done to a WireGuard interface.
public enum WireGuardOperation: String, Hashable, Sendable {
    case readState = "read the state of"
    case readKey = "read the private key of"
    case applyChanges = "change the peers of"
    case configure = "configure"
}

/// Why an operation on a WireGuard interface failed. Each case is one that callers treat differently.
///
/// Changes are no transaction: if ``WireGuardInterface/apply(_:)`` fails, those before the failing one may be in
/// effect. Doing all of them again is safe.
public enum WireGuardError: Error, Hashable, Sendable {
    /// There is no interface of this name, or no longer.
    case noSuchInterface(InterfaceName)
    /// The interface is of another kind.
    case notWireGuard(InterfaceName)
    /// This kernel has no WireGuard, and no userspace WireGuard has a socket for this name.
    case noKernelSupport(InterfaceName)
    /// The kernel, or the userspace WireGuard, answered with an errno. `text` is the kernel's own wording.
    case refused(WireGuardOperation, InterfaceName, errno: Errno, text: String?)
    /// The other side cannot be spoken to at all: its process is gone, or the permission is missing.
    case unreachable(WireGuardOperation, InterfaceName, SystemCallError)
    /// No answer in time. Whether the operation took effect is not known.
    case noAnswer(WireGuardOperation, InterfaceName)
    /// The peers changed during each of several attempts to list them.
    case interrupted(WireGuardOperation, InterfaceName)
    /// The answer breaks the protocol.
    case malformedReply(WireGuardOperation, InterfaceName, detail: String)
}

extension WireGuardError: CustomStringConvertible {
    /// One line: `cannot change the peers of wgww01: Operation not permitted (errno 1); …`.
    public var description: String {
        switch self {
        case .noSuchInterface(let name): "there is no interface \(name)"
        case .notWireGuard(let name): "interface \(name) is not a WireGuard interface"
        case .noKernelSupport(let name):
            "the kernel has no WireGuard, and no userspace WireGuard serves an interface \(name)"
        case .refused(let operation, let name, let errno, let text):
            Self.cannot(operation, name, "\(errno) (errno \(errno.rawValue))\(text.map { ": \($0)" } ?? "")")
        case .unreachable(let operation, let name, let error) where error.errno == .connectionRefused:
            // Who runs WireGuard takes his socket with him, unless he is killed.
            Self.cannot(
                operation,
                name,
                "\(error): its process is gone, and left \(error.object) behind; if the kernel runs \(name) now, then "
                    + "rm \(error.object), else start its process again: wireguard-go \(name)"
            )
        case .unreachable(let operation, let name, let error): Self.cannot(operation, name, "\(error)")
        case .noAnswer(let operation, let name): Self.cannot(operation, name, "no answer in time")
        case .interrupted(let operation, let name): Self.cannot(operation, name, "its peers kept changing meanwhile")
        case .malformedReply(let operation, let name, let detail):
            Self.cannot(operation, name, "malformed answer: \(detail)")
        }
    }

    private static func cannot(_ operation: WireGuardOperation, _ name: InterfaceName, _ reason: String) -> String {
        let note = operation == .applyChanges ? "; earlier changes may be in effect" : ""
        return "cannot \(operation.rawValue) \(name): \(reason)\(note)"
    }
}
