import Foundation
import KernelTestSupport
import LinkControl
import NetworkAddresses
import Patience
import Surroundings
import SystemCalls
import SystemPackage
import Testing
import Time
import WireGuardTypes

@testable import PacketHold

private let key = PublicKey(bytes: [UInt8](repeating: 1, count: 32).span)!
private let other = PublicKey(bytes: [UInt8](repeating: 2, count: 32).span)!

/// In a network namespace of its own: a device in WireGuard's place, of which the test reads what arrives.
private final class Lane {
    var device: HoldDevice
    var hold: PacketHold
    let socket: OwnedDescriptor
    private var backlog: [UInt8] = []

    init(_ addresses: String...) throws {
        try requirePrivateNamespace()
        device = try HoldDevice()
        var links = try LinkControl()
        for address in addresses { try links.addAddress(IPPrefix(address)!, to: device.name) }
        let link = try links.link(named: device.name)!
        hold = try PacketHold(device.name, index: link.index, at: .now)
        socket = try Socket.datagrams(at: .v6(IPv6Address(high: 0, low: 0), port: 0, scope: 0))
    }

    /// Sends a datagram that is only a number.
    func send(_ number: UInt16, to host: String) throws {
        let address = IPv4Address(host).map { IPv6Address(mapping: $0) } ?? IPv6Address(host)!
        let bytes = [UInt8(number >> 8), UInt8(number & 255)]
        _ = try Socket.send(bytes, to: SocketAddress(.v6(address, port: 9, scope: 0)), over: socket.raw)
    }

    /// Numbers that arrived, until there are so many, or for so long.
    func arrived(_ count: Int, within time: Duration = .seconds(10)) throws -> [UInt16] {
        let deadline = MonotonicTime.now + time
        var numbers: [UInt16] = []
        while numbers.count < count {
            if let packet = try device.read() {
                guard packet.first == 0x45 || packet.first == 0x60, packet.count < 60 else { continue }
                numbers.append(UInt16(packet[packet.count - 2]) << 8 | UInt16(packet[packet.count - 1]))
            } else if try !Socket.wait(for: .readable, of: device.descriptor, until: deadline) {
                return numbers
            }
        }
        return numbers
    }

    /// Takes in what is diverted until so many packets wait.
    func wait(for count: Int, of key: PublicKey = key) throws {
        let deadline = MonotonicTime.now + .seconds(10)
        while hold.waiting(key) < count {
            guard try Socket.wait(for: .readable, of: hold.descriptor, until: deadline) else {
                throw WrongSurroundings(description: "\(hold.waiting(key)) packets of \(count) are held")
            }
            try hold.receive(at: .now)
        }
    }

    /// Goes on until a hold has ended.
    func end() throws -> PacketHold.End {
        while true {
            if let end = try hold.advance(at: .now).first { return end }
            let deadline = min(hold.nextDeadline, .now + .seconds(5))
            if try Socket.wait(for: .readable, of: hold.descriptor, until: deadline) { try hold.receive(at: .now) }
        }
    }
}

@Suite(.needsRoot, .serialized) struct PacketHoldTests {
    @Test(arguments: [("10.9.0.2", "10.9.0.2/32"), ("10.9.0.77", "10.9.0.64/26"), ("fd00:9::2", "fd00:9::/64")])
    func `packets are kept, and leave in their order`(host: String, prefix: String) throws {
        let lane = try Lane("10.9.0.1/24", "fd00:9::1/64")
        try lane.send(1, to: host)
        #expect(try lane.arrived(1) == [1])
        try lane.hold.begin(key, [IPPrefix(prefix)!], at: .now)
        for number in 2...200 { try lane.send(UInt16(number), to: host) }
        try lane.wait(for: 199)
        #expect(try lane.arrived(1, within: .zero) == [])
        lane.hold.release(key, at: .now)
        // They come while others leave.
        for number in 201...220 { try lane.send(UInt16(number), to: host) }
        let end = try lane.end()
        #expect(end.reason == .released && end.packets == 219 && end.lost == 0)
        try lane.send(221, to: host)
        #expect(try lane.arrived(220) == Array(2...221))
    }

    @Test func `others are not kept waiting, and each peer has its own`() throws {
        let lane = try Lane("10.9.0.1/24")
        try lane.hold.begin(key, [IPPrefix("10.9.0.2/32")!], at: .now)
        try lane.hold.begin(other, [IPPrefix("10.9.0.3/32")!], at: .now)
        for (number, host) in [(1, "10.9.0.2"), (2, "10.9.0.3"), (3, "10.9.0.4")] {
            try lane.send(UInt16(number), to: host)
        }
        #expect(try lane.arrived(1) == [3])
        try lane.wait(for: 1)
        try lane.wait(for: 1, of: other)
        lane.hold.release(other, at: .now)
        #expect(try lane.end().key == other)
        #expect(try lane.arrived(1) == [2])
        try lane.send(4, to: "10.9.0.2")
        try lane.wait(for: 2)
        lane.hold.release(key, at: .now)
        #expect(try lane.end().packets == 2)
        #expect(try lane.arrived(2) == [1, 4])
    }

    @Test func `a hold ends by itself in time`() throws {
        let lane = try Lane("10.9.0.1/24")
        let start = MonotonicTime.now
        try lane.hold.begin(key, [IPPrefix("10.9.0.2/32")!], at: start)
        try lane.send(1, to: "10.9.0.2")
        try lane.wait(for: 1)
        #expect(try lane.hold.advance(at: start + (HoldLimits.time - .nanoseconds(1))).isEmpty)
        let ends = try lane.hold.advance(at: start + HoldLimits.time)
        #expect(ends.map(\.reason) == [.time])
        try lane.send(2, to: "10.9.0.2")
        #expect(try lane.arrived(2) == [1, 2])
    }

    @Test func `a hold ends when more waits than may, and nothing is lost`() throws {
        let lane = try Lane("10.9.0.1/24")
        try lane.hold.begin(key, [IPPrefix("10.9.0.2/32")!], at: .now)
        var sent = 0
        while sent <= HoldLimits.packets {
            for _ in 0..<128 {
                try lane.send(UInt16(sent), to: "10.9.0.2")
                sent += 1
            }
            while try Socket.wait(for: .readable, of: lane.hold.descriptor, until: .now + .milliseconds(20)) {
                try lane.hold.receive(at: .now)
            }
        }
        // The queue of the device in WireGuard's place has as much room.
        var numbers: [UInt16] = []
        var end: PacketHold.End?
        while end == nil {
            end = try lane.hold.advance(at: .now).first
            numbers += try lane.arrived(1000, within: .zero)
        }
        numbers += try lane.arrived(sent - numbers.count)
        #expect(end?.reason == .full && end?.lost == 0)
        #expect(numbers == (0..<sent).map { UInt16($0) })
    }

    @Test func `the kernel ends the hold of a process that hangs`() throws {
        let lane = try Lane("10.9.0.1/24")
        let start = MonotonicTime.now
        try lane.hold.begin(key, [IPPrefix("10.9.0.2/32")!], at: start)
        var number: UInt16 = 0
        var first: UInt16?
        while first == nil, .now < start + .seconds(10) {
            number += 1
            try lane.send(number, to: "10.9.0.2")
            first = try lane.arrived(1, within: .milliseconds(20)).first
        }
        let time = MonotonicTime.now - start
        #expect(time > .milliseconds(1500) && time < .seconds(5), "\(time)")
        // And what it had leaves when it goes on.
        try lane.hold.receive(at: .now)
        let end = try lane.end()
        #expect(end.reason == .time && end.packets == Int(first ?? 0) - 1)
    }

    @Test func `nothing of a hold stays when its process goes`() throws {
        try requirePrivateNamespace()
        var device = try HoldDevice()
        var links = try LinkControl()
        try links.addAddress(IPPrefix("10.9.0.1/24")!, to: device.name)
        do {
            let link = try links.link(named: device.name)!
            var hold = try PacketHold(device.name, index: link.index, at: .now)
            try hold.begin(key, [IPPrefix("10.9.0.2/32")!], at: .now)
            #expect(try links.links().count { $0.name.text.hasPrefix("kexhold") } == 2)
        }
        #expect(try links.links().count { $0.name.text.hasPrefix("kexhold") } == 1)
        let socket = try Socket.datagrams(at: .v6(IPv6Address(high: 0, low: 0), port: 0, scope: 0))
        let destination = SocketAddress(.v6(IPv6Address(mapping: IPv4Address("10.9.0.2")!), port: 9, scope: 0))
        _ = try Socket.send([0, 1], to: destination, over: socket.raw)
        #expect(try Socket.wait(for: .readable, of: device.descriptor, until: .now + .seconds(5)))
        while let packet = try device.read() { #expect(packet.last == 1 || packet[0] != 0x45, "\(packet)") }
    }

    @Test func `forwarded packets are kept too`() throws {
        let lane = try Lane("10.9.0.1/24")
        try "1".write(toFile: "/proc/sys/net/ipv4/ip_forward", atomically: false, encoding: .utf8)
        let entry = try HoldDevice()
        var links = try LinkControl()
        try links.addAddress(IPPrefix("10.8.0.1/24")!, to: entry.name)
        let sender = try PacketInlet(entry.descriptor)
        try lane.hold.begin(key, [IPPrefix("10.9.0.2/32")!], at: .now)
        for number in 1...3 { try sender.send(UInt8(number), from: "10.8.0.7", to: "10.9.0.2") }
        try lane.wait(for: 3)
        lane.hold.release(key, at: .now)
        #expect(try lane.end().packets == 3)
        #expect(try lane.arrived(3) == [1, 2, 3])
    }

    @Test func `limits of number`() throws {
        let lane = try Lane("10.9.0.1/24")
        let prefixes = (0...HoldLimits.prefixes).map { IPPrefix("10.\($0 / 250).\($0 % 250).1/32")! }
        let error = #expect(throws: HoldError.self) { try lane.hold.begin(key, prefixes, at: .now) }
        #expect(error == .tooManyPrefixes(HoldLimits.prefixes + 1))
        for number in 0..<HoldLimits.holds {
            var bytes = [UInt8](repeating: 0, count: 32)
            bytes[0] = UInt8(number)
            bytes[1] = 1
            try lane.hold.begin(PublicKey(bytes: bytes.span)!, [prefixes[number]], at: .now)
        }
        #expect(throws: HoldError.tooManyHolds) { try lane.hold.begin(key, [prefixes[200]], at: .now) }
    }

    @Test func `a name that nft cannot write is refused`() throws {
        try requirePrivateNamespace()
        #expect(throws: HoldError.unusableName(InterfaceName("wg\"0")!)) {
            _ = try PacketHold(InterfaceName("wg\"0")!, index: InterfaceIndex(1)!, at: .now)
        }
    }
}
