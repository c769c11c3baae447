public import KexProtocol
public import NetworkAddresses
public import SourceLimits

/// The settings of a front door.
public struct ServerSettings: Sendable {
    public var domains: Set<DomainName>
    /// Unix socket of `kex-handler` for front doors.
    public var handlerPath: String
    /// Sources that stand for many routers: ``ServerLimits/source`` is not for them.
    public var unlimitedSources: [IPPrefix]
    public var limits: ServerLimits

    public init(
        domains: Set<DomainName>,
        handlerPath: String,
        unlimitedSources: [IPPrefix] = [],
        limits: ServerLimits = ServerLimits()
    ) {
        self.domains = domains
        self.handlerPath = handlerPath
        self.unlimitedSources = unlimitedSources
        self.limits = limits
    }
}

/// Limits of a front door. The defaults are those of the service; tests use smaller ones.
public struct ServerLimits: Sendable {
    /// Connections at a time, 1 to ``ConnectionID/slots``. At two lines of 5 s each, 4096 take some 400 of the slowest
    /// clients a second.
    public var connections = ConnectionID.slots
    /// Connections of one source.
    public var source = SourceLimits.Share.exchanges
    /// Time for each line of an exchange.
    public var lineTime = ProtocolLimit.lineTime
    /// Time for the handler's answer, from when the exchange was complete. The handler answers within milliseconds.
    public var answerTime = Duration.seconds(5)
    /// How long a client may go on sending after its answer, before its connection is closed.
    public var drainTime = Duration.seconds(1)
    /// Bytes that a client may send after its answer, before its connection is closed.
    public var drainBytes = 16 * 1024
    /// How long no connection to the handler is made after one that failed.
    public var handlerPause = Duration.milliseconds(100)
    /// How long nothing is accepted after the system had no descriptor or memory left.
    public var acceptPause = Duration.milliseconds(100)
    /// Time for unfinished exchanges when the service is stopped.
    public var stopTime = Duration.seconds(5)
    /// Connections accepted from one listener before other events have their turn: as many as one packet to the
    /// handler takes.
    public var acceptsPerRound = 64
    /// Shortest time between two log lines on the same subject.
    public var noticeTime = Duration.seconds(10)

    public init() {}
}
