internal import CMNL
package import Netlink
internal import NetworkAddresses
package import WireGuardTypes

extension DeviceState {
    /// Adds what one part of a dump says.
    ///
    /// Only the first part has the attributes of the interface. A peer whose allowed IPs did not fit into a part comes
    /// again at the start of the next one, with its key and further allowed IPs and nothing else (measured).
    package mutating func merge(_ part: NetlinkReply) throws(MalformedReply) {
        var (_, attributes) = try part.parse(genlmsghdr.self)
        while let attribute = try attributes.next() {
            switch attribute.type {
            case DeviceAttribute.publicKey: publicKey = try attribute.publicKey()
            case DeviceAttribute.listenPort:
                let port: UInt16 = try attribute.number()
                listenPort = port == 0 ? nil : port
            case DeviceAttribute.firewallMark: firewallMark = try attribute.number()
            case DeviceAttribute.peers:
                var elements = attribute.nested
                while let element = try elements.next() {
                    let peer = try Peer(element.nested)
                    if let last = peers.last, last.publicKey == peer.publicKey {
                        peers[peers.count - 1].allowedIPs += peer.allowedIPs
                    } else {
                        peers.append(peer)
                    }
                }
            default: break
            }
        }
    }
}

extension NetlinkReply {
    /// The private key in a part of a dump; `nil` in all parts but the first, and for a key of zeros, which stands for
    /// none.
    package func privateKey() throws(MalformedReply) -> PrivateKey? {
        var (_, attributes) = try parse(genlmsghdr.self)
        while let attribute = try attributes.next() {
            guard attribute.type == DeviceAttribute.privateKey else { continue }
            guard attribute.payload.contains(where: { $0 != 0 }) else { return nil }
            guard let key = PrivateKey(bytes: attribute.payload)
            else { throw MalformedReply("a private key of \(attribute.payload.count) bytes") }
            return key
        }
        return nil
    }
}

/// `struct __kernel_timespec` of `linux/time_types.h`.
private struct KernelTime: BitwiseCopyable {
    let seconds: Int64
    let nanoseconds: Int64
}

extension Peer {
    /// Reads one element of WGDEVICE_A_PEERS.
    fileprivate init(_ all: Attributes) throws(MalformedReply) {
        var attributes = all
        var key: PublicKey?
        var (allowedIPs, endpoint, hasPresharedKey): ([IPPrefix], Endpoint?, Bool) = ([], nil, false)
        var keepalive: UInt16 = 0
        var (lastHandshake, receivedBytes, sentBytes): (Int64, UInt64, UInt64) = (0, 0, 0)
        while let attribute = try attributes.next() {
            switch attribute.type {
            case PeerAttribute.publicKey: key = try attribute.publicKey()
            case PeerAttribute.presharedKey: hasPresharedKey = attribute.payload.contains { $0 != 0 }
            case PeerAttribute.endpoint: endpoint = try Endpoint(kernelBytes: attribute.payload)
            case PeerAttribute.persistentKeepalive: keepalive = try attribute.number()
            case PeerAttribute.lastHandshake: lastHandshake = try attribute.structure(KernelTime.self).seconds
            case PeerAttribute.receivedBytes: receivedBytes = try attribute.number()
            case PeerAttribute.sentBytes: sentBytes = try attribute.number()
            case PeerAttribute.allowedIPs:
                var elements = attribute.nested
                while let element = try elements.next() { allowedIPs.append(try IPPrefix(element.nested)) }
            default: break
            }
        }
        guard let key else { throw MalformedReply("a peer without key") }
        self.init(
            publicKey: key,
            allowedIPs: allowedIPs,
            endpoint: endpoint,
            hasPresharedKey: hasPresharedKey,
            persistentKeepalive: keepalive,
            lastHandshake: lastHandshake > 0 ? lastHandshake : nil,
            receivedBytes: receivedBytes,
            sentBytes: sentBytes
        )
    }
}

extension IPPrefix {
    /// Reads one element of WGPEER_A_ALLOWEDIPS.
    fileprivate init(_ all: Attributes) throws(MalformedReply) {
        var attributes = all
        var address: Address?
        var length: UInt8?
        while let attribute = try attributes.next() {
            switch attribute.type {
            // The size of the address tells the family as well.
            case AllowedIPAttribute.address:
                address =
                    IPv6Address(bytes: attribute.payload).map(Address.v6)
                    ?? IPv4Address(bytes: attribute.payload).map(Address.v4)
            case AllowedIPAttribute.length: length = try attribute.number()
            default: break
            }
        }
        guard let address, let length, let prefix = IPPrefix(address, length: length)
        else { throw MalformedReply("an allowed IP that is none") }
        self = prefix
    }
}

extension Attribute {
    fileprivate func publicKey() throws(MalformedReply) -> PublicKey {
        guard let key = PublicKey(bytes: payload.span)
        else { throw MalformedReply("a public key of \(payload.count) bytes") }
        return key
    }
}
