internal import EventLoop
internal import GatewayEvents
internal import HandlerChannel
internal import Logging
internal import SystemCalls
internal import SystemPackage
internal import Systemd

/// The socket for front doors, and those that are connected to it.
struct FrontDoors: ~Copyable {
    private let listener: OwnedDescriptor
    private let path: String
    /// Whether the file is ours to remove: systemd keeps its own.
    private let ownsFile: Bool
    private let token: UInt64
    private var connections: [UInt64: (packets: PacketConnection, user: UInt32)] = [:]
    private var places = ConnectionPlaces()
    /// Front doors that have not taken their answers: they are asked for nothing new, so those answers are never more than
    /// what was asked in a round, and the registrations that the broker has.
    private var congested: Set<UInt64> = []
    private var lastToken: UInt64
    private var isWatched = false
    /// Whether no front door is connected.
    var isEmpty: Bool { connections.isEmpty }
    /// When connections are taken again after the system had no descriptor left.
    private(set) var nextAccept: MonotonicTime?

    /// Packets that are taken from a front door before the others have their turn.
    private static let packetsPerRound = 16
    /// Connections that are accepted before others have their turn.
    private static let acceptedPerRound = 64
    private static let acceptPause = Duration.milliseconds(100)

    /// - Parameter token: of the listener; those of the connections are above it.
    init(path: String, token: UInt64) throws(SystemCallError) {
        var passed: [OwnedSocket] = []
        try ListeningSocket.takeAll(of: .unixSequentialPacket) { socket throws(SystemCallError) in
            guard socket.name == "bus", passed.isEmpty else {
                throw SystemCallError("find a use for", "socket \(socket.name) of systemd", errno: .invalidArgument)
            }
            let descriptor = socket.takeDescriptor()
            let own = try Socket.localAddress(of: descriptor.raw).path ?? path
            passed.append(OwnedSocket(raw: descriptor.release(), path: own))
        }
        let listener: OwnedDescriptor
        if let first = passed.first {
            listener = OwnedDescriptor(adopting: first.raw)
        } else {
            let permissions: FilePermissions = [.ownerReadWrite, .groupReadWrite]
            listener = try Socket.listen(atPath: path, kind: .sequentialPacket, permissions: permissions)
        }
        self.listener = listener
        self.path = passed.first?.path ?? path
        ownsFile = passed.isEmpty
        self.token = token
        lastToken = token
    }

    private struct OwnedSocket {
        let raw: FileDescriptor
        let path: String
    }

    deinit { if ownsFile { Socket.removeFile(at: path) } }

    /// Without descriptors the listener is not looked at, so that those who wait do not wake the loop.
    mutating func watch(_ loop: borrowing EventLoop, now: MonotonicTime) throws(SystemCallError) {
        if let time = nextAccept, time <= now { nextAccept = nil }
        let isOpen = nextAccept == nil
        guard isOpen != isWatched else { return }
        if isOpen {
            try loop.watch(listener.raw, for: .readable, token: token)
        } else {
            try loop.stopWatching(listener.raw)
        }
        isWatched = isOpen
    }

    mutating func accept(_ loop: borrowing EventLoop, now: MonotonicTime, _ budget: inout LineBudget, _ log: Logger) {
        do throws(SystemCallError) {
            for _ in 0..<Self.acceptedPerRound {
                guard let accepted = try Socket.accept(from: listener.raw) else { return }
                let descriptor = accepted.takeDescriptor()
                let peer = try PeerCredentials(of: descriptor.raw)
                guard try peer.mayUse(socketAt: path) else {
                    let line = "process \(peer.process) of user \(peer.user) may not use \(path)"
                    budget.log(.disconnected, .warning, line, to: log)
                    continue
                }
                // One too many is closed at once: left waiting, it would shut out whoever comes behind it.
                guard places.take(for: peer.user) else {
                    let line = "process \(peer.process) of user \(peer.user) finds no place left at \(path)"
                    budget.log(.disconnected, .warning, line, to: log)
                    continue
                }
                let connection = PacketConnection(descriptor)
                lastToken += 1
                connections[lastToken] = (connection, peer.user)
                do throws(SystemCallError) {
                    try loop.watch(connection.raw, for: .readable, token: lastToken)
                } catch {
                    close(lastToken)
                    throw error
                }
            }
        } catch {
            budget.log(.exhausted, .error, "\(error)", to: log)
            nextAccept = now + Self.acceptPause
        }
    }

    private mutating func close(_ frontDoor: UInt64) {
        guard let (_, user) = connections.removeValue(forKey: frontDoor) else { return }
        congested.remove(frontDoor)
        places.leave(user)
    }

    /// Why a front door was closed.
    struct Closed: Error {
        /// `nil` if it ended by itself.
        let reason: String?
    }

    /// What a front door asks.
    ///
    /// - Throws: if there is nothing more to expect of it; it is forgotten.
    mutating func requests(from frontDoor: UInt64) throws(Closed) -> [BusRequest] {
        guard let connection = connections[frontDoor]?.packets, !congested.contains(frontDoor) else { return [] }
        var requests: [BusRequest] = []
        do {
            while requests.count < Self.packetsPerRound {
                guard let packet = try connection.receive() else { throw Closed(reason: nil) }
                guard !packet.isEmpty else { break }
                requests.append(try BusFrame.request(in: packet.span))
            }
            return requests
        } catch {
            close(frontDoor)
            throw error as? Closed ?? Closed(reason: Self.isGone(error) ? nil : "\(error)")
        }
    }

    private static func isGone(_ error: any Error) -> Bool {
        let errno = (error as? SystemCallError)?.errno
        return errno == .brokenPipe || errno == .connectionReset
    }

    func enqueue(_ packet: [UInt8], to frontDoor: UInt64) { connections[frontDoor]?.packets.enqueue(packet) }

    /// Sends answers to all.
    ///
    /// - Returns: the front doors that are closed by it.
    mutating func flush(_ loop: borrowing EventLoop) -> [UInt64] {
        var closed: [UInt64] = []
        for (frontDoor, (connection, _)) in connections where !connection.isEmpty || congested.contains(frontDoor) {
            do throws(SystemCallError) {
                try connection.flush()
                let isWaiting = !connection.isEmpty
                guard isWaiting != congested.contains(frontDoor) else { continue }
                try loop.change(connection.raw, to: isWaiting ? .writable : .readable, token: frontDoor)
                if isWaiting { congested.insert(frontDoor) } else { congested.remove(frontDoor) }
            } catch {
                closed.append(frontDoor)
                close(frontDoor)
            }
        }
        return closed
    }
}
