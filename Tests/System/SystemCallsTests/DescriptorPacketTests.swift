import Glibc
import NetworkAddresses
import SystemPackage
import Testing
import Time

@testable import SystemCalls

/// Both ends of a conversation of packets.
private struct Ends: ~Copyable {
    let here: OwnedDescriptor
    let there: OwnedDescriptor

    init() throws {
        let (here, there) = try Socket.pair(.sequentialPacket)
        self.here = OwnedDescriptor(adopting: here)
        self.there = OwnedDescriptor(adopting: there)
    }
}

private func hasDescriptor(_ delivery: consuming Socket.Delivery) -> Bool {
    guard let descriptor = delivery.takeDescriptor() else { return false }
    return fcntl(descriptor.raw.rawValue, F_GETFD) >= 0
}

/// What a descriptor is open for, such as `socket:[12345]`; `nil` if it is not open.
private func target(of descriptor: FileDescriptor) -> String? {
    var path = [CChar](repeating: 0, count: 256)
    let count = readlink("/proc/self/fd/\(descriptor.rawValue)", &path, 255)
    return count > 0 ? String(decoding: path.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self) : nil
}

@Suite("Packets with descriptors") struct DescriptorPacketTests {
    @Test("come with a descriptor of the receiver's own, or without")
    func delivery() throws {
        let ends = try Ends()
        var buffer = [UInt8](repeating: 0, count: 100)
        #expect(try Socket.receiveDelivery(from: ends.there.raw, into: &buffer).received == .nothingYet)
        let socket = try Socket.datagrams(at: Endpoint("127.0.0.1:0")!)
        let name = target(of: socket.raw)
        #expect(try Socket.send([1, 2, 3], with: socket.raw, to: ends.here.raw))
        #expect(try Socket.send([4], to: ends.here.raw) == 1)
        let first = try Socket.receiveDelivery(from: ends.there.raw, into: &buffer)
        #expect(first.received == .bytes(3) && buffer.prefix(3) == [1, 2, 3])
        guard let carried = first.takeDescriptor() else {
            Issue.record("no descriptor came along")
            return
        }
        #expect(carried.raw != socket.raw && target(of: carried.raw) == name)
        #expect(fcntl(carried.raw.rawValue, F_GETFD) == FD_CLOEXEC)
        #expect(fcntl(carried.raw.rawValue, F_GETFL) & O_NONBLOCK != 0)
        let second = try Socket.receiveDelivery(from: ends.there.raw, into: &buffer)
        #expect(second.received == .bytes(1))
        let hasSecond = hasDescriptor(second)
        #expect(!hasSecond)
    }

    @Test("that nobody takes are told of, and so is the end")
    func congestion() throws {
        let ends = try Ends()
        var sent = 0
        while try Socket.send([UInt8](repeating: 7, count: 50_000), with: ends.here.raw, to: ends.here.raw) {
            sent += 1
            try #require(sent < 1000)
        }
        #expect(sent > 0)
        var buffer = [UInt8](repeating: 0, count: 100)
        for _ in 0..<sent {
            let delivery = try Socket.receiveDelivery(from: ends.there.raw, into: &buffer)
            #expect(delivery.received == .bytes(100), "the rest is cut")
            let hasCarried = hasDescriptor(delivery)
            #expect(hasCarried)
        }
        shutdown(ends.here.raw.rawValue, Int32(SHUT_WR))
        #expect(try Socket.receiveDelivery(from: ends.there.raw, into: &buffer).received == .end)
    }

    @Test("may bring one descriptor, and not two: both are closed")
    func tooMany() throws {
        let ends = try Ends()
        // Two at once, made by hand: CMSG_LEN(8) is 24 bytes.
        var control: [UInt8] = [24, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]
        let socket = try Socket.datagrams(at: Endpoint("127.0.0.1:0")!)
        for _ in 0..<2 { control += withUnsafeBytes(of: socket.raw.rawValue) { Array($0) } }
        var content: [UInt8] = [1]
        content.withUnsafeMutableBytes { content in
            control.withUnsafeMutableBytes { control in
                var part = iovec(iov_base: content.baseAddress, iov_len: 1)
                withUnsafeMutablePointer(to: &part) {
                    var message = msghdr()
                    message.msg_iov = $0
                    message.msg_iovlen = 1
                    message.msg_control = control.baseAddress
                    message.msg_controllen = control.count
                    #expect(sendmsg(ends.here.raw.rawValue, &message, 0) == 1)
                }
            }
        }
        let name = try #require(target(of: socket.raw))
        var buffer = [UInt8](repeating: 0, count: 100)
        let error = #expect(throws: SystemCallError.self) {
            _ = try Socket.receiveDelivery(from: ends.there.raw, into: &buffer)
        }
        #expect(error?.errno == .badMessage)
        let open = (3..<200).count { target(of: FileDescriptor(rawValue: Int32($0))) == name }
        #expect(open == 1)
    }
}

@Suite("UDP sockets") struct DatagramTests {
    @Test("tell who sent a packet, and that none is there")
    func senders() throws {
        let one = try Socket.datagrams(at: Endpoint("127.0.0.1:0")!)
        let other = try Socket.datagrams(at: Endpoint("[::1]:0")!)
        let third = try Socket.datagrams(at: Endpoint("[::1]:0")!)
        var buffer = [UInt8](repeating: 0, count: 10)
        #expect(try Socket.receive(over: one.raw, into: &buffer) == nil)
        let address = try Socket.localAddress(of: other.raw)
        #expect(try Socket.send([1, 2], to: address, over: third.raw) == 2)
        #expect(try Socket.send([], to: address, over: third.raw) == 0)
        let first = try #require(try Socket.receive(over: other.raw, into: &buffer))
        #expect(first.count == 2 && buffer.prefix(2) == [1, 2])
        #expect(try first.sender.endpoint == Socket.localAddress(of: third.raw).endpoint)
        #expect(try Socket.receive(over: other.raw, into: &buffer)?.count == 0)
        #expect(try Socket.receive(over: other.raw, into: &buffer) == nil)
    }

    @Test("cannot have the port of another")
    func port() throws {
        let one = try Socket.datagrams(at: Endpoint("127.0.0.1:0")!)
        let endpoint = try #require(try Socket.localAddress(of: one.raw).endpoint)
        let error = #expect(throws: SystemCallError.self) { _ = try Socket.datagrams(at: endpoint) }
        #expect(error?.errno == .addressInUse)
    }
}
