internal import LinkFacts
public import NetworkAddresses

/// Where a machine may be found, and who says so.
public struct CandidateEndpoint: Hashable, Sendable {
    /// What stands behind an endpoint, the best first.
    public enum Origin: UInt8, Comparable, Hashable, Sendable {
        /// This machine's operator says so.
        case configured
        /// The machine itself says so: an address of one of its interfaces.
        case own
        /// WireGuard, here or at a router of ours, has heard the machine from there.
        case observed
        /// Somebody says so, and nobody knows why.
        case hearsay

        public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
    }

    public var endpoint: Endpoint
    public var origin: Origin

    public init(_ endpoint: Endpoint, _ origin: Origin) {
        self.endpoint = endpoint
        self.origin = origin
    }
}

/// How long a fact of a machine of ours holds: as long as the machine itself, or until it withdraws the fact. The time
/// to live says so by one of the numbers that no clock reaches, and which one tells where the fact comes from.
extension TimeToLive {
    private static let lasting: UInt16 = .max

    init(lasting origin: CandidateEndpoint.Origin) {
        self.init(seconds: Self.lasting - UInt16(origin.rawValue))
    }

    /// `nil` for a time in seconds.
    var lastingOrigin: CandidateEndpoint.Origin? {
        UInt8(exactly: Self.lasting - seconds).flatMap { CandidateEndpoint.Origin(rawValue: $0) }
    }
}
