internal import NetworkAddresses
internal import TenantModel
internal import TenantPlan
internal import WireGuardTypes

/// Which nics of WireGuard have a session, and who begins it.
struct Sessions {
    private struct Ends: Hashable {
        var local: Int
        var remote: Int
    }

    private var known: [Ends: Dial] = [:]

    /// Whether `local` can begin a session with `remote`.
    mutating func dial(_ local: Int, _ remote: Int, in topology: Topology) -> Dial {
        let ends = Ends(local: local, remote: remote)
        if let dial = known[ends] { return dial }
        let dial = Self.decide(topology.devices[local], topology.devices[remote], remote, topology)
        known[ends] = dial
        return dial
    }

    private static func decide(
        _ local: Topology.Device,
        _ remote: Topology.Device,
        _ remoteIndex: Int,
        _ topology: Topology
    ) -> Dial {
        guard let index = local.peers[remote.table.key] else { return .noPeer }
        guard let endpoint = local.table.peers[index].endpoint else { return .noEndpoint }
        let family: AddressFamily = if case .v4 = endpoint { .ipv4 } else { .ipv6 }
        guard local.birth.speaks(family) else { return .noFamily(family) }
        let socket = Topology.Socket(address: endpoint.source, port: endpoint.port)
        if let relay = topology.relays[socket] {
            guard topology.homes[relay.member] == remote.space else { return .wrongEndpoint(endpoint) }
            return accepts(topology.spaces[relay.space], endpoint) ? .relay : .filtered(endpoint)
        }
        guard endpoint.port == remote.table.port, isThere(endpoint.source, family, local, remote, topology)
        else { return .wrongEndpoint(endpoint) }
        guard let space = remote.birthSpace, !accepts(topology.spaces[space], endpoint) else { return .direct }
        return .filtered(endpoint)
    }

    /// Whether a datagram of one socket to the address comes to the other.
    private static func isThere(
        _ address: IPv6Address,
        _ family: AddressFamily,
        _ local: Topology.Device,
        _ remote: Topology.Device,
        _ topology: Topology
    ) -> Bool {
        if let there = remote.birth.reachability(family), there.isPublic,
            there.addresses.contains(where: { $0.mapped == address })
        {
            return true
        }
        guard let one = topology.nodes[topology.spaces[local.space].node],
            let other = topology.nodes[topology.spaces[remote.space].node],
            let lan = one.lan, let mate = other.lan, lan.lan == mate.lan,
            local.birth.leg == nil, remote.birth.leg == nil
        else { return false }
        return other.ownReachability(family)?.addresses.contains { $0.mapped == address } ?? false
    }

    /// Whether the firewall where a socket is lets a stranger's datagram in.
    private static func accepts(_ space: Space, _ endpoint: Endpoint) -> Bool {
        let packet = Packet(
            source: Stranger.address(isIPv4: endpoint.source.isMapped),
            sourcePort: Stranger.port,
            destination: endpoint.source,
            port: endpoint.port,
            transport: .udp
        )
        let from = space.tables.nics.first { $0.kind == .outside }?.name
        return space.accepts(
            packet,
            Space.Passage(from: from, to: nil, isEstablished: false, isForwarded: false),
            .input
        )
    }

    /// Why `local` cannot send to `remote`; `nil` if it can: it begins, or the other has begun and keeps the way open.
    /// Over a relay the other must have begun, too, for the exit learns from each where it is.
    mutating func isOpen(_ local: Int, _ remote: Int, in topology: Topology) -> Failure.Reason? {
        let there = dial(local, remote, in: topology)
        let back = dial(remote, local, in: topology)
        let failure = Failure.Reason.noSession(with: topology.spaces[topology.devices[remote].space].node, there, back)
        if there == .noPeer || back == .noPeer { return failure }
        if there == .direct { return nil }
        if back == .direct, keepsOpen(remote, local, topology) { return nil }
        if there == .relay, back == .relay, keepsOpen(remote, local, topology) { return nil }
        return failure
    }

    private func keepsOpen(_ local: Int, _ remote: Int, _ topology: Topology) -> Bool {
        let device = topology.devices[local]
        guard let index = device.peers[topology.devices[remote].table.key] else { return false }
        return device.table.peers[index].keepalive > 0
    }
}

/// Somebody on the internet. Sources: RFC 2544, appendix C.2.2; RFC 5180, section 8: nobody has these addresses.
enum Stranger {
    static let port: UInt16 = 40000

    static func address(isIPv4: Bool) -> IPv6Address {
        isIPv4
            ? IPv6Address(mapping: IPv4Address(value: 198 << 24 | 18 << 16 | 12))
            : IPv6Address(high: 0x2001_0002_0000_0000, low: 12)
    }
}
