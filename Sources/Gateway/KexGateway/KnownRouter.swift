public import WireGuardTypes

/// What is worth knowing about a router when the kernel has forgotten it: after a reboot, or when its WireGuard
/// interface was made anew.
public struct KnownRouter: Hashable, Sendable {
    public var key: PublicKey
    /// Seconds since 1970.
    public var lastHeard: Int64
    /// Set if a sweep has found it stale.
    public var mark: StaleMark?
    /// Whether its peer was in WireGuard before kex knew it: a deployed worker may have made it, or the operator.
    public var isAdopted: Bool

    public init(key: PublicKey, lastHeard: Int64, mark: StaleMark? = nil, isAdopted: Bool = false) {
        self.key = key
        self.lastHeard = lastHeard
        self.mark = mark
        self.isAdopted = isAdopted
    }
}

/// When a router was found stale, and what had been heard of it by then.
public struct StaleMark: Hashable, Sendable {
    /// Time since the start of the machine: the wall clock may step between two sweeps.
    public var since: Duration
    public var receivedBytes: UInt64

    public init(since: Duration, receivedBytes: UInt64) {
        self.since = since
        self.receivedBytes = receivedBytes
    }
}
