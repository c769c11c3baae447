import Foundation
import Glibc

/// A way to a broker for a gateway that, as far as the broker knows, takes no more than 20 messages at a time. That is
/// what a client has that says nothing, and what other brokers allow at most, whatever is said: everything else goes
/// into a queue, and what the queue does not take is dropped without a word.
final class NarrowPath {
    let port: UInt16
    private let listener: Int32

    init(to broker: UInt16) throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        self.listener = listener
        var address = loopback(0)
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        guard withSockets(&address, { bind(listener, $0, size) }) == 0, listen(listener, 16) == 0,
            withSockets(&address, { getsockname(listener, $0, &size) }) == 0
        else { throw Failure("no narrow path: \(String(cString: strerror(errno)))") }
        port = UInt16(bigEndian: address.sin_port)
        Thread.detachNewThread {
            while case let client = accept(listener, nil, nil), client >= 0 {
                Thread.detachNewThread { serve(client, broker) }
            }
        }
    }

    deinit {
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
    }
}

private func loopback(_ port: UInt16) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    address.sin_port = port.bigEndian
    return address
}

private func withSockets<Result>(
    _ address: inout sockaddr_in,
    _ body: (UnsafeMutablePointer<sockaddr>) -> Result
) -> Result {
    withUnsafeMutableBytes(of: &address) { body($0.baseAddress!.assumingMemoryBound(to: sockaddr.self)) }
}

/// Copies what both sides send until one of them ends. In what comes first, which is CONNECT, the property 0x21 says
/// how much the client takes (MQTT 5, section 3.1.2.11.3).
private func serve(_ client: Int32, _ broker: UInt16) {
    let server = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    defer { for number in [client, server] { close(number) } }
    var address = loopback(broker)
    guard withSockets(&address, { connect(server, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }) == 0 else { return }
    var sides = [client, server].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
    var bytes = [UInt8](repeating: 0, count: 1 << 16)
    var isFirst = true
    while poll(&sides, 2, -1) > 0 {
        for (index, side) in sides.enumerated() where side.revents != 0 {
            let count = read(side.fd, &bytes, bytes.count)
            guard count > 0 else { return }
            if isFirst, index == 0, let place = bytes.firstRange(of: [0x21, 0xff, 0xff])?.lowerBound {
                (bytes[place + 1], bytes[place + 2]) = (0, 20)
                isFirst = false
            }
            guard send(sides[1 - index].fd, bytes, count, Int32(MSG_NOSIGNAL)) == count else { return }
        }
    }
}
