import Foundation
import Patience
import Glibc

/// A router's side of one exchange, byte by byte.
final class TCPClient {
    private let descriptor: Int32

    /// How the other side ended, after these bytes.
    enum Ending: Equatable {
        case closed(String)
        case reset(String)
    }

    /// - Parameter source: last byte of its own address, in 127.0.0.0/24.
    init(port: UInt16, source: UInt8 = 1) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = (UInt32(0x7f00_0000) | UInt32(source)).bigEndian
        let bound = withUnsafeBytes(of: address) {
            bind(descriptor, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t($0.count))
        }
        guard bound == 0 else { throw Failure("bind: \(String(cString: strerror(errno)))") }
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let result = withUnsafeBytes(of: address) {
            connect(descriptor, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t($0.count))
        }
        guard result == 0 else { throw Failure("connect: \(String(cString: strerror(errno)))") }
        var on: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, 4)
        var limit = timeval(tv_sec: Int(Patience.program), tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(descriptor) }

    func send(_ text: some StringProtocol) throws { try send(Array(text.utf8)) }

    func send(_ bytes: [UInt8]) throws {
        guard Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count else {
            throw Failure("send: \(String(cString: strerror(errno)))")
        }
    }

    /// Tells the other side that nothing more comes.
    func halfClose() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Everything until the other side ends.
    func ending() throws -> Ending {
        var text: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            switch count {
            case 0: return .closed(String(decoding: text, as: UTF8.self))
            case 1...: text += buffer[..<count]
            default:
                guard errno == ECONNRESET else { throw Failure("receive: \(String(cString: strerror(errno)))") }
                return .reset(String(decoding: text, as: UTF8.self))
            }
        }
    }

    /// The reply of an exchange that ends as it should.
    func reply() throws -> String {
        let ending = try ending()
        guard case .closed(let text) = ending else { throw Failure("the reply ended with a reset: \(ending)") }
        return text
    }
}
