internal import HandlerChannel
internal import KexConfiguration
internal import KexDomain
internal import KexProtocol
internal import PacketChannel

/// Sweeps that programs ask for are begun and reported, between other requests.
extension HandlerService {
    /// Notes what is to be swept; ``sweepNext()`` does it, between other requests.
    func take(_ requests: [SweepRequest], _ connection: Connection) {
        if let first = requests.first, first.domain == nil {
            connection.sweeps =
                domains.map { SweepRequest(domain: $0.settings.name, isDryRun: first.isDryRun) }[...]
        } else {
            connection.sweeps = requests[...]
        }
    }

    /// Whether a sweep can be begun or reported.
    func isSweepDue(for connection: Connection, token: UInt64) -> Bool {
        guard connection.packets.isEmpty, let name = connection.sweeps.first?.domain else { return false }
        guard connection.isSweeping, let index = timetable.index(of: name) else { return true }
        return domains[index].hasSweepReport(for: token)
    }

    /// Goes on with the sweeps of each program: begins the next one, or sends its report.
    mutating func sweepNext() {
        for (token, connection) in connections where isSweepDue(for: connection, token: token) {
            guard let request = connection.sweeps.first, let name = request.domain else { continue }
            if let index = timetable.index(of: name) {
                guard connection.isSweeping else {
                    connection.isSweeping = true
                    touch(index) { $0.sweep(for: token, isDryRun: request.isDryRun) }
                    continue
                }
                guard let report = domains[index].takeSweepReport(for: token) else { continue }
                send(report, of: name, connection)
            } else {
                send(SweepEnd(domain: name, peers: 0, failure: "the handler has no such domain"), connection)
            }
            connection.isSweeping = false
            connection.sweeps = connection.sweeps.dropFirst()
            if connection.sweeps.isEmpty { send(SweepEnd(domain: nil, peers: 0, failure: nil), connection) }
            do throws(Disconnect) {
                try flush(connection, token)
            } catch {
                disconnect(token, error)
            }
        }
    }

    private mutating func send(_ report: MeshDomain.SweepReport, of name: DomainName, _ connection: Connection) {
        switch report {
        case .success(let (events, peers)):
            for start in stride(from: 0, to: events.count, by: ChannelLimit.records) {
                ControlFrame.encode(events[start...].prefix(ChannelLimit.records), into: &packet)
                connection.packets.enqueue(packet)
            }
            send(SweepEnd(domain: name, peers: UInt32(peers), failure: nil), connection)
        case .failure(let failure): send(SweepEnd(domain: name, peers: 0, failure: "\(failure)"), connection)
        }
    }

    private mutating func send(_ end: SweepEnd, _ connection: Connection) {
        ControlFrame.encode(end, into: &packet)
        connection.packets.enqueue(packet)
    }
}
