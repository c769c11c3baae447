import Foundation
import NetworkAddresses
import SystemPackage
import Testing
import Time

@testable import SystemCalls

@Suite("Sockets") struct SocketTests {
    private let path = NSTemporaryDirectory() + "kex-" + UUID().uuidString

    @Test("A socket path may have 107 bytes, not 108, not none, and no NUL")
    func pathLength() {
        #expect(SocketAddress(path: "/" + String(repeating: "x", count: 106))?.path?.utf8.count == 107)
        #expect(SocketAddress(path: "/" + String(repeating: "x", count: 107)) == nil)
        #expect(SocketAddress(path: "") == nil)
        #expect(SocketAddress(path: "/a\0b") == nil)
    }

    @Test("Endpoints survive the way to the kernel's form and back", arguments: ["192.0.2.1:1", "[2001:db8::1]:65535"])
    func endpoints(text: String) throws {
        let endpoint = try #require(Endpoint(text))
        #expect(SocketAddress(endpoint).endpoint == endpoint)
    }

    @Test("A socket file that nobody listens on is replaced; one that is alive is not")
    func replace() throws {
        defer { unlink(path) }
        do { _ = try Socket.listen(atPath: path, kind: .sequentialPacket, permissions: .ownerReadWrite) }
        let second = try Socket.listen(atPath: path, kind: .sequentialPacket, permissions: .ownerReadWrite)
        let error = #expect(throws: SystemCallError.self) {
            _ = try Socket.listen(atPath: path, kind: .sequentialPacket, permissions: .ownerReadWrite)
        }
        #expect(error?.errno == .addressInUse)
        _ = consume second
    }

    @Test("Something else at the path is left alone")
    func regularFile() throws {
        defer { unlink(path) }
        try Data("precious".utf8).write(to: URL(fileURLWithPath: path))
        #expect(throws: SystemCallError.self) {
            _ = try Socket.listen(atPath: path, kind: .sequentialPacket, permissions: .ownerReadWrite)
        }
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "precious")
    }

    @Test("A living socket of another kind is left alone as well")
    func otherKind() throws {
        defer { unlink(path) }
        let stream = try Socket.listen(atPath: path, kind: .stream, permissions: .ownerReadWrite)
        #expect(throws: SystemCallError.self) {
            _ = try Socket.listen(atPath: path, kind: .sequentialPacket, permissions: .ownerReadWrite)
        }
        _ = try Socket.connect(toPath: path, kind: .stream)
        _ = consume stream
    }

    @Test("The kernel tells who has connected")
    func credentials() throws {
        defer { unlink(path) }
        let listener = try Socket.listen(atPath: path, kind: .sequentialPacket, permissions: .ownerReadWrite)
        let client = try Socket.connect(toPath: path, kind: .sequentialPacket)
        guard let accepted = try Socket.accept(from: listener.raw) else {
            Issue.record("nothing waits")
            return
        }
        let credentials = try PeerCredentials(of: accepted.descriptor.raw)
        #expect(credentials.process == getpid())
        #expect(credentials.user == getuid())
        #expect(credentials.groups.contains(getgid()))
        #expect(try Socket.accept(from: listener.raw) == nil)
        _ = consume client
    }

    @Test("Errors name what was tried, on what, and the errno")
    func errors() {
        let error = #expect(throws: SystemCallError.self) {
            _ = try Socket.connect(toPath: "/nonexistent/socket", kind: .stream)
        }
        #expect(error?.description == "cannot connect to /nonexistent/socket: No such file or directory (errno 2)")
    }
}

@Suite("Clock") struct ClockTests {
    @Test("Time goes on")
    func now() {
        let first = MonotonicTime.now
        usleep(1000)
        #expect(MonotonicTime.now - first >= .milliseconds(1))
    }
}

/// `nil` is not comparable for a type without an owner's copy.
private func == (accepted: borrowing Socket.Accepted?, nothing: Never?) -> Bool {
    switch accepted {
    case .none: true
    case .some: false
    }
}
