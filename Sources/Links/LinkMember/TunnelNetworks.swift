internal import NetworkAddresses
internal import WireGuardTypes

/// Which endpoints make sense here.
struct TunnelNetworks: Sendable {
    private var tunnel: [IPPrefix] = []
    private var underlay: [IPPrefix] = []

    init() {}

    init(_ snapshot: DeviceSnapshot) {
        // What the operator routes into the tunnel is inside it too. A default route is for what is left over.
        let routed = snapshot.peers.flatMap(\.allowedIPs).filter { $0.length > 0 }
        tunnel = (snapshot.tunnelAddresses + routed).filter { !$0.isLinkLocal }
        underlay = snapshot.underlayAddresses.map(\.address)
    }

    /// Whether packets to an endpoint could go outside the tunnel and arrive. An address inside a network of the
    /// WireGuard interface or of a peer, and in no other interface's, would be reached through the tunnel itself.
    func allows(_ endpoint: Endpoint) -> Bool {
        let address = endpoint.source
        guard endpoint.port != 0, address.isGlobal else { return false }
        return !tunnel.contains { $0.contains(address) } || underlay.contains { $0.contains(address) }
    }
}

extension IPv6Address {
    /// Whether the address means the same everywhere, or at least in a site: also those of RFC 1918 and RFC 4193.
    var isGlobal: Bool {
        let isLinkLocalV4 = mappedIPv4.map { $0.value >> 16 == 0xa9fe } ?? false
        return !isUnspecified && !isLoopback && !isMulticast && !isLinkLocal && !isLinkLocalV4
    }
}

extension IPPrefix {
    /// The address, IPv4 as a mapped one.
    var mapped: IPv6Address {
        switch address {
        case .v4(let address): IPv6Address(mapping: address)
        case .v6(let address): address
        }
    }

    var isLinkLocal: Bool { mapped.isLinkLocal }

    var isHost: Bool {
        switch address {
        case .v4: length == 32
        case .v6: length == 128
        }
    }
}
