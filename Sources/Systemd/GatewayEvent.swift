public import Logging

/// What a log line tells, for machines: the journal's field `KEX_EVENT`. So `journalctl KEX_EVENT=refused` finds refusals
/// whatever their words.
public enum GatewayEvent: String, CaseIterable, Sendable {
    /// A service does its work from now on.
    case ready
    /// It ends because it was told to.
    case ending
    /// The configuration was read again, and counts.
    case reloaded
    /// The configuration was read again, and cannot be used; the old one counts.
    case reloadFailed = "reload-failed"

    /// A new router is in the kernel.
    case registered
    /// Somebody was told no, and why.
    case refused
    /// What should have been done to a router could not be.
    case failed
    /// The first handshake of a router in its WireGuard interface.
    case confirmed
    /// Fdb entries were missing.
    case repaired
    /// A router was taken out after two sweeps.
    case removed

    /// A domain's interfaces are there, and registrations are answered.
    case inService = "in-service"
    /// They are not.
    case outOfService = "out-of-service"
    /// A new interface got its routers back.
    case restored

    /// A state file could not be read whole.
    case stateDamaged = "state-damaged"
    /// A state file could not be written; the old one is there.
    case stateUnwritten = "state-unwritten"
    /// It can be written again.
    case stateWritten = "state-written"
    /// The wall clock was stepped.
    case clockStepped = "clock-stepped"
}

extension Logger {
    /// Logs a line with the fields `KEX_EVENT`, `KEX_DOMAIN` and `KEX_KEY`. The message should say the same in words.
    ///
    /// - Parameters:
    ///   - domain: the domain's name. Only one that is configured: everything else is a stranger's text.
    ///   - key: the router's public key.
    public func log(
        _ event: GatewayEvent,
        _ level: Logger.Level,
        domain: String? = nil,
        key: String? = nil,
        _ message: @autoclosure () -> String
    ) {
        var metadata: Logger.Metadata = ["KEX_EVENT": "\(event.rawValue)"]
        if let domain { metadata["KEX_DOMAIN"] = "\(domain)" }
        if let key { metadata["KEX_KEY"] = "\(key)" }
        log(level: level, "\(message())", metadata: metadata)
    }
}
