public import SourceLimits

/// How much a relay does.
public struct RelayLimits: Hashable, Sendable {
    /// Members that have a port.
    public var ports: Int
    /// Pairs of members.
    public var pairs: Int
    /// Packets of a pair, both directions together.
    public var packets: TokenBucket.Size
    /// Bytes of a pair, both directions together, without headers.
    public var bytes: TokenBucket.Size

    public init(ports: Int, pairs: Int, packets: TokenBucket.Size, bytes: TokenBucket.Size) {
        self.ports = ports
        self.pairs = pairs
        self.packets = packets
        self.bytes = bytes
    }

    /// 1,024 ports; 65,536 pairs, as many as 362 members have; 25,000 packets and 25 MB a second for each pair, after 5,000 packets and 5 MB at once.
    public static let standard = RelayLimits(
        ports: 1024,
        pairs: 65_536,
        packets: TokenBucket.Size(burst: 5000, interval: .microseconds(40)),
        bytes: TokenBucket.Size(burst: 5_000_000, interval: .nanoseconds(40))
    )
}

/// What a relay has done since its beginning.
public struct RelayCounts: Hashable, Sendable {
    public internal(set) var forwardedPackets: UInt64 = 0
    public internal(set) var forwardedBytes: UInt64 = 0
    /// Requests that were answered.
    public internal(set) var answers: UInt64 = 0
    /// Packets of nobody who is known at that port, and those of somebody whose other end is not known yet.
    public internal(set) var strangers: UInt64 = 0
    /// Packets beyond the limits of their pair.
    public internal(set) var limited: UInt64 = 0
    /// Packets that were too long, and those that the kernel did not take.
    public internal(set) var lost: UInt64 = 0
}
