import KernelTestSupport
import NetworkAddresses
@testable import PathProbe
import Surroundings
import SystemCalls
import SystemPackage
import Testing
import Time

private func port(of descriptor: FileDescriptor) throws -> UInt16 {
    try #require(Socket.localAddress(of: descriptor).endpoint).port
}

/// Waits for at least one packet.
private func receive(_ socket: inout RawSocket) throws -> [RawSocket.Packet] {
    for _ in 0..<20 {
        let packets = try socket.receive()
        if !packets.isEmpty { return packets }
        _ = try Socket.wait(for: .readable, of: socket.descriptor, until: .now + .milliseconds(100))
    }
    return []
}

/// A request and what it is under another beginning.
private let request: [UInt8] = {
    var couple = Couple()
    return couple.request().datagram
}()

@Suite(.needsRoot) struct `Raw sockets` {
    @Test(arguments: ["127.0.0.1", "[::1]"], [true, false])
    func `send from a port that somebody has, and get what comes there`(host: String, hasFinder: Bool) throws {
        try requirePrivateNamespace()
        let family: RawSocket.Family = host == "127.0.0.1" ? .v4 : .v6
        // Who has the ports: WireGuard's place.
        let own = try Socket.datagrams(at: Endpoint("\(host):0")!)
        let other = try Socket.datagrams(at: Endpoint("\(host):0")!)
        let (here, there) = try (port(of: own.raw), port(of: other.raw))
        var sender = RawSocket(
            try RawSocket.open(family, port: here, mark: 0),
            family,
            port: here,
            sources: hasFinder ? try RawSocket.openSourceFinder(mark: 0) : nil
        )
        var receiver = RawSocket(try RawSocket.open(family, port: there, mark: 0), family, port: there)
        let target = Endpoint("\(host):\(there)")!
        for payload in [request, request + [7]] {
            #expect(try sender.send(payload, to: target))
            let packet = try #require(receive(&receiver).first)
            #expect(packet.payload == payload && packet.source == Endpoint("\(host):\(here)")!)
            #expect(packet.interface == loopback)
        }
        // Its owner gets them as well, so the checksum is right.
        var buffer = [UInt8](repeating: 0, count: 200)
        let count = try Socket.receive(over: other.raw, into: &buffer)?.count
        #expect(count == Probe.length && Array(buffer.prefix(Probe.length)) == request)
        // Nothing else comes: other ports, other beginnings, short ones.
        #expect(try sender.send(request, to: Endpoint("\(host):\(here)")!))
        #expect(try sender.send([1, 0, 0, 0] + request.dropFirst(4), to: target))
        #expect(try sender.send([0x6b, 0x78, 0x70], to: target))
        #expect(try sender.send(request, to: target))
        #expect(try receive(&receiver).map(\.payload) == [request])
        #expect(try receive(&sender).map(\.source) == [Endpoint("\(host):\(here)")!])
    }

    @Test func `take at most 64 packets in a round`() throws {
        try requirePrivateNamespace()
        let own = try Socket.datagrams(at: Endpoint("127.0.0.1:0")!)
        let here = try port(of: own.raw)
        var socket = RawSocket(try RawSocket.open(.v4, port: here, mark: 0), .v4, port: here)
        for _ in 0..<65 { #expect(try socket.send(request, to: Endpoint("127.0.0.1:\(here)")!)) }
        #expect(try receive(&socket).count == 64)
        #expect(try receive(&socket).count == 1)
        #expect(try socket.receive().isEmpty)
    }

    @Test(arguments: ["127.0.0.1", "[::1]"])
    func `tell which packets of the port did not arrive, and of no other port`(host: String) throws {
        try requirePrivateNamespace()
        let family: RawSocket.Family = host == "127.0.0.1" ? .v4 : .v6
        let own = try Socket.datagrams(at: Endpoint("\(host):0")!)
        let here = try port(of: own.raw)
        var socket = RawSocket(try RawSocket.open(family, port: here, mark: 0), family, port: here)
        let closed = Endpoint("\(host):1")!
        // Of the port's owner, as WireGuard's; then of a stranger.
        #expect(try Socket.send([1], to: SocketAddress(closed), from: nil, over: own.raw))
        let stranger = try Socket.datagrams(at: Endpoint("\(host):0")!)
        #expect(try Socket.send([1], to: SocketAddress(Endpoint("\(host):2")!), from: nil, over: stranger.raw))
        _ = try Socket.wait(for: .readable, of: socket.descriptor, until: .now + .seconds(1))
        #expect(try socket.receive().isEmpty)
        #expect(try socket.failures() == [RawSocket.Failure(destination: closed, errno: .connectionRefused)])
        #expect(try socket.failures().isEmpty)
        // The next packet is sent all the same.
        #expect(try socket.send(request, to: closed))
        #expect(try socket.send(request, to: Endpoint("\(host):\(here)")!))
        #expect(try receive(&socket).map(\.payload) == [request])
    }

    @Test func `say that there is no way`() throws {
        try requirePrivateNamespace()
        let socket = RawSocket(
            try RawSocket.open(.v4, port: 9, mark: 0),
            .v4,
            port: 9,
            sources: try RawSocket.openSourceFinder(mark: 0)
        )
        let error = #expect(throws: SystemCallError.self) { try socket.send(request, to: Endpoint("192.0.2.1:9")!) }
        #expect(error?.errno == .networkUnreachable)
        let other = #expect(throws: SystemCallError.self) { try socket.send(request, to: Endpoint("[::1]:9")!) }
        #expect(other?.errno == .addressFamilyNotSupported)
    }
}

@Suite struct `UDP headers` {
    @Test func `have a checksum`() {
        let addresses = (source: IPv4Address("192.0.2.1")!, destination: IPv4Address("198.51.100.2")!)
        let even = UDPHeader.datagram([1, 2, 3, 4], from: 51820, to: 51821, addresses: addresses)
        #expect(even == fromHex("ca6cca6d000c") + reference(even, addresses) + [1, 2, 3, 4])
        let odd = UDPHeader.datagram([1, 2, 3], from: 51820, to: 51821, addresses: addresses)
        #expect(odd == fromHex("ca6cca6d000b") + reference(odd, addresses) + [1, 2, 3])
        let none = UDPHeader.datagram([1], from: 1, to: 2, addresses: nil)
        #expect(none == [0, 1, 0, 2, 0, 9, 0, 0, 1])
        #expect(UDPHeader(even.span) != nil)
        let short = Array(even.prefix(7))
        #expect(UDPHeader(short.span) == nil)
    }

    /// RFC 1071, word by word with the carry added at once.
    private func reference(_ datagram: [UInt8], _ addresses: (source: IPv4Address, destination: IPv4Address)) -> [UInt8]
    {
        var bytes = addresses.source.bytes + addresses.destination.bytes + [0, 17, 0, UInt8(datagram.count)] + datagram
        (bytes[18], bytes[19]) = (0, 0)
        if bytes.count % 2 == 1 { bytes.append(0) }
        var sum: UInt16 = 0
        for index in stride(from: 0, to: bytes.count, by: 2) {
            let (partial, carries) = sum.addingReportingOverflow(UInt16(bytes[index]) << 8 | UInt16(bytes[index + 1]))
            sum = partial + (carries ? 1 : 0)
        }
        let value = ~sum == 0 ? 0xffff : ~sum
        return [UInt8(value >> 8), UInt8(value & 0xff)]
    }

    @Test func `are read behind an IP header of any length that is there`() {
        let short = [0x45] + [UInt8](repeating: 1, count: 19)
        #expect(IPv4Header(short.span)?.length == 20)
        let cut = Array(short.dropLast())
        #expect(IPv4Header(cut.span) == nil)
        let long = [0x46] + [UInt8](repeating: 1, count: 19)
        #expect(IPv4Header(long.span) == nil)
        let impossible = [0x44] + [UInt8](repeating: 1, count: 40)
        #expect(IPv4Header(impossible.span) == nil)
        let other = [0x65] + [UInt8](repeating: 1, count: 40)
        #expect(IPv4Header(other.span) == nil)
    }
}
