internal import CSodium
internal import NetworkAddresses
internal import WireGuardTypes

// The lines of the protocol. Keys are hexadecimal in it, not base64.

extension PeerChange {
    /// The lines of a `set` that make this change. The next `public_key` begins the next one.
    var uapiLines: String {
        var lines = "public_key=\(hexadecimal(publicKey.bytes))\n"
        switch self {
        case .remove:
            lines += "remove=true\n"
        case .add(let settings):
            // Without replace_allowed_ips: nothing is taken from a peer that somebody else configured.
            if let endpoint = settings.endpoint { lines += "endpoint=\(endpoint)\n" }
            if let seconds = settings.persistentKeepalive { lines += "persistent_keepalive_interval=\(seconds)\n" }
            for prefix in settings.allowedIPs { lines += "allowed_ip=\(prefix)\n" }
        }
        return lines
    }
}

extension DeviceState {
    /// Takes one line of a `get`. Lines of later versions are passed over.
    package mutating func take(_ key: String, _ value: ArraySlice<UInt8>) throws(UAPIFailure) {
        switch key {
        case "private_key": publicKey = try ownPublicKey(privateKey: value)
        case "listen_port":
            let port: UInt16 = try number(value, of: key)
            listenPort = port == 0 ? nil : port
        case "public_key":
            guard let bytes = bytes(hexadecimal: value), let key = PublicKey(bytes: bytes.span)
            else { throw .malformed("a public key that is none") }
            peers.append(Peer(publicKey: key))
        case "preshared_key":
            try withLastPeer(key) { peer in peer.hasPresharedKey = value.contains { $0 != UInt8(ascii: "0") } }
        case "endpoint":
            guard let endpoint = Endpoint(uapi: text(value)) else { throw .malformed("an endpoint that is none") }
            try withLastPeer(key) { peer in peer.endpoint = endpoint }
        case "last_handshake_time_sec":
            let seconds: Int64 = try number(value, of: key)
            try withLastPeer(key) { peer in peer.lastHandshake = seconds > 0 ? seconds : nil }
        case "rx_bytes":
            let count: UInt64 = try number(value, of: key)
            try withLastPeer(key) { peer in peer.receivedBytes = count }
        case "tx_bytes":
            let count: UInt64 = try number(value, of: key)
            try withLastPeer(key) { peer in peer.sentBytes = count }
        case "allowed_ip":
            guard let prefix = IPPrefix(text(value)) else { throw .malformed("an allowed IP that is none") }
            try withLastPeer(key) { peer in peer.allowedIPs.append(prefix) }
        default: break
        }
    }

    private mutating func withLastPeer(_ key: String, _ change: (inout Peer) -> Void) throws(UAPIFailure) {
        guard !peers.isEmpty else { throw .malformed("\(key) before the first peer") }
        change(&peers[peers.count - 1])
    }
}

extension Endpoint {
    /// Reads `[fe80::1%3]:51820` as well. A zone that is a name counts as none: it is for people.
    fileprivate init?(uapi text: String) {
        guard let percent = text.firstIndex(of: "%"), let bracket = text.lastIndex(of: "]"), percent < bracket
        else {
            self.init(text)
            return
        }
        guard case .v6(let address, let port, _) = Endpoint(String(text[..<percent] + text[bracket...])) else {
            return nil
        }
        self = .v6(address, port: port, scope: UInt32(text[text.index(after: percent)..<bracket]) ?? 0)
    }
}

func text(_ bytes: ArraySlice<UInt8>) -> String { String(decoding: bytes, as: UTF8.self) }

/// A decimal number, negative if the type can be.
func number<Value: FixedWidthInteger>(_ value: ArraySlice<UInt8>, of key: String) throws(UAPIFailure) -> Value {
    guard let number = Value(text(value)) else { throw .malformed("\(key) is no number, or too large") }
    return number
}

func hexadecimal(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}

private func bytes(hexadecimal text: ArraySlice<UInt8>) -> [UInt8]? {
    guard text.count % 2 == 0 else { return nil }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.count / 2)
    for (index, character) in text.enumerated() {
        let digit: UInt8
        switch character {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = character - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = character - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = character - UInt8(ascii: "A") + 10
        default: return nil
        }
        if index % 2 == 0 { bytes.append(digit << 4) } else { bytes[index / 2] |= digit }
    }
    return bytes
}

/// The public key that belongs to a private key in hexadecimal, `nil` for the key of zeros, which stands for none.
/// The protocol tells only the private one.
private func ownPublicKey(privateKey text: ArraySlice<UInt8>) throws(UAPIFailure) -> PublicKey? {
    guard var secret = bytes(hexadecimal: text), secret.count == PublicKey.length
    else { throw .malformed("a private key that is none") }
    defer { unsafe sodium_memzero(&secret, secret.count) }
    return secret.contains { $0 != 0 } ? x25519PublicKey(of: secret) : nil
}
