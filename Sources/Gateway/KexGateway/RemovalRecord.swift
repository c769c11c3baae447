public import WireGuardTypes

/// Who was removed from a domain on purpose: by a sweep, by the operator's lists, or by hand.
///
/// These alone are reported to the other gateways. A router that is missing from a list without being recorded here may
/// have been lost by the machine, or removed because another gateway said so; neither is this gateway's word on it.
public struct RemovalRecord: Sendable {
    /// Number of the last removal. They are counted from 1.
    public private(set) var lastNumber: UInt64 = 0
    /// Oldest first.
    private var keys: [PublicKey] = []
    /// The last sign of life that was known of each when it was removed, seconds since 1970.
    private var lastHeard: [PublicKey: Int64] = [:]

    /// Notes a removal.
    ///
    /// - Parameter heard: the last sign of life that is known of the router, here or at another gateway, seconds since
    ///   1970.
    public mutating func note(_ key: PublicKey, lastHeard heard: Int64) {
        if keys.count >= DomainLimit.removals {
            // The older half at once, so that a removal does not move all the others.
            keys.removeFirst(DomainLimit.removals / 2)
            let rest = Set(keys)
            lastHeard = lastHeard.filter { rest.contains($0.key) }
        }
        lastNumber += 1
        keys.append(key)
        lastHeard[key] = heard
    }

    /// Those that were noted after this number, as far as they are remembered, oldest first. A number beyond
    /// ``lastNumber`` is of another record, and all of this one is new.
    public func keys(after number: UInt64) -> ArraySlice<PublicKey> {
        guard number <= lastNumber else { return keys[...] }
        return keys.suffix(Int(clamping: lastNumber - number))
    }

    /// What was known of a router that was noted.
    func lastHeard(of key: PublicKey) -> Int64? { lastHeard[key] }

    /// Whether the router was removed when a handshake at this time was known already. Old evidence does not bring it
    /// back.
    ///
    /// - Parameter now: seconds since 1970. What was noted of a later time is from before the clock was put back, and
    ///   says nothing.
    func isOld(_ time: Int64, of key: PublicKey, at now: Int64) -> Bool {
        lastHeard[key].map { time <= $0 && $0 <= now } ?? false
    }
}
