public import BusMessages
public import KexProtocol
public import Keys
public import NetworkAddresses
internal import WireGuardTypes

/// What this gateway is to the others.
public struct MemberSettings: Hashable, Sendable {
    /// A domain that it serves.
    public struct Domain: Hashable, Sendable {
        public let name: DomainName
        /// The gateway's own address inside the tunnel; `nil` if routers are not sent here.
        public var linkAddress: IPv6Address?
        /// A router that was silent for longer is stale.
        public var staleAfter: Duration
        /// Whether this machine has a gateway in it. If not, it takes registrations for the others.
        public var hasGateway: Bool

        public init(name: DomainName, linkAddress: IPv6Address?, staleAfter: Duration, hasGateway: Bool = true) {
            self.name = name
            self.linkAddress = linkAddress
            self.staleAfter = staleAfter
            self.hasGateway = hasGateway
        }

        /// How long the broker keeps a note. Its router is stale at every gateway by then.
        var expiry: Duration { staleAfter * 2 }
        /// Time from one note of a living router to the next, at most: half of the time in which it would be stale.
        var refreshTime: Duration { expiry / 4 }
        /// Time from one list of its routers to the next.
        var routersInterval: Duration {
            min(max(staleAfter / 8, BusLimit.shortestRoutersInterval), BusLimit.routersInterval)
        }
    }

    /// Whether there is a handler to be asked.
    public var hasGateway: Bool { domains.contains(where: \.hasGateway) }

    public var name: GatewayName
    /// Where routers reach it.
    public var externalAddress: String
    public var domains: [Domain]
    /// Shares of routers by the names of gateways.
    public var weights: [String: Int]
    /// Signs what is ours; `nil` if nothing is signed.
    public var signingKey: SigningKey?
    /// Whom to believe; `nil` for everybody.
    public var trusted: TrustedKeys?

    public init(
        name: GatewayName,
        externalAddress: String,
        domains: [Domain],
        weights: [String: Int] = [:],
        signingKey: SigningKey? = nil,
        trusted: TrustedKeys? = nil
    ) {
        self.name = name
        self.externalAddress = externalAddress
        self.domains = domains
        self.weights = weights
        self.signingKey = signingKey
        self.trusted = trusted
    }
}

/// A router of one of our domains. It is shorter than a registration, because there are many.
struct RouterID: Hashable, Sendable {
    let key: PublicKey
    private let shortDomain: UInt16
    /// Index of the domain among the settings'.
    var domain: Int { Int(shortDomain) }

    init(_ key: PublicKey, domain: Int) {
        self.key = key
        shortDomain = UInt16(domain)
    }
}
