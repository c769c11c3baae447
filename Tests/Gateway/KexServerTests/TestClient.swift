import Glibc
import NetworkAddresses
import Patience
import SystemCalls
import SystemPackage

/// What a test waits for at most, in milliseconds. A test that gets here has failed.
let patience = Int32(Patience.program * 1000)

/// Something that should have happened did not.
struct TimedOut: Error {
    let what: String
}

/// Waits until `descriptor` can be read, or written.
func wait(for descriptor: FileDescriptor, toBe events: Int32 = POLLIN, _ what: String) throws {
    var entry = pollfd(fd: descriptor.rawValue, events: Int16(events), revents: 0)
    guard poll(&entry, 1, patience) == 1 else { throw TimedOut(what: what) }
}

/// A router: one connection to the listener.
final class TestClient {
    /// How a connection ended, and what came before.
    enum Outcome: Equatable {
        /// The server said that this is all.
        case closed(String)
        /// The server threw the connection away.
        case reset(String)
    }

    private let descriptor: OwnedDescriptor

    /// - Parameter source: last three bytes of its own address, in 127.0.0.0/8.
    init(port: UInt16, source: UInt32 = 1) throws {
        descriptor = OwnedDescriptor(
            adopting: FileDescriptor(rawValue: socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0))
        )
        let number = descriptor.raw.rawValue
        func address(_ host: UInt32, _ port: UInt16) -> sockaddr_in {
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = port.bigEndian
            address.sin_addr.s_addr = (0x7f00_0000 | host).bigEndian
            return address
        }
        let results = withUnsafeBytes(of: (address(source, 0), address(1, port))) { both in
            let first = both.baseAddress!.assumingMemoryBound(to: sockaddr.self)
            let size = socklen_t(MemoryLayout<sockaddr_in>.size)
            let bound = bind(number, first, size)
            let second = (both.baseAddress! + Int(size)).assumingMemoryBound(to: sockaddr.self)
            return (bound, connect(number, second, size))
        }
        guard results == (0, 0) else { throw TimedOut(what: "connect: errno \(errno)") }
        guard fcntl(number, F_SETFL, O_NONBLOCK) == 0 else { throw TimedOut(what: "fcntl") }
        try wait(for: descriptor.raw, toBe: POLLOUT, "connection to port \(port)")
        if let error = try Socket.pendingError(of: descriptor.raw) { throw error }
    }

    func send(_ text: String) throws { try send(Array(text.utf8)) }

    func send(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            try wait(for: descriptor.raw, toBe: POLLOUT, "room to send")
            let rest = bytes[sent...]
            sent += try Socket.send(rest.span.bytes, to: descriptor.raw) ?? 0
        }
    }

    func finishSending() { Socket.finishSending(to: descriptor.raw) }

    /// Throws the connection away with a reset.
    func abort() throws {
        var linger = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor.raw.rawValue, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<linger>.size))
    }

    /// Whether something can be read, or the connection is over. Does not wait.
    var hasAnswer: Bool {
        var entry = pollfd(fd: descriptor.raw.rawValue, events: Int16(POLLIN), revents: 0)
        return poll(&entry, 1, 0) == 1
    }

    /// Everything the server says until it is done.
    func outcome() throws -> Outcome {
        var text = ""
        var buffer = [UInt8](repeating: 0, count: 256)
        while true {
            try wait(for: descriptor.raw, "an answer")
            do throws(SystemCallError) {
                var span = buffer.mutableSpan
                var bytes = span.mutableBytes
                switch try Socket.receive(from: descriptor.raw, into: &bytes) {
                case .bytes(let count): text += String(decoding: buffer[..<count], as: UTF8.self)
                case .end: return .closed(text)
                case .nothingYet: continue
                }
            } catch {
                guard error.errno == .connectionReset else { throw error }
                return .reset(text)
            }
        }
    }
}

extension TestClient.Outcome {
    /// Zero bytes and the end.
    static let success = Self.closed("")
}
