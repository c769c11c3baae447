internal import CSystemd

/// What a service tells systemd about itself. Without systemd each call does nothing.
///
/// Source: sd_notify(3).
public enum ServiceState {
    /// The service does its work from now on.
    ///
    /// - Parameter status: one line for `systemctl status`.
    public static func ready(status: String) { notify("READY=1\nSTATUS=\(status)") }

    /// Says something new for `systemctl status`.
    public static func status(_ status: String) { notify("STATUS=\(status)") }

    /// The configuration is being read again; ``ready(status:)`` ends that.
    public static func reloading() {
        notify("RELOADING=1")
    }

    /// The service ends by its own will.
    public static func stopping() { notify("STOPPING=1") }

    /// The start takes longer than the unit allows, but is getting on: it has this much more time from now.
    public static func extendStart(by time: Duration) {
        notify("EXTEND_TIMEOUT_USEC=\(Int64(time / .microseconds(1)))")
    }

    static func notify(_ state: String) { _ = unsafe sd_notify(0, state) }
}
