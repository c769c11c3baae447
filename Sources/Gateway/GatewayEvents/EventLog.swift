public import Logging
public import SystemCalls
public import Systemd
public import Time

extension Logger {
    /// Writes a line about an event, with the fields `KEX_EVENT=`, `KEX_DOMAIN=` and `KEX_KEY=` in the journal. The
    /// message says it all by itself, since at a terminal there is nothing else.
    ///
    /// - Parameters:
    ///   - domain: name of the domain that the line is about, one that the configuration knows.
    ///   - key: public key of the router that the line is about, in base64.
    public func log(
        _ event: GatewayEvent,
        _ level: Logger.Level,
        domain: String? = nil,
        key: String? = nil,
        _ message: @autoclosure () -> String
    ) {
        write(event, level, fields: ["KEX_DOMAIN": domain, "KEX_KEY": key], message())
    }
}

extension LineBudget {
    /// Writes a line as `Logger.log` of an event does, or counts it.
    ///
    /// - Parameters:
    ///   - event: what the line is about, and so on as for the logger.
    ///   - time: when, for a caller that knows.
    public mutating func log(
        _ event: GatewayEvent,
        _ level: Logger.Level,
        domain: String? = nil,
        key: String? = nil,
        _ message: @autoclosure () -> String,
        to log: Logger,
        at time: MonotonicTime = .now
    ) {
        guard permits(level, to: log, at: time) else { return }
        log.log(event, level, domain: domain, key: key, message())
    }
}
