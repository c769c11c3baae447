internal import EUI64
internal import GatewayEvents
internal import KexConfiguration
internal import KexGateway
internal import Logging
internal import NetworkAddresses
internal import SystemCalls
internal import Systemd
internal import WireGuardTypes

/// Routers get the addresses of other profiles.
extension MeshDomain {
    /// Routers whose peers change in one request. The watchdog is fed in between.
    private static let readdressedPerRound = 64

    /// Gives routers that came with other profiles the allowed IPs of the domain's, and leaves their sessions alone.
    func readdress(_ items: [DomainTable.Readdressing]) {
        guard !items.isEmpty else { return }
        // Entries go before addresses, so that the next snapshot finds whatever is left half done.
        let leading = items.flatMap { item in
            table.formerAddresses(of: item.key).filter { item.surplus.contains($0.linkLocal) }
        }.flatMap { entries([.mac, .flood], of: $0) }
        forgetLearned(of: items.flatMap(\.surplus))
        var failure = delete(leading).compactMap(\.self).first
        for start in stride(from: 0, to: items.count, by: Self.readdressedPerRound) where failure == nil {
            context.pulse.beat()
            failure = apply(items[start...].prefix(Self.readdressedPerRound).map(\.peerChange))
        }
        if let failure, failure != readdressFailure {
            log(.failed, .error, "could not change the addresses of routers: \(failure)")
        } else if failure == nil {
            let count = "\(items.count) \(items.count == 1 ? "router" : "routers")"
            let profiles = settings.addressProfiles.map(\.rawValue).joined(separator: " and ")
            log(.readdressed, .notice, "gave \(count) the addresses of \(profiles)")
        }
        readdressFailure = failure
    }
}

extension DomainTable.Readdressing {
    /// The peer of the router, as WireGuard gets it.
    fileprivate var peerChange: PeerChange {
        .add(
            PeerSettings(
                publicKey: key,
                allowedIPs: linkLocals.map(IPPrefix.init(host:)),
                replacesAllowedIPs: !surplus.isEmpty
            )
        )
    }
}
