internal import GatewayEvents
internal import HandlerChannel
internal import KexDomain
internal import KexProtocol
internal import Logging
internal import PacketChannel
internal import SystemCalls
internal import Time

/// Programs connect, and go.
extension HandlerService {
    /// After the system had no descriptor left, local sockets are not watched for a while. Otherwise the connections
    /// that wait would keep waking the loop.
    mutating func watchListeners() throws(SystemCallError) {
        guard context.pulse.isReady else { return }
        if let time = nextAccept, time <= .now { nextAccept = nil }
        let isOpen = nextAccept == nil
        for (token, entry) in listeners { try entry.listener.setWatched(isOpen, on: loop, token: token) }
    }

    mutating func acceptConnections(at entry: LocalSocketListener) {
        let all = ConnectionPlaces(ofUser: ChannelLimit.connectionsOfUser, ofAll: ChannelLimit.connections)
        do throws(SystemCallError) {
            for _ in 0..<PacketListener.acceptedPerRound {
                let limit = ChannelLimit.frameSize
                switch try entry.listener.accept(&places[entry.socket, default: all], limit: limit) {
                case nil: return
                case .refused(let refusal): context.budget.log(.disconnected, .warning, "\(refusal)", to: log)
                case .connection(let packets, let peer):
                    let token = newToken()
                    connections[token] = Connection(packets, socket: entry.socket, peer: peer)
                    do throws(SystemCallError) {
                        try packets.watch(on: loop, token: token)
                    } catch {
                        disconnect(token, Disconnect(reason: nil))
                        throw error
                    }
                }
            }
        } catch {
            context.budget.log(.exhausted, .error, "\(error)", to: log)
            nextAccept = .now + PacketListener.acceptPause
        }
    }

    mutating func serve(_ connection: Connection, token: UInt64) {
        do throws(Disconnect) {
            if !connection.packets.isEmpty {
                try flush(connection, token)
                guard connection.packets.isEmpty else { return }
            }
            guard connection.sweeps.isEmpty else { return }
            let (arrivals, domains) = try takeRequests(of: connection)
            answer(arrivals, connection, token: token)
            reportStatus(of: domains, connection)
            try flush(connection, token)
        } catch {
            disconnect(token, error)
        }
    }

    func receive(from connection: Connection) throws(Disconnect) -> ArraySlice<UInt8> {
        var received: ArraySlice<UInt8>?
        try io { () throws(SystemCallError) in received = try connection.packets.receive() }
        guard let received else { throw Disconnect(reason: nil) }
        return received
    }

    /// Both sides are part of kex. A program that sends a malformed frame is broken, or under somebody else's control.
    func wellFormed<Value>(_ body: () throws(MalformedFrame) -> Value) throws(Disconnect) -> Value {
        do throws(MalformedFrame) {
            return try body()
        } catch {
            throw Disconnect(reason: "malformed \(error)")
        }
    }

    func flush(_ connection: Connection, _ token: UInt64) throws(Disconnect) {
        try io { () throws(SystemCallError) in try connection.packets.flush(on: loop, token: token) }
    }

    mutating func disconnect(_ token: UInt64, _ cause: Disconnect) {
        if let name = connections[token]?.sweeps.first?.domain, let index = timetable.index(of: name) {
            domains[index].forgetSweep(for: token)
        }
        guard let connection = connections.removeValue(forKey: token) else { return }
        places[connection.socket]?.leave(connection.peer.user)
        guard let reason = cause.reason else { return }
        context.budget.log(
            .disconnected,
            .warning,
            "disconnected process \(connection.peer.process): \(reason)",
            to: log
        )
    }

    /// Why a connection ends. `reason` is `nil` if the other side ended it.
    struct Disconnect: Error {
        let reason: String?
    }

    private func io(_ call: () throws(SystemCallError) -> Void) throws(Disconnect) {
        do throws(SystemCallError) {
            try call()
        } catch {
            throw Disconnect(reason: error.isPeerGone ? nil : "\(error)")
        }
    }
}
