/// What a log line is about: the field `KEX_EVENT=` of the journal. Part of the interface to operators, so a name never
/// changes its meaning. Each system names its own events; those that every service has are ``ServiceEvent``.
public protocol JournalEvent: RawRepresentable<String>, Hashable, Sendable {}

/// What every service says of itself.
public enum ServiceEvent: String, CaseIterable, JournalEvent {
    /// The service does its work from now on.
    case ready
    /// The service was told to end.
    case ending
    /// The service cannot begin or go on.
    case cannotServe = "cannot-serve"
    /// The program was called in a way that it does not know.
    case wrongUsage = "wrong-usage"
    /// One mistake in the configuration, at the start or at a reload.
    case mistake
    /// Something in the configuration that can be used, and will hardly do what is meant.
    case doubtful
    /// A changed configuration is in force.
    case reloaded
    /// A changed configuration cannot be used; the one before stays.
    case reloadFailed = "reload-failed"
    /// A change of the configuration that takes a restart.
    case restartNeeded = "restart-needed"
    /// Lines that strangers caused were left out, because there were too many.
    case leftOut = "left-out"
}
