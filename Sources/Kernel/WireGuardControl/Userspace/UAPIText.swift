internal import Glibc
internal import Keys
internal import NetworkAddresses
internal import Secrets
internal import WireGuardTypes

// The lines of the protocol. Keys are hexadecimal in it, not base64.

extension PeerChange {
    /// Adds the lines of a `set` that make this change. The next `public_key` begins the next one.
    func appendUAPILines(to bytes: inout [UInt8]) {
        bytes += "public_key=".utf8
        for index in 0..<PublicKey.length { bytes.appendHexadecimal(publicKey[index]) }
        bytes += "\n".utf8
        switch self {
        case .remove:
            bytes += "remove=true\n".utf8
        case .add(let settings), .update(let settings):
            if case .update = self { bytes += "update_only=true\n".utf8 }
            if let key = settings.presharedKey {
                bytes += "preshared_key=".utf8
                bytes.appendHexadecimal(key)
                bytes += "\n".utf8
            }
            if let endpoint = settings.endpoint { bytes += "endpoint=\(endpoint)\n".utf8 }
            if let seconds = settings.persistentKeepalive {
                bytes += "persistent_keepalive_interval=\(seconds)\n".utf8
            }
            if settings.replacesAllowedIPs { bytes += "replace_allowed_ips=true\n".utf8 }
            for prefix in settings.allowedIPs { bytes += "allowed_ip=\(prefix)\n".utf8 }
        }
    }
}

/// What a line of a reply is about.
package enum UAPIKey: String {
    case errno
    case privateKey = "private_key"
    case listenPort = "listen_port"
    case firewallMark = "fwmark"
    case publicKey = "public_key"
    case presharedKey = "preshared_key"
    case endpoint
    case persistentKeepalive = "persistent_keepalive_interval"
    case lastHandshake = "last_handshake_time_sec"
    case receivedBytes = "rx_bytes"
    case sentBytes = "tx_bytes"
    case allowedIP = "allowed_ip"
    /// Something that nobody asks for, or that is of a later version.
    case other = ""

    /// A listing has ten lines for each peer, so no text is made of them: length and first letter leave one candidate.
    package init(name: ArraySlice<UInt8>) {
        let candidate: UAPIKey =
            switch (name.count, name.first) {
            case (5, UInt8(ascii: "e")): .errno
            case (6, UInt8(ascii: "f")): .firewallMark
            case (8, UInt8(ascii: "r")): .receivedBytes
            case (8, UInt8(ascii: "t")): .sentBytes
            case (8, UInt8(ascii: "e")): .endpoint
            case (10, UInt8(ascii: "p")): .publicKey
            case (10, UInt8(ascii: "a")): .allowedIP
            case (11, UInt8(ascii: "p")): .privateKey
            case (11, UInt8(ascii: "l")): .listenPort
            case (13, UInt8(ascii: "p")): .presharedKey
            case (23, UInt8(ascii: "l")): .lastHandshake
            case (29, UInt8(ascii: "p")): .persistentKeepalive
            default: .other
            }
        var expected = candidate.rawValue
        let isCandidate = expected.withUTF8 { expected in
            unsafe name.withUnsafeBytes { name in
                unsafe name.count == expected.count
                    && (name.count == 0 || memcmp(name.baseAddress!, expected.baseAddress!, name.count) == 0)
            }
        }
        self = isCandidate ? candidate : .other
    }
}

extension DeviceState {
    /// Takes one line of a `get`. Lines of later versions are passed over.
    package mutating func take(_ key: UAPIKey, _ value: ArraySlice<UInt8>) throws(UAPIFailure) {
        switch key {
        case .privateKey: publicKey = try ownPrivateKey(value)?.publicKey
        case .listenPort:
            let port: UInt16 = try number(value, of: key)
            listenPort = port == 0 ? nil : port
        case .firewallMark: firewallMark = try number(value, of: key)
        case .publicKey:
            guard let bytes = bytes(hexadecimal: value), let key = PublicKey(bytes: bytes.span)
            else { throw .malformed("a public key that is none") }
            peers.append(Peer(publicKey: key))
        case .presharedKey:
            try withLastPeer(key) { peer in peer.hasPresharedKey = value.contains { $0 != UInt8(ascii: "0") } }
        case .endpoint:
            guard let endpoint = Endpoint(uapi: text(value)) else { throw .malformed("an endpoint that is none") }
            try withLastPeer(key) { peer in peer.endpoint = endpoint }
        case .persistentKeepalive:
            let seconds: UInt16 = try number(value, of: key)
            try withLastPeer(key) { peer in peer.persistentKeepalive = seconds }
        case .lastHandshake:
            let seconds: Int64 = try number(value, of: key)
            try withLastPeer(key) { peer in peer.lastHandshake = seconds > 0 ? seconds : nil }
        case .receivedBytes:
            let count: UInt64 = try number(value, of: key)
            try withLastPeer(key) { peer in peer.receivedBytes = count }
        case .sentBytes:
            let count: UInt64 = try number(value, of: key)
            try withLastPeer(key) { peer in peer.sentBytes = count }
        case .allowedIP:
            guard let prefix = prefix(value) else { throw .malformed("an allowed IP that is none") }
            try withLastPeer(key) { peer in peer.allowedIPs.append(prefix) }
        case .errno, .other: break
        }
    }

    private mutating func withLastPeer(_ key: UAPIKey, _ change: (inout Peer) -> Void) throws(UAPIFailure) {
        guard !peers.isEmpty else { throw .malformed("\(key.rawValue) before the first peer") }
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

private func text(_ bytes: ArraySlice<UInt8>) -> String { String(decoding: bytes, as: UTF8.self) }

/// `fe80::1/128` without a detour for what nearly every peer has.
private func prefix(_ value: ArraySlice<UInt8>) -> IPPrefix? {
    if let slash = value.firstIndex(of: UInt8(ascii: "/")), value[(slash + 1)...].elementsEqual("128".utf8),
        let address = IPv6Address(text(value[..<slash]))
    {
        return IPPrefix(host: address)
    }
    return IPPrefix(text(value))
}

/// A decimal number, negative if the type can be.
func number<Value: FixedWidthInteger>(_ value: ArraySlice<UInt8>, of key: UAPIKey) throws(UAPIFailure) -> Value {
    guard let number = Value(text(value)) else { throw .malformed("\(key.rawValue) is no number, or too large") }
    return number
}

extension [UInt8] {
    /// Adds the digits of a secret. Whoever has them wipes them.
    mutating func appendHexadecimal(_ key: PresharedKey) { appendHexadecimal(secret: key.bytes) }
    mutating func appendHexadecimal(_ key: PrivateKey) { appendHexadecimal(secret: key.bytes) }

    private mutating func appendHexadecimal(secret: [UInt8]) {
        var secret = secret
        defer { SecretBytes.wipe(&secret) }
        // An array that grows leaves a copy behind.
        reserveCapacity(count + 2 * secret.count + 1)
        for byte in secret { appendHexadecimal(byte) }
    }

    fileprivate mutating func appendHexadecimal(_ byte: UInt8) {
        func digit(_ bits: UInt8) -> UInt8 { bits < 10 ? UInt8(ascii: "0") + bits : UInt8(ascii: "a") + bits - 10 }
        append(digit(byte >> 4))
        append(digit(byte & 15))
    }
}

private func bytes(hexadecimal text: ArraySlice<UInt8>) -> [UInt8]? {
    guard text.count % 2 == 0 else { return nil }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.count / 2)
    var high: UInt8?
    for character in text {
        let digit: UInt8
        switch character {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = character - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = character - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = character - UInt8(ascii: "A") + 10
        default: return nil
        }
        if let first = high {
            bytes.append(first << 4 | digit)
            high = nil
        } else {
            high = digit
        }
    }
    return bytes
}

/// The private key in hexadecimal, `nil` for the key of zeros, which stands for none.
func ownPrivateKey(_ text: ArraySlice<UInt8>) throws(UAPIFailure) -> PrivateKey? {
    guard var secret = bytes(hexadecimal: text), secret.count == PublicKey.length
    else { throw .malformed("a private key that is none") }
    defer { SecretBytes.wipe(&secret) }
    return secret.contains { $0 != 0 } ? PrivateKey(bytes: secret) : nil
}
