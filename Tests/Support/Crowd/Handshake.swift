import CSodium
import Glibc
import Keys
import WireGuardControl
import WireGuardTypes

/// A router's side of a WireGuard handshake, without a tunnel behind it: many routers in one process.
/// Source: WireGuard whitepaper, section 5.4.
struct Handshake {
    /// The first message, 148 bytes.
    private(set) var initiation: [UInt8] = []
    private let own: [UInt8]
    private let ephemeral: [UInt8]
    private var chain: [UInt8]
    private var hash: [UInt8]

    /// - Parameter index: what the gateway will call this router in its answers.
    init(of router: PrivateKey, with gateway: PublicKey, index: UInt32) {
        own = router.bytes
        var secret = [UInt8](repeating: 0, count: 32)
        randombytes_buf(&secret, 32)
        ephemeral = secret
        let peer = gateway.bytes
        chain = BLAKE2s.hash(Array("Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s".utf8))
        hash = BLAKE2s.hash(chain + Array("WireGuard v1 zx2c4 Jason@zx2c4.com".utf8))
        mix(peer)
        let point = PrivateKey(bytes: secret)!.publicKey.bytes
        var message: [UInt8] = [1, 0, 0, 0] + littleEndian(index) + point
        mix(point)
        chain = keys(point, 1)[0]
        var next = keys(product(ephemeral, peer), 2)
        chain = next[0]
        let identity = seal(router.publicKey.bytes, key: next[1], counter: 0, hash)
        mix(identity)
        message += identity
        next = keys(product(own, peer), 2)
        chain = next[0]
        let time = seal(Self.time(), key: next[1], counter: 0, hash)
        mix(time)
        message += time
        let label = BLAKE2s.hash(Array("mac1----".utf8) + peer)
        message += BLAKE2s.hash(message, key: label, count: 16) + [UInt8](repeating: 0, count: 16)
        initiation = message
    }

    /// The first packet of the session, a keepalive, which tells the gateway that the handshake is complete; `nil` if
    /// the answer is not good.
    mutating func keepalive(after response: [UInt8]) -> [UInt8]? {
        guard response.count == 92, response[0] == 2 else { return nil }
        let point = Array(response[12..<44])
        mix(point)
        chain = keys(point, 1)[0]
        chain = keys(product(ephemeral, point), 1)[0]
        chain = keys(product(own, point), 1)[0]
        let next = keys([UInt8](repeating: 0, count: 32), 3)
        chain = next[0]
        mix(next[1])
        guard seal([], key: next[2], counter: 0, hash) == Array(response[44..<60]) else { return nil }
        let session = keys([], 2)[0]
        return [4, 0, 0, 0] + response[4..<8] + [UInt8](repeating: 0, count: 8) + seal([], key: session, counter: 0, [])
    }

    private mutating func mix(_ bytes: [UInt8]) { hash = BLAKE2s.hash(hash + bytes) }

    private func keys(_ input: [UInt8], _ count: Int) -> [[UInt8]] {
        let secret = BLAKE2s.authenticate(input, key: chain)
        var keys: [[UInt8]] = []
        for number in 1...count { keys.append(BLAKE2s.authenticate((keys.last ?? []) + [UInt8(number)], key: secret)) }
        return keys
    }

    private func product(_ secret: [UInt8], _ point: [UInt8]) -> [UInt8] {
        var result = [UInt8](repeating: 0, count: 32)
        guard crypto_scalarmult(&result, secret, point) == 0 else { fatalError("a point of small order") }
        return result
    }

    private func seal(_ bytes: [UInt8], key: [UInt8], counter: UInt64, _ other: [UInt8]) -> [UInt8] {
        var sealed = [UInt8](repeating: 0, count: bytes.count + 16)
        let nonce = [UInt8](repeating: 0, count: 4) + littleEndian(counter)
        crypto_aead_chacha20poly1305_ietf_encrypt(
            &sealed,
            nil,
            bytes,
            UInt64(bytes.count),
            other,
            UInt64(other.count),
            nil,
            nonce,
            key
        )
        return sealed
    }

    /// Seconds and nanoseconds, TAI64N.
    private static func time() -> [UInt8] {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let seconds = (UInt64(now.tv_sec) + 0x4000_0000_0000_000a).bigEndian
        let nanoseconds = UInt32(now.tv_nsec).bigEndian
        return withUnsafeBytes(of: seconds) { Array($0) } + withUnsafeBytes(of: nanoseconds) { Array($0) }
    }
}

private func littleEndian(_ number: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: number.littleEndian) { Array($0) }
}

/// Lets all of these routers shake hands with the WireGuard at 127.0.0.1, 32 at a time; more would make it ask for
/// proof of their address (wireguard-go: when 128 handshakes wait).
///
/// - Returns: how many did.
func connect(_ routers: [PrivateKey], port: UInt16, gateway: PublicKey) -> Int {
    let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
    defer { close(descriptor) }
    var name = sockaddr_in()
    name.sin_family = sa_family_t(AF_INET)
    name.sin_port = port.bigEndian
    name.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    _ = withUnsafePointer(to: &name) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { Glibc.connect(descriptor, $0, 16) }
    }
    var limit = timeval(tv_sec: 0, tv_usec: 200_000)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    var waiting: [UInt32: Handshake] = [:]
    var (next, done, silences) = (0, 0, 0)
    while done < routers.count, silences < 50 {
        while waiting.count < 32, next < routers.count {
            let handshake = Handshake(of: routers[next], with: gateway, index: UInt32(next))
            send(descriptor, handshake.initiation, handshake.initiation.count, 0)
            waiting[UInt32(next)] = handshake
            next += 1
        }
        var packet = [UInt8](repeating: 0, count: 256)
        let count = recv(descriptor, &packet, packet.count, 0)
        guard count >= 12 else {
            silences += 1
            // Under load WireGuard drops handshakes without a word.
            for index in waiting.keys {
                let again = Handshake(of: routers[Int(index)], with: gateway, index: index)
                send(descriptor, again.initiation, again.initiation.count, 0)
                waiting[index] = again
            }
            continue
        }
        let index = (8..<12).reversed().reduce(UInt32(0)) { $0 << 8 | UInt32(packet[$1]) }
        guard let keepalive = waiting[index]?.keepalive(after: Array(packet.prefix(count))) else { continue }
        send(descriptor, keepalive, keepalive.count, 0)
        waiting[index] = nil
        done += 1
    }
    return done
}
