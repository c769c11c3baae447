public import Systemd

/// What a log line of the gateway is about: `journalctl KEX_EVENT=refused` shows every refusal. What every service says
/// of itself is ``ServiceEvent``.
public enum GatewayEvent: String, CaseIterable, JournalEvent {
    // Routers

    /// A new router is in.
    case registered
    /// The first handshake of a router in its WireGuard interface.
    case confirmed
    /// What the VXLAN interface learned of a router has been removed, because the interface had no room left.
    case evicted
    /// What was missing of a router that is in has been put back.
    case repaired
    /// An exchange or a registration was answered with a refusal.
    case refused
    /// A registration that is in order could not be carried out.
    case failed
    /// A new router was removed again, because it has not been heard of in its time.
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

    // What the gateway finds by itself

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

    /// Progress of a single exchange, with `--debug` only.
    case exchange
}
