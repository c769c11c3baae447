internal import LinkMember
internal import NetworkAddresses
internal import WireGuardTypes

extension [UInt8] {
    mutating func append(_ snapshot: DeviceSnapshot) {
        reserveCapacity(256 + snapshot.peers.count * 160)
        append(snapshot.publicKey)
        append(snapshot.listenPort)
        append(snapshot.firewallMark)
        append(UInt64(bitPattern: snapshot.wallClock))
        append(snapshot.isUp)
        append(UInt32(snapshot.tunnelAddresses.count))
        for prefix in snapshot.tunnelAddresses { append(prefix) }
        append(UInt32(snapshot.underlayAddresses.count))
        for address in snapshot.underlayAddresses { append(address) }
        append(UInt32(snapshot.peers.count))
        for peer in snapshot.peers {
            append(peer)
            append(snapshot.madePeers.contains(peer.publicKey))
        }
    }

    private mutating func append(_ address: UnderlayAddress) {
        append(address.interface.text)
        append(address.address)
        append(address.isTemporary)
        append(address.isDeprecated)
        append(address.isTentative)
    }

    private mutating func append(_ peer: Peer) {
        append(peer.publicKey)
        append(peer.hasPresharedKey)
        append(peer.endpoint)
        append(peer.persistentKeepalive)
        append(UInt64(bitPattern: peer.lastHandshake ?? 0))
        append(peer.receivedBytes)
        append(peer.sentBytes)
        append(UInt32(peer.allowedIPs.count))
        for prefix in peer.allowedIPs { append(prefix) }
    }
}

extension FrameReader {
    mutating func snapshot() throws(MalformedFrame) -> DeviceSnapshot {
        var snapshot = DeviceSnapshot(
            publicKey: try key(),
            listenPort: try number(),
            firewallMark: try number(),
            wallClock: Int64(bitPattern: try number()),
            isUp: try flag()
        )
        snapshot.tunnelAddresses = try prefixes()
        for _ in 0..<(try count(of: 12)) { snapshot.underlayAddresses.append(try underlayAddress()) }
        let count = try count(of: 64)
        snapshot.peers.reserveCapacity(count)
        for _ in 0..<count {
            let peer = try peer()
            snapshot.peers.append(peer)
            if try flag() { snapshot.madePeers.insert(peer.publicKey) }
        }
        return snapshot
    }

    private mutating func underlayAddress() throws(MalformedFrame) -> UnderlayAddress {
        UnderlayAddress(
            interface: try interfaceName(),
            address: try prefix(),
            isTemporary: try flag(),
            isDeprecated: try flag(),
            isTentative: try flag()
        )
    }

    private mutating func peer() throws(MalformedFrame) -> Peer {
        var peer = Peer(publicKey: try key())
        peer.hasPresharedKey = try flag()
        peer.endpoint = try endpoint()
        peer.persistentKeepalive = try number()
        let handshake = Int64(bitPattern: try number())
        peer.lastHandshake = handshake > 0 ? handshake : nil
        peer.receivedBytes = try number()
        peer.sentBytes = try number()
        peer.allowedIPs = try prefixes()
        return peer
    }
}
