internal import EventLoop
internal import GatewayEvents
internal import HandlerChannel
internal import Logging
internal import PacketChannel
internal import SystemCalls
internal import SystemPackage
internal import Systemd
internal import Time

/// The local socket for front doors, and those that are connected to it.
struct FrontDoors: ~Copyable {
    private let listener: PacketListener
    private let token: UInt64
    private var connections: [UInt64: (packets: PacketConnection, user: UInt32)] = [:]
    private var places = ConnectionPlaces(ofUser: ChannelLimit.connectionsOfUser, ofAll: ChannelLimit.connections)
    private var lastToken: UInt64
    /// Whether no front door is connected.
    var isEmpty: Bool { connections.isEmpty }
    /// When connections are accepted again, after the system had no descriptor left.
    private(set) var nextAccept: MonotonicTime?

    /// Packets that are taken from a front door before the others have their turn.
    private static let packetsPerRound = 16

    /// - Parameter token: of the listener; those of the connections are above it.
    init(path: String, token: UInt64) throws(SystemCallError) {
        var passed: PacketListener?
        try ListeningSocket.takeAll(of: .unixSequentialPacket) { socket throws(SystemCallError) in
            guard socket.name == "bus", passed == nil else {
                throw SystemCallError("find a use for", "socket \(socket.name) of systemd", errno: .invalidArgument)
            }
            passed = try PacketListener(adopting: socket.takeDescriptor(), named: path)
        }
        if let passed { listener = passed } else { listener = try PacketListener(path: path) }
        self.token = token
        lastToken = token
    }

    /// Without descriptors the listener is not watched, so that those who wait do not wake the loop.
    mutating func watch(_ loop: borrowing EventLoop, now: MonotonicTime) throws(SystemCallError) {
        if let time = nextAccept, time <= now { nextAccept = nil }
        try listener.setWatched(nextAccept == nil, on: loop, token: token)
    }

    mutating func accept(_ loop: borrowing EventLoop, now: MonotonicTime, _ budget: inout LineBudget, _ log: Logger) {
        do throws(SystemCallError) {
            for _ in 0..<PacketListener.acceptedPerRound {
                switch try listener.accept(&places, limit: ChannelLimit.frameSize) {
                case nil: return
                case .refused(let refusal): budget.log(.disconnected, .warning, "\(refusal)", to: log)
                case .connection(let packets, let peer):
                    lastToken += 1
                    connections[lastToken] = (packets, peer.user)
                    do throws(SystemCallError) {
                        try packets.watch(on: loop, token: lastToken)
                    } catch {
                        close(lastToken)
                        throw error
                    }
                }
            }
        } catch {
            budget.log(.exhausted, .error, "\(error)", to: log)
            nextAccept = now + PacketListener.acceptPause
        }
    }

    private mutating func close(_ frontDoor: UInt64) {
        guard let (_, user) = connections.removeValue(forKey: frontDoor) else { return }
        places.leave(user)
    }

    /// Why a front door was closed.
    struct Closed: Error {
        /// `nil` if it ended by itself.
        let reason: String?
    }

    /// What a front door asks. One that has not taken its answers is asked for nothing new: so the answers that wait
    /// for it are never more than those to one round's questions, and to the registrations that the broker has.
    ///
    /// - Throws: if there is nothing more to expect of it; it is forgotten.
    mutating func requests(from frontDoor: UInt64) throws(Closed) -> [BusRequest] {
        guard let connection = connections[frontDoor]?.packets, !connection.isCongested else { return [] }
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
            throw error as? Closed ?? Closed(reason: (error as? SystemCallError)?.isPeerGone == true ? nil : "\(error)")
        }
    }

    func enqueue(_ packet: [UInt8], to frontDoor: UInt64) { connections[frontDoor]?.packets.enqueue(packet) }

    /// Sends answers to all.
    ///
    /// - Returns: the front doors that are closed by it.
    mutating func flush(_ loop: borrowing EventLoop) -> [UInt64] {
        var closed: [UInt64] = []
        for (frontDoor, (packets, _)) in connections where !packets.isEmpty || packets.isCongested {
            do throws(SystemCallError) {
                try packets.flush(on: loop, token: frontDoor)
            } catch {
                closed.append(frontDoor)
                close(frontDoor)
            }
        }
        return closed
    }
}
