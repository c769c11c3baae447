import Foundation
import SystemPackage

/// Something that listens on a Unix socket as a userspace WireGuard does, and behaves as a test wants.
final class FakeUserspace: @unchecked Sendable {
    let path: String
    private let listener: Int32
    private let lock = NSLock()
    private var log: [String] = []

    /// - Parameter serve: what to do with each connection, in order; it is closed afterwards. There are no more
    ///   connections than these.
    init(_ serve: [@Sendable (Connection) -> Void]) throws {
        path = NSTemporaryDirectory() + "kx" + String(UInt64.random(in: 0..<1 << 60), radix: 36) + ".sock"
        listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0, listen(listener, 5) == 0 else { throw Errno(rawValue: errno) }
        Thread.detachNewThread { [self] in
            for body in serve {
                let descriptor = accept(listener, nil, nil)
                guard descriptor >= 0 else { return }
                body(Connection(descriptor: descriptor, server: self))
                close(descriptor)
            }
        }
    }

    /// Ends the listener; the socket's file stays, as after a crash.
    func crash() {
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
    }

    deinit { unlink(path) }

    /// The requests so far, each up to and with the empty line at its end.
    var requests: [String] { lock.withLock { log } }

    struct Connection {
        let descriptor: Int32
        fileprivate let server: FakeUserspace

        /// Reads one request, or returns `nil` at the end of the connection.
        @discardableResult
        func request() -> String? {
            var bytes: [UInt8] = []
            while !bytes.reversed().starts(with: [10, 10]) {
                var byte: UInt8 = 0
                guard read(descriptor, &byte, 1) == 1 else { return nil }
                bytes.append(byte)
            }
            let text = String(decoding: bytes, as: UTF8.self)
            server.lock.withLock { server.log.append(text) }
            return text
        }

        func reply(_ text: String) {
            let bytes = Array(text.utf8)
            _ = send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
        }

        /// Waits until the other side is gone.
        func waitForEnd() { while request() != nil {} }
    }
}
