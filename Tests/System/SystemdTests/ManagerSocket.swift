import Glibc
import SystemCalls
import SystemPackage

@testable import Systemd

/// A datagram socket in the place of systemd's or the journal's, gone with this object.
final class ManagerSocket: Sendable {
    /// As `NOTIFY_SOCKET` has it: an abstract name begins with `@`.
    let path: String
    private let descriptor: Int32

    init(isAbstract: Bool = false) throws {
        path = "\(isAbstract ? "@" : "/tmp/")kex-test-\(getpid())-\(UInt32.random(in: 0...UInt32.max)).sock"
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let name = Array(path.utf8)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: isAbstract ? [0] + name.dropFirst() : name) }
        let size = isAbstract ? 2 + name.count : MemoryLayout<sockaddr_un>.size
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, socklen_t(size)) }
        }
        guard result == 0 else { throw Errno(rawValue: errno) }
    }

    /// The next packet, `nil` if there is none.
    func next() -> String? {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
        return count < 0 ? nil : String(decoding: buffer[..<count], as: UTF8.self)
    }

    /// Fills the queue until it takes no more.
    func fill() throws {
        let sender = try Socket.connect(toPath: path, kind: .datagram)
        while try Socket.send([1], to: sender.raw) != nil {}
    }

    /// Runs `body` with this socket as `NOTIFY_SOCKET`.
    func asManager(_ body: () throws -> Void) rethrows {
        try ManagerEnvironment.$variables.withValue(["NOTIFY_SOCKET": path], operation: body)
    }

    deinit {
        close(descriptor)
        unlink(path)
    }
}
