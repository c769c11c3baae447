public import KexProtocol
public import NetworkAddresses
public import SourceLimits

/// The settings of the HTTP front door.
public struct HTTPSettings: Sendable {
    /// The domains, and the gateway's own address in each of them; `nil` if routers do not get it.
    public var domains: [DomainName: IPv6Address?]
    /// The domains among them in which this machine has no gateway.
    public var remoteDomains: Set<DomainName>
    /// The host name under which routers reach the gateway.
    public var externalName: String
    /// The domain of routers that name themselves and no domain, and the path that they post to.
    public var nodeNames: (path: String, domain: DomainName)?
    /// Sources that stand for many routers: ``HTTPLimits/source`` is not for them.
    public var unlimitedSources: [IPPrefix]

    public init(
        domains: [DomainName: IPv6Address?],
        remoteDomains: Set<DomainName> = [],
        externalName: String,
        nodeNames: (path: String, domain: DomainName)? = nil,
        unlimitedSources: [IPPrefix] = []
    ) {
        self.domains = domains
        self.remoteDomains = remoteDomains
        self.externalName = externalName
        self.nodeNames = nodeNames
        self.unlimitedSources = unlimitedSources
    }
}

/// Limits of the HTTP front door. The defaults are those of the service; tests use smaller ones.
public struct HTTPLimits: Sendable {
    /// Connections at a time.
    public var connections = 2048
    /// How long a client may be idle before it loses its place to another one when all places are taken. It is two
    /// round trips to the other side of the world, which is what a handshake takes.
    public var grace = Duration.milliseconds(500)
    /// Connections that are accepted in one round of the loop. With one, refused clients would keep new ones waiting
    /// while many are served.
    public var acceptsPerRound = 16
    /// Requests of one source. A connection that is kept open takes one at a time, and costs a token for each request.
    public var source = SourceLimits.Share.exchanges
    /// How often one source that is too fast gets 429 on a new connection. Beyond that, and always if it takes a
    /// handshake or the source has as many connections as it may, the connection is closed without an answer.
    public var refusals = SourceLimits.Share(burst: 16, interval: .milliseconds(500))
    /// Bytes in the body of a request. The longest that a router sends has some 130.
    public var body = 1024
    /// Bytes in all header fields of a request. Those of a router have some 600.
    public var header = 8 * 1024
    /// Header fields of a request. A router sends ten.
    public var headerFields = 64
    /// Time for a whole request, from when the connection is there, or from the answer to the request before. Bytes
    /// that arrive do not prolong it.
    public var requestTime = Duration.seconds(5)
    /// Time for the handler's answer. It answers within milliseconds.
    public var answerTime = Duration.seconds(5)
    /// How long a client may go on sending after it heard of the end, before its connection is closed.
    public var drainTime = Duration.seconds(1)
    /// How long no connection to the handler is made after one that failed.
    public var handlerPause = Duration.milliseconds(100)
    /// How long an answer about a domain is used.
    public var statusAge = Duration.seconds(1)
    /// Time for unfinished exchanges when the service is stopped.
    public var stopTime = Duration.seconds(5)
    /// Shortest time between two log lines on the same subject.
    public var noticeTime = Duration.seconds(10)

    public init() {}
}
