/// How large a fleet may be, and what a choice goes by.
public enum FleetLimit {
    /// Gateways. When all places are taken, a new one gets that of the one that was silent longest, if that is offline.
    public static let gateways = 512
    /// Length of a gateway's name in bytes: that of a host name (RFC 1035, section 2.3.4: 255 on the wire, 253 as
    /// text).
    public static let nameLength = 253
    /// Domains; what is said of others is left out. The operator's own have their places for sure, however many they
    /// are.
    public static let domains = 256
    /// Routers that a gateway may claim to have in one domain. A larger number counts as this one.
    public static let peers = 1_000_000

    /// Routers whose gateway is known, at least the last that were heard of; at most twice as many at times. Junk
    /// cannot push them out: they come from gateways, and answers are kept elsewhere. A dictionary grows beyond three
    /// quarters of a power of two (measured), which is why it is this many; all that is kept of routers is 16 MiB at
    /// most (measured).
    public static let routers = 98_304
    /// Routers whose answer is known, at least the last ones; at most twice as many at times. A domain takes in 100 new
    /// keys a second in the long run, which are fewer than this within ``retryTime``.
    public static let answers = 49_152

    /// A gateway that was silent for longer is offline, whatever its status says: two of the field's intervals of 60 s.
    /// If the broker dies before the gateway, the gateway's will is never published.
    public static let silence = Duration.seconds(120)
    /// A router that shook hands not longer ago is connected (WireGuard whitepaper, section 6.2: REJECT_AFTER_TIME).
    public static let sessionTime = Duration.seconds(180)
    /// A router that asks again gets the same answer for this long. The field's firmware tries once a minute.
    public static let retryTime = Duration.seconds(300)

    /// A router that is not connected goes to another gateway if its own is fuller by more than this share of what all
    /// are on average. Less than the 5 % that a gateway may be away from its weight.
    static let tolerance = 0.04
    /// Gateways that need routers equally are told apart by the router's key; what they differ in less than this share
    /// of what they should have is no difference. Several front doors that choose at the same time all see the same
    /// counts: without this all of them would choose the same gateway until the next counts come.
    static let nearness = 0.02
}
