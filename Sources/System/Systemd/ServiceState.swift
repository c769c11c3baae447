internal import Glibc
internal import SystemCalls
internal import Time

/// What a service tells systemd about itself. Without systemd each call does nothing.
///
/// Source: sd_notify(3).
public enum ServiceState {
    /// The service does its work from now on, after its start or after ``reloading()``.
    ///
    /// - Parameter status: one line for `systemctl status`.
    public static func ready(status: String) { notify("READY=1\nSTATUS=\(status)") }

    /// The service reads its configuration again; ``ready(status:)`` must follow, whatever comes of it.
    public static func reloading() {
        // systemd wants CLOCK_MONOTONIC, which MonotonicTime is not.
        var time = timespec()
        let result = unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        precondition(result == 0, "CLOCK_MONOTONIC exists everywhere")
        notify("RELOADING=1\nMONOTONIC_USEC=\(UInt64(time.tv_sec) * 1_000_000 + UInt64(time.tv_nsec) / 1000)")
    }

    /// The start takes longer than `TimeoutStartSec=`: it may go on for `duration` from now.
    ///
    /// - Parameter duration: in whole microseconds, greater than zero.
    public static func extendStart(by duration: Duration) {
        let (seconds, attoseconds) = duration.components
        notify("EXTEND_TIMEOUT_USEC=\(seconds * 1_000_000 + attoseconds / 1_000_000_000_000)")
    }

    /// Sets the line for `systemctl status`.
    public static func status(_ text: String) { notify("STATUS=\(text)") }

    /// The service ends by its own will.
    public static func stopping() { notify("STOPPING=1") }

    /// Whether a service manager listens to what is said here.
    public static var hasManager: Bool { ManagerEnvironment.text("NOTIFY_SOCKET") != nil }

    /// How long a manager that reads nothing is waited for. What it is told once must not be lost; one that is gone for
    /// good must not keep the service from its work.
    static let patience = Duration.seconds(5)

    /// Sends what the protocol calls a state: lines of `NAME=value` in one datagram.
    static func notify(_ state: String) {
        guard let address = ManagerEnvironment.text("NOTIFY_SOCKET").flatMap(SocketAddress.init(environment:)),
            let socket = try? Socket.connect(to: address, kind: .datagram)
        else { return }
        let packet = Array(state.utf8)
        if (try? Socket.send(packet, to: socket.raw)) != nil { return }
        guard (try? Socket.wait(for: .writable, of: socket.raw, until: .now + patience)) == true else { return }
        _ = try? Socket.send(packet, to: socket.raw)
    }
}
