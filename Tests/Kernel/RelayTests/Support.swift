import EventLoop
import Glibc
import Keys
import NetworkAddresses
import PathProbe
import Relay
import SystemCalls
import SystemPackage
import Testing
import Time
import WireGuardTypes

func key(_ first: UInt8) -> PublicKey {
    let bytes = [UInt8](first..<first + 32)
    return PublicKey(bytes: bytes.span)!
}

func secret(_ number: UInt8) -> SharedSecret { SharedSecret(bytes: [UInt8](repeating: number, count: 32))! }

/// A machine that has a relay.
struct Hub: ~Copyable {
    static let key = RelayTests.key(200)
    static let token: UInt64 = 1000

    var loop: EventLoop
    var relay: Relay
    var probes = ProbeTable(own: Hub.key, boot: 99)

    init(range: ClosedRange<UInt16>? = nil, limits: RelayLimits = .standard) throws {
        loop = try EventLoop()
        relay = Relay(range: range, firstToken: Self.token, limits: limits)
    }

    /// Knows a member and gives it a port.
    mutating func take(_ member: borrowing Member) throws -> UInt16 {
        #expect(addPair(member.key, member.number))
        return try #require(try relay.open(for: member.key, on: loop))
    }

    mutating func open(_ number: UInt8) throws -> UInt16? { try relay.open(for: RelayTests.key(number), on: loop) }

    mutating func serve(token: UInt64) { relay.serve(token, probes: &probes, at: .now) }

    private mutating func addPair(_ key: PublicKey, _ number: UInt8) -> Bool { probes.add(key, secret: secret(number)) }

    /// Serves until nothing comes for a moment.
    mutating func serve(at now: MonotonicTime = .now) throws {
        while true {
            let count = try loop.wait(until: .now + .milliseconds(2))
            if count == 0 { return }
            for index in 0..<count where relay.owns(loop[index].token) {
                relay.serve(loop[index].token, probes: &probes, at: now)
            }
        }
    }
}

/// A member with a socket in WireGuard's place.
struct Member: ~Copyable {
    let key: PublicKey
    let number: UInt8
    var socket: OwnedDescriptor
    var probes: ProbeTable
    private let host: String
    private var buffer = [UInt8](repeating: 0, count: 4096)

    init(_ number: UInt8, host: String = "127.0.0.1") throws {
        self.number = number
        self.host = host
        key = RelayTests.key(number)
        probes = ProbeTable(own: key, boot: UInt64(number))
        socket = try Self.open(host)
        #expect(addHub())
    }

    private mutating func addHub() -> Bool { probes.add(Hub.key, secret: secret(number)) }

    private static func open(_ host: String) throws -> OwnedDescriptor {
        let socket = try Socket.datagrams(at: Endpoint("\(host):0")!)
        var size: Int32 = 4 << 20
        setsockopt(socket.raw.rawValue, SOL_SOCKET, SO_RCVBUFFORCE, &size, 4)
        return socket
    }

    var place: Endpoint { get throws { try #require(Socket.localAddress(of: socket.raw).endpoint) } }

    /// Goes to another port.
    mutating func roam() throws { socket = try Self.open(host) }

    /// - Parameter address: of the relay, if it is not the member's own.
    func send(_ bytes: [UInt8], to port: UInt16, at address: String? = nil) throws {
        let target = SocketAddress(Endpoint("\(address ?? host):\(port)")!)
        #expect(try Socket.send(bytes, to: target, over: socket.raw) == bytes.count)
    }

    mutating func probe(_ port: UInt16, at address: String? = nil) throws {
        let request = try #require(makeRequest())
        try send(request.datagram, to: port, at: address)
    }

    private mutating func makeRequest() -> ProbeTable.Request? {
        probes.request(to: Hub.key, at: nil, now: .now)
    }

    /// What is there.
    mutating func receive() throws -> [(bytes: [UInt8], from: UInt16)] {
        try receiveWithPlaces().map { ($0.bytes, $0.from.port) }
    }

    mutating func receiveWithPlaces() throws -> [(bytes: [UInt8], from: Endpoint)] {
        var packets: [(bytes: [UInt8], from: Endpoint)] = []
        while let (count, sender) = try Socket.receive(over: socket.raw, into: &buffer) {
            packets.append((Array(buffer.prefix(count)), try #require(sender.endpoint)))
        }
        return packets
    }
}
