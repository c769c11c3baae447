public import Logging

/// What a log line is about: `journalctl KEX_EVENT=refused` shows every refusal. Part of the interface to operators, so
/// a name never changes its meaning.
public enum GatewayEvent: String, CaseIterable, Hashable, Sendable {
    // Routers

    /// A new router is in.
    case registered
    /// The first handshake of a router in its WireGuard interface.
    case confirmed
    /// What the VXLAN interface learned of a router has been taken out, because the interface had no room left.
    case evicted
    /// What was missing of a router that is in has been put back.
    case repaired
    /// An exchange or a registration was answered with a refusal.
    case refused
    /// A registration that is in order could not be carried out.
    case failed
    /// A new router was taken out again, because it has not been heard of in its time.
    case expired
    /// A router's session was ended, because the router registered again and nothing came in it any more.
    case reset
    /// A sweep or the operator took a router out.
    case removed
    /// A router that should go could not be removed.
    case kept
    /// A router is at another of its addresses than before, or routers have those of other profiles.
    case readdressed
    /// Routers were put back from the state that was kept over a restart.
    case restored

    // Domains

    /// A domain works, at the start or again.
    case inService = "in-service"
    /// A domain does not work; its routers are answered UNAVAILABLE.
    case outOfService = "out-of-service"

    // The service

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
    /// So many routers fell silent together that a sweep suspects the gateway, and removes nobody.
    case massSilence = "mass-silence"
    /// Most routers of a domain went from WireGuard at once, and come back.
    case massLoss = "mass-loss"
    /// A peer that looks like a router's is the operator's.
    case operatorsPeer = "operators-peer"
    /// The wall clock was set.
    case clockStepped = "clock-stepped"
    /// Another gateway's clock differs from ours, or does so no more.
    case clockDiffers = "clock-differs"

    // The kept state

    /// The kept state cannot be read, or not all of it.
    case stateDamaged = "state-damaged"
    /// The state cannot be written at present.
    case stateUnwritten = "state-unwritten"
    /// The state can be written again.
    case stateWrittenAgain = "state-written-again"

    // Connections

    /// The handler cannot be asked: everybody is answered UNAVAILABLE.
    case handlerLost = "handler-lost"
    /// The handler answers again.
    case handlerBack = "handler-back"
    /// The program that shares routers cannot be asked: everybody who asks over HTTP is answered UNAVAILABLE.
    case busLost = "bus-lost"
    /// It answers again.
    case busBack = "bus-back"
    /// There is no connection to the broker: front doors are answered UNAVAILABLE.
    case brokerLost = "broker-lost"
    /// The broker has let us in.
    case brokerBack = "broker-back"
    /// Messages on the bus meant nothing, or are not believed.
    case busIgnored = "bus-ignored"
    /// The broker did not send all notes that other gateways keep with it, or does not take ours.
    case busIncomplete = "bus-incomplete"
    /// Somebody else has spoken of this gateway on the bus.
    case busContradicted = "bus-contradicted"
    /// A program on the handler's sockets was disconnected, or not let in.
    case disconnected
    /// There are as many connections as there may be.
    case full
    /// The system has no descriptor or memory left.
    case exhausted
    /// Lines that strangers caused were left out, because there were too many.
    case leftOut = "left-out"

    /// Progress of a single exchange, with `--debug` only.
    case exchange
}

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
        guard logLevel <= level else { return }
        var metadata: Logger.Metadata = ["KEX_EVENT": .string(event.rawValue)]
        if let domain { metadata["KEX_DOMAIN"] = .string(domain) }
        if let key { metadata["KEX_KEY"] = .string(key) }
        log(level: level, "\(message())", metadata: metadata)
    }
}
