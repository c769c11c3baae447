// Plays many routers in one process: where the kernel is emulated, a process for each would take minutes.
//
//   kex-crowd register ADDRESS DOMAIN SEED COUNT
//       Registers routers SEED.0 to SEED.(COUNT-1), one after another, and prints a line for each: its public key and
//       "success", the gateway's refusal, or "broken" for a connection that did not end in order.
//   kex-crowd shake INTERFACE GATEWAYKEY ENDPOINT SEED COUNT
//       Lends the WireGuard interface to each of these routers until it has shaken hands with the gateway, and prints
//       the number of those that have.
//   kex-crowd peers INTERFACE
//       Gives the WireGuard interface a port, and one peer with a preshared key, a keepalive and 500 allowed IPs in
//       place of others; updates that peer, and one that is not there. Prints what the interface then says.
//   kex-crowd flood PORT DOMAIN SOURCES COUNT
//       Registers COUNT keys of nobody at 127.0.0.1, from that many addresses from 127.1.0.0 on in turn, as fast as the
//       gateway answers, and prints how many got which answer.
//   kex-crowd idle PORT SOURCES COUNT SECONDS
//       Holds that many connections to 127.0.0.1 for so long, from 127.1.0.0 on. Each sends a byte a second; one that
//       the gateway ends begins anew. Prints how often that was.
//   kex-crowd keys SEED COUNT
//       Prints the public keys of routers SEED.0 to SEED.(COUNT-1).
//   kex-crowd connect PORT GATEWAYKEY SEED COUNT
//       Lets these routers shake hands with the WireGuard at 127.0.0.1, and prints the number of those that have.
//   kex-crowd remember DIRECTORY DOMAIN SEED COUNT
//       Writes the state file of a gateway that heard of these routers just now, on another run of the machine.
//   kex-crowd probe PORT DOMAIN KEY COUNT
//       Registers one key that often, from 127.2.0.0 on, 20 ms apart, and prints the times and the answers.
import Dispatch
import GatewayState
import Glibc
import KexGateway
import KexProtocol
import Keys
import NetworkAddresses
import SystemCalls
import SystemPackage
import Time
import WireGuardControl
import WireGuardTypes

/// The key of a router that is the same in every run.
func privateKey(seed: UInt8, number: Int) -> PrivateKey {
    var bytes = [UInt8](repeating: 0x42, count: 32)
    bytes[1] = seed
    bytes[2] = UInt8(number & 0xff)
    bytes[3] = UInt8(number >> 8 & 0xff)
    return PrivateKey(bytes: bytes)!
}

/// One exchange as the firmware of routers makes it.
func exchange(_ endpoint: Endpoint, _ lines: String) -> String {
    do {
        let connection = try Socket.startConnecting(to: endpoint)
        let deadline = MonotonicTime.now + .seconds(15)
        guard try Socket.wait(for: .writable, of: connection.raw, until: deadline),
            try Socket.pendingError(of: connection.raw) == nil,
            try Socket.send(Array(lines.utf8), to: connection.raw) != nil
        else { return "broken" }
        var reply: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 256)
        while try Socket.wait(for: .readable, of: connection.raw, until: deadline) {
            switch try Socket.receive(from: connection.raw, into: &buffer) {
            case .nothingYet: continue
            case .bytes(let count): reply += buffer[..<count]
            case .end:
                guard !reply.isEmpty else { return "success" }
                return String(decoding: reply.prefix { $0 != 0x0a }, as: UTF8.self)
            }
        }
        return "broken"
    } catch {
        return "broken"
    }
}

func shake(_ interface: InterfaceName, _ gateway: PublicKey, _ endpoint: Endpoint, seed: UInt8, count: Int) throws
    -> Int
{
    let device = try openWireGuardInterface(interface)
    var shaken = 0
    for number in 0..<count {
        try device.apply([.remove(gateway)])
        try device.configure(
            privateKey: privateKey(seed: seed, number: number),
            listenPort: nil,
            firewallMark: nil
        )
        // A keepalive that is turned on while the interface is up is sent at once, and begins the handshake.
        let peer = PeerSettings(publicKey: gateway, allowedIPs: [], endpoint: endpoint, persistentKeepalive: 25)
        try device.apply([.add(peer)])
        let deadline = MonotonicTime.now + .seconds(12)
        while MonotonicTime.now < deadline {
            // The gateway believes it when the first packet with data arrives: 148 bytes began it, 32 are a keepalive
            // (measured).
            if let peer = try device.state().peers.first, peer.lastHandshake != nil, peer.sentBytes >= 148 + 32 {
                shaken += 1
                break
            }
            usleep(2000)
        }
    }
    try device.apply([.remove(gateway)])
    return shaken
}

func setPeers(_ interface: InterfaceName) throws {
    let device = try openWireGuardInterface(interface)
    let (peer, stranger) = (privateKey(seed: 0, number: 0).publicKey, privateKey(seed: 0, number: 1).publicKey)
    try device.configure(privateKey: privateKey(seed: 0, number: 2), listenPort: nil, firewallMark: nil)
    try device.configure(privateKey: nil, listenPort: 51999, firewallMark: nil)
    func addresses(from first: UInt64) -> [IPPrefix] {
        (first..<first + 500).map { IPPrefix(host: IPv6Address(high: 0xfe80 << 48, low: $0)) }
    }
    for first in [1, 5001] as [UInt64] {
        let settings = PeerSettings(
            publicKey: peer,
            allowedIPs: addresses(from: first),
            replacesAllowedIPs: true,
            persistentKeepalive: 25,
            presharedKey: PresharedKey(bytes: [UInt8](repeating: 7, count: 32))
        )
        try device.apply([.add(settings)])
    }
    try device.apply([
        .update(PeerSettings(publicKey: stranger, allowedIPs: [])),
        .update(PeerSettings(publicKey: peer, allowedIPs: [], persistentKeepalive: 7)),
    ])
    let state = try device.state()
    let isOwnKey = state.publicKey == privateKey(seed: 0, number: 2).publicKey
    print("port \(state.listenPort ?? 0), key \(isOwnKey ? "kept" : "lost"), \(state.peers.count) peers")
    for peer in state.peers {
        let areNew = Set(peer.allowedIPs) == Set(addresses(from: 5001))
        let words = [
            "\(peer.allowedIPs.count) \(areNew ? "new" : "wrong") addresses", "keepalive \(peer.persistentKeepalive)",
            peer.hasPresharedKey ? "preshared key" : "no preshared key",
        ]
        print(words.joined(separator: ", "))
    }
}

/// Connects to 127.0.0.1 from an address of 127.0.0.0/8.
func connection(from source: UInt32, port: UInt16) -> Int32? {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    guard descriptor >= 0 else { return nil }
    func set<Value>(_ level: Int32, _ name: Int32, _ value: Value) {
        withUnsafeBytes(of: value) { _ = setsockopt(descriptor, level, name, $0.baseAddress, socklen_t($0.count)) }
    }
    func call(
        _ function: (Int32, UnsafePointer<sockaddr>, socklen_t) -> Int32,
        _ address: UInt32,
        _ port: UInt16
    ) -> Int32 {
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = port.bigEndian
        name.sin_addr.s_addr = address.bigEndian
        return withUnsafePointer(to: name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { function(descriptor, $0, 16) }
        }
    }
    // The port is chosen with the destination, so that there are enough of them.
    set(0, 24 /* IP_BIND_ADDRESS_NO_PORT */, Int32(1))
    // Closing leaves nothing behind that would use up ports.
    set(SOL_SOCKET, SO_LINGER, linger(l_onoff: 1, l_linger: 0))
    set(SOL_SOCKET, SO_RCVTIMEO, timeval(tv_sec: 15, tv_usec: 0))
    if call(bind, source, 0) == 0, call(connect, 0x7f00_0001, port) == 0 { return descriptor }
    close(descriptor)
    return nil
}

/// One exchange from an address of 127.0.0.0/8; returns the reply, "success", or "broken".
func exchange(from source: UInt32, port: UInt16, _ lines: String) -> String {
    guard let descriptor = connection(from: source, port: port) else { return "broken" }
    defer { close(descriptor) }
    guard send(descriptor, lines, lines.utf8.count, Int32(MSG_NOSIGNAL)) == lines.utf8.count else { return "broken" }
    var reply = [UInt8](repeating: 0, count: 128)
    let count = recv(descriptor, &reply, reply.count, 0)
    guard count >= 0 else { return "broken" }
    return count == 0 ? "success" : String(decoding: reply.prefix(count).prefix { $0 != 0x0a }, as: UTF8.self)
}

func flood(port: UInt16, domain: String, sources: UInt32, count: Int) {
    let (workers, lock) = (16, DispatchSemaphore(value: 1))
    nonisolated(unsafe) var answers: [String: Int] = [:]
    let start = MonotonicTime.now
    DispatchQueue.concurrentPerform(iterations: workers) { worker in
        var random = SystemRandomNumberGenerator()
        var own: [String: Int] = [:]
        for number in stride(from: worker, to: count, by: workers) {
            var bytes = (0..<4).flatMap { _ in withUnsafeBytes(of: random.next()) { Array($0) } }
            bytes[31] &= 0x3f
            let key = PublicKey(bytes: bytes.span)!
            let source = 0x7f01_0000 + UInt32(number) % sources
            own[exchange(from: source, port: port, "\(domain)\n\(key)\n"), default: 0] += 1
        }
        lock.wait()
        answers.merge(own, uniquingKeysWith: +)
        lock.signal()
    }
    let seconds = Double((MonotonicTime.now - start).components.seconds) + 1
    for (answer, count) in answers.sorted(by: { $0.key < $1.key }) { print(answer, count) }
    print("about \(Int(Double(count) / seconds)) exchanges a second")
}

func idle(port: UInt16, sources: UInt32, count: Int, seconds: Int) {
    var connections = [Int32?](repeating: nil, count: count)
    var (ended, held) = (0, 0)
    for second in 0..<seconds {
        for index in connections.indices {
            if let descriptor = connections[index] {
                var byte: UInt8 = 0
                let isOver = recv(descriptor, &byte, 1, Int32(MSG_DONTWAIT)) >= 0
                if isOver || send(descriptor, "f", 1, Int32(MSG_NOSIGNAL)) != 1 {
                    close(descriptor)
                    connections[index] = nil
                    ended += 1
                }
            }
            if connections[index] == nil {
                connections[index] = connection(from: 0x7f01_0000 + UInt32(index) % sources, port: port)
            }
        }
        held = connections.count { $0 != nil }
        if second == 0 {
            print("holding \(held)")
            fflush(nil)
        }
        sleep(1)
    }
    print("held \(held), ended by the gateway \(ended)")
}

func probe(port: UInt16, domain: String, key: String, count: Int) {
    var times: [Duration] = []
    var answers: [String: Int] = [:]
    for number in 0..<count {
        let start = MonotonicTime.now
        let answer = exchange(from: 0x7f02_0000 + UInt32(number) % 1000, port: port, "\(domain)\n\(key)\n")
        times.append(.now - start)
        answers[answer, default: 0] += 1
        usleep(20_000)
    }
    times.sort()
    let figures = [50, 99, 100].map { "p\($0) \(times[min(count * $0 / 100, count - 1)] / .milliseconds(1)) ms" }
    print(figures.joined(separator: ", "), answers)
}

func remember(_ directory: String, _ domain: DomainName, _ keys: [PublicKey]) throws {
    let now = Int64(time(nil))
    let state = DomainState(
        device: nil,
        clocks: Moment(seconds: now, sinceStart: .zero),
        restoredAt: .zero,
        routers: keys.map { KnownRouter(key: $0, lastHeard: now) }
    )
    try StateFile(directory: directory, domain: domain).write(state)
}

func privateKeys(seed: String, count: String) -> [PrivateKey] {
    let seed = UInt8(seed)!
    return (0..<Int(count)!).map { privateKey(seed: seed, number: $0) }
}

let arguments = Array(CommandLine.arguments.dropFirst())
switch arguments.first {
case "register":
    let endpoint = Endpoint(arguments[1], defaultPort: ProtocolLimit.port)!
    let (seed, count) = (UInt8(arguments[3])!, Int(arguments[4])!)
    for number in 0..<count {
        let key = privateKey(seed: seed, number: number).publicKey
        print(key, exchange(endpoint, "\(arguments[2])\n\(key)\n"))
        fflush(nil)  // what was answered must be known even if this process is killed
    }
case "shake":
    let (seed, count) = (UInt8(arguments[4])!, Int(arguments[5])!)
    let interface = InterfaceName(arguments[1])!
    let key = PublicKey(text: arguments[2])!
    print(try shake(interface, key, Endpoint(arguments[3])!, seed: seed, count: count))
case "peers": try setPeers(InterfaceName(arguments[1])!)
case "flood":
    flood(port: UInt16(arguments[1])!, domain: arguments[2], sources: UInt32(arguments[3])!, count: Int(arguments[4])!)
case "idle":
    idle(
        port: UInt16(arguments[1])!,
        sources: UInt32(arguments[2])!,
        count: Int(arguments[3])!,
        seconds: Int(arguments[4])!
    )
case "keys":
    for key in privateKeys(seed: arguments[1], count: arguments[2]) { print(key.publicKey) }
case "connect":
    let routers = privateKeys(seed: arguments[3], count: arguments[4])
    print(connect(routers, port: UInt16(arguments[1])!, gateway: PublicKey(text: arguments[2])!))
case "remember":
    let keys = privateKeys(seed: arguments[3], count: arguments[4]).map(\.publicKey)
    try remember(arguments[1], DomainName(arguments[2])!, keys)
case "probe":
    probe(port: UInt16(arguments[1])!, domain: arguments[2], key: arguments[3], count: Int(arguments[4])!)
default:
    fatalError("unknown task")
}
