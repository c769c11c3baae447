internal import WireGuardTypes

/// Most allowed IPs of one change in a message: what fits into the 8 KiB of one of generic netlink, with everything
/// else that a peer can have. A peer with more gets them in several changes.
let allowedIPsPerChange = 200

extension PeerChange {
    /// The same as changes with ``allowedIPsPerChange`` each at most, in the order in which they must be made. The
    /// first has everything else. The others only update the peer, so that one that somebody removes meanwhile does
    /// not come back with the rest of its allowed IPs.
    var parts: [PeerChange] {
        let settings: PeerSettings
        switch self {
        case .remove: return [self]
        case .add(let all), .update(let all): settings = all
        }
        guard settings.allowedIPs.count > allowedIPsPerChange else { return [self] }
        var first = settings
        first.allowedIPs = Array(settings.allowedIPs.prefix(allowedIPsPerChange))
        let starts = stride(from: allowedIPsPerChange, to: settings.allowedIPs.count, by: allowedIPsPerChange)
        let others = starts.map { start in
            let rest = settings.allowedIPs[start...].prefix(allowedIPsPerChange)
            return PeerChange.update(PeerSettings(publicKey: settings.publicKey, allowedIPs: Array(rest)))
        }
        if case .update = self { return [.update(first)] + others }
        return [.add(first)] + others
    }
}
