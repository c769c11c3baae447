import EventLoop
import Foundation
import Patience
import Surroundings
import SystemCalls
import SystemPackage
import Testing
import Time

@testable import PacketChannel

/// A local socket with a place for each of so many connections.
private final class Server {
    let path = NSTemporaryDirectory() + "kex-packets-" + UUID().uuidString
    let listener: PacketListener
    var places: ConnectionPlaces
    static let limit = 100

    init(ofUser: Int = 8, ofAll: Int = 16) throws {
        listener = try PacketListener(path: path)
        places = ConnectionPlaces(ofUser: ofUser, ofAll: ofAll)
    }

    func accept() throws -> PacketListener.Accepted? { try listener.accept(&places, limit: Self.limit) }

    func connect() throws -> PacketConnection { try PacketConnection(connectingTo: path, limit: Self.limit) }

    /// Takes a connection, which must find its place.
    func take() throws -> (packets: PacketConnection, peer: PeerCredentials) {
        guard case .connection(let packets, let peer) = try accept() else { throw Errno.connectionRefused }
        return (packets, peer)
    }

    /// Refuses a connection, which must not be taken.
    func refuse() throws -> PacketListener.Refusal {
        guard case .refused(let refusal) = try accept() else { throw Errno.socketIsConnected }
        return refusal
    }

    /// Two ends of one connection.
    func pair() throws -> (client: PacketConnection, server: PacketConnection) {
        let client = try connect()
        return (client, try take().packets)
    }
}

private let soon = MonotonicTime.now + .seconds(Patience.program)

@Suite("Packets between local programs") struct PacketChannelTests {
    // MARK: - Connections

    @Test("The longest packet arrives whole, in both directions, and each packet by itself")
    func packets() throws {
        let (client, server) = try Server().pair()
        let longest = (0..<Server.limit).map { UInt8($0) }
        #expect(try server.receive()?.isEmpty == true)
        #expect(try client.send(longest))
        #expect(try client.send([1]))
        #expect(try server.receive().map(Array.init) == longest)
        #expect(try server.receive().map(Array.init) == [1])
        #expect(try server.receive()?.isEmpty == true)
        server.enqueue(longest)
        server.enqueue([2])
        #expect(!server.isEmpty)
        try server.flush()
        #expect(server.isEmpty)
        #expect(try client.receive().map(Array.init) == longest)
        #expect(try client.receive().map(Array.init) == [2])
    }

    @Test("A packet that is longer than the limit is refused, not cut", arguments: [1, 1000])
    func tooLong(excess: Int) throws {
        let (client, server) = try Server().pair()
        #expect(try client.send([UInt8](repeating: 7, count: Server.limit + excess)))
        let error = #expect(throws: SystemCallError.self) { try server.receive() }
        #expect(error?.errno == .messageTooLong)
    }

    @Test("The end of the other side is an end to whoever receives, and an error to whoever sends")
    func closedPeer() throws {
        var (client, server): (PacketConnection?, PacketConnection) = try Server().pair()
        #expect(try client?.send([1]) == true)
        #expect(client != nil)
        client = nil
        #expect(try server.wait(for: .readable, until: soon))
        #expect(try server.receive().map(Array.init) == [1])
        #expect(try server.receive() == nil)
        let error = #expect(throws: SystemCallError.self) { try server.send([1]) }
        #expect(error?.isPeerGone == true)
        server.enqueue([1])
        #expect(throws: SystemCallError.self) { try server.flush() }
    }

    @Test("A wait ends at its deadline if nothing comes")
    func silence() throws {
        let (client, server) = try Server().pair()
        #expect(try !client.wait(for: .readable, until: .now))
        #expect(try server.send([1]))
        #expect(try client.wait(for: .readable, until: soon))
    }

    @Test("What the other side does not take is kept, and the loop reports when it takes more")
    func congestion() throws {
        var loop = try EventLoop()
        let (client, server) = try Server().pair()
        try server.watch(on: loop, token: 5)
        // More than the kernel holds.
        let count = 10_000
        for number in 0..<count { server.enqueue([UInt8(number & 0xff)]) }
        try server.flush(on: loop, token: 5)
        #expect(server.isCongested)
        #expect(!server.isEmpty)
        // Until then it is asked for nothing.
        #expect(try client.send([1]))
        #expect(try loop.wait(until: .now) == 0)
        var received = 0
        while received < count {
            guard let packet = try client.receive(), !packet.isEmpty else {
                #expect(try loop.wait(until: soon) == 1)
                #expect(loop[0] == EventLoop.Event(token: 5, readiness: .writable))
                try server.flush(on: loop, token: 5)
                continue
            }
            #expect(packet.first == UInt8(received & 0xff))
            received += 1
        }
        #expect(!server.isCongested)
        #expect(try loop.wait(until: soon) == 1)
        #expect(loop[0] == EventLoop.Event(token: 5, readiness: .readable))
    }

    // MARK: - Listeners

    @Test(
        "One connection more than its user has places is closed at once, and the next finds a place that is given back"
    )
    func places() throws {
        let server = try Server(ofUser: 2)
        let clients = try (0..<3).map { _ in try server.connect() }
        var user: UInt32 = 0
        for _ in 0..<2 {
            let peer = try server.take().peer
            user = peer.user
            #expect(peer.user == PeerCredentials.ownUser)
            #expect(peer.process == getpid())
        }
        let refusal = try server.refuse()
        #expect("\(refusal)" == "no place left at \(server.path) for process \(getpid()) of user \(user)")
        #expect(try clients[2].wait(for: .readable, until: soon))
        #expect(try clients[2].receive() == nil)
        #expect(try server.accept() == nil)
        server.places.leave(user)
        _ = try server.pair()
    }

    @Test("A user who may not use the socket is refused although its file lets him in", .needsRoot)
    func stranger() throws {
        let server = try Server()
        #expect(chmod(server.path, 0o666) == 0)
        let script = """
            import os, socket, sys
            os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)
            s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            s.connect(sys.argv[1])
            s.settimeout(240)
            sys.exit(0 if s.recv(1) == b'' else 1)
            """
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/python3")
        process.arguments = ["-c", script, server.path]
        try process.run()
        var loop = try EventLoop()
        try server.listener.setWatched(true, on: loop, token: 3)
        #expect(try loop.wait(until: soon) == 1)
        let refusal = try server.refuse()
        #expect("\(refusal)" == "process \(process.processIdentifier) of user 65534 may not use \(server.path)")
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        // It has taken no place.
        #expect(server.places.take(for: 65534) == true)
    }

    @Test("The loop reports waiting connections while it watches")
    func watching() throws {
        let server = try Server()
        var loop = try EventLoop()
        try server.listener.setWatched(true, on: loop, token: 3)
        try server.listener.setWatched(true, on: loop, token: 3)
        let client = try server.connect()
        #expect(try loop.wait(until: soon) == 1)
        #expect(loop[0].token == 3)
        try server.listener.setWatched(false, on: loop, token: 3)
        #expect(try loop.wait(until: .now) == 0)
        #expect(client.isEmpty)
    }

    @Test("The file goes with the listener that made it, and stays if the socket is somebody else's")
    func files() throws {
        var server: Server? = try Server()
        let path = try #require(server?.path)
        #expect(access(path, F_OK) == 0)
        server = nil
        #expect(access(path, F_OK) != 0)
        let passed = try Socket.listen(atPath: path, kind: .sequentialPacket, permissions: .ownerReadWrite)
        defer { unlink(path) }
        do {
            let listener = try PacketListener(adopting: passed, named: "passed")
            #expect(listener.path == path)
        }
        #expect(access(path, F_OK) == 0)
    }

    // MARK: - Clients

    @Test(
        "After a failure there is a pause, and after a success only if every attempt has one",
        arguments: [false, true]
    )
    func pauses(isEvery: Bool) throws {
        let path = NSTemporaryDirectory() + "kex-packets-" + UUID().uuidString
        let pause = Duration.seconds(2)
        var connector = PacketConnector(path: path, pause: isEvery ? .afterAttempt(pause) : .afterFailure(pause))
        let start = MonotonicTime.now
        func failure(_ now: MonotonicTime) -> PacketConnector.Failure? {
            do throws(PacketConnector.Failure) {
                _ = try connector.connect(now: now)
                return nil
            } catch {
                return error
            }
        }
        let expected = SystemCallError("connect to", path, errno: .noSuchFileOrDirectory)
        #expect(failure(start) == .systemCall(expected))
        #expect(connector.nextAttempt == start + pause)
        #expect(failure(start + (pause - .milliseconds(1))) == .pausing)
        let listener = try PacketListener(path: path)
        let later = start + pause
        #expect(failure(later) == nil)
        #expect(failure(later) == (isEvery ? .pausing : nil))
        #expect(failure(later + pause) == nil)
        connector.noteFailure(now: later + pause + pause)
        #expect(failure(later + pause + pause) == .pausing)
        #expect(listener.path == path)
    }

    @Test("A client connects when it is asked to, and anew after it was closed")
    func client() throws {
        let server = try Server()
        var loop = try EventLoop()
        let connector = PacketConnector(path: server.path, pause: .afterFailure(.seconds(1)))
        var client = PacketClient(connector, limit: Server.limit, token: 9)
        #expect(client.isOpen == false)
        #expect(try client.receive() == nil)
        #expect(try client.send([1], loop) == false)
        for _ in 0..<2 {
            try client.open(loop, now: .now)
            try client.open(loop, now: .now)
            #expect(client.isOpen == true)
            #expect(client.nextAttempt == nil)
            let other = try server.take().packets
            #expect(try server.accept() == nil)
            client.enqueue([1])
            try client.flush(loop)
            #expect(try client.send([2], loop) == true)
            #expect(try other.receive().map(Array.init) == [1])
            #expect(try other.receive().map(Array.init) == [2])
            #expect(try other.send([3]))
            #expect(try loop.wait(until: soon) == 1)
            #expect(loop[0] == EventLoop.Event(token: 9, readiness: .readable))
            #expect(try client.receive().map(Array.init) == [3])
            client.close()
            #expect(client.isOpen == false)
            #expect(client.nextAttempt != nil)
        }
    }

    @Test("A client that is congested goes on receiving, and the loop reports the end of it")
    func congestedClient() throws {
        let server = try Server()
        var loop = try EventLoop()
        var client = PacketClient(
            PacketConnector(path: server.path, pause: .afterFailure(.seconds(1))),
            limit: Server.limit,
            token: 9
        )
        try client.open(loop, now: .now)
        let other = try server.take().packets
        var sent = 0
        while try client.send([1], loop) { sent += 1 }
        #expect(client.isCongested == true)
        #expect(try other.send([2]))
        #expect(try loop.wait(until: soon) == 1)
        #expect(loop[0].readiness == .readable)
        #expect(try client.receive().map(Array.init) == [2])
        for _ in 0..<sent { #expect(try other.receive().map(Array.init) == [1]) }
        #expect(try loop.wait(until: soon) == 1)
        #expect(loop[0].readiness == .writable)
        try client.endCongestion(loop)
        #expect(client.isCongested == false)
        #expect(try loop.wait(until: .now) == 0)
        #expect(try client.send([1], loop) == true)
    }
}
