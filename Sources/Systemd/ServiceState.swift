internal import CSystemd

/// What a service tells systemd about itself. Without systemd each call does nothing.
///
/// Source: sd_notify(3).
public enum ServiceState {
    /// The service does its work from now on.
    ///
    /// - Parameter status: one line for `systemctl status`.
    public static func ready(status: String) { notify("READY=1\nSTATUS=\(status)") }

    /// The service ends by its own will.
    public static func stopping() { notify("STOPPING=1") }

    private static func notify(_ state: String) { _ = unsafe sd_notify(0, state) }
}
