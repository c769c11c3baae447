internal import NetworkAddresses
internal import Time

/// Which of several proven paths is taken: one in a network in common before others, then the shorter round trip, and
/// IPv6 where they are equal.
///
/// A path is left for another only if that is clearly better: a round trip trembles, and each change costs a little.
struct PathChoice: Sendable {
    /// Round trips that differ by less than this, or by less than a fifth of the longer one, are equal.
    static let margin = Duration.milliseconds(4)

    private(set) var current: Endpoint?

    /// - Returns: the path that is taken from now on, `nil` if none is proven. The one that was taken is kept however old
    ///   its proof is, as long as nothing speaks against it.
    mutating func choose(of paths: [Path], at now: MonotonicTime) -> Path? {
        var best = paths.first { $0.candidate.endpoint == current && $0.isBelieved }
        for path in paths where path.isProven(at: now) {
            guard let held = best else {
                best = path
                continue
            }
            if Self.isBetter(path, than: held) { best = path }
        }
        if let best { current = best.candidate.endpoint }
        return best
    }

    private static func isBetter(_ path: Path, than held: Path) -> Bool {
        if path.candidate.isNear != held.candidate.isNear { return path.candidate.isNear }
        guard let new = path.roundTrip, let old = held.roundTrip else { return false }
        let margin = max(Self.margin, max(new, old) / 5)
        if new + margin <= old { return true }
        // From IPv4 to IPv6 half the margin, so that nothing leads back the same way.
        return path.isIPv6 && !held.isIPv6 && new <= old + margin / 2
    }
}

extension Path {
    fileprivate var isIPv6: Bool {
        if case .v6 = candidate.endpoint { true } else { false }
    }
}
