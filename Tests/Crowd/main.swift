// Plays many routers in one process: where the kernel is emulated, a process for each would take minutes.
//
//   kex-crowd register ADDRESS DOMAIN SEED COUNT
//       Registers routers SEED.0 to SEED.(COUNT-1), one after another, and prints a line for each: its public key and
//       "success", the gateway's refusal, or "broken" for a connection that did not end in order.
//   kex-crowd shake INTERFACE GATEWAYKEY ENDPOINT SEED COUNT
//       Lends the WireGuard interface to each of these routers until it has shaken hands with the gateway, and prints the
//       number of those that have.
import Glibc
import KexProtocol
import NetworkAddresses
import SystemCalls
import SystemPackage
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
default:
    fatalError("unknown task")
}
