internal import HandlerChannel
internal import KexDomain
internal import KexGateway
internal import KexProtocol
internal import PacketChannel
internal import SystemCalls
internal import Time
internal import WireGuardTypes

/// What connected programs ask is answered.
extension HandlerService {
    /// Reads what waits, up to a frame's worth of registrations and status requests, so that they go to the kernel
    /// together. A request of another kind is answered at once.
    mutating func takeRequests(
        of connection: Connection
    ) throws(Disconnect) -> (arrivals: [Arrival], statuses: [DomainName]) {
        var arrivals: [Arrival] = []
        var statuses: [DomainName] = []
        while arrivals.count + statuses.count < ChannelLimit.records {
            let packet = try receive(from: connection)
            guard !packet.isEmpty else { break }
            let request = try wellFormed { () throws(MalformedFrame) in
                try HandlerRequest(decoding: packet.span, from: connection.socket)
            }
            switch request {
            case .registrations(let requests):
                arrivals += requests.map {
                    Arrival(id: $0.id, registration: $0.registration, origin: .source($0.source))
                }
            case .remoteRegistrations(let requests):
                arrivals += requests.map { Arrival(id: $0.id, registration: $0.registration, origin: .fleet) }
            case .statuses(let domains): statuses += domains
            case .news(let news):
                answer(news, connection)
                return (arrivals, statuses)
            case .routers(let request):
                reportRouters(request, connection)
                return (arrivals, statuses)
            case .sweeps(let requests):
                take(requests, connection)
                return (arrivals, statuses)
            }
        }
        return (arrivals, statuses)
    }

    /// Registers one batch for each domain, however the requests are mixed. The answers come in no order.
    mutating func answer(_ requests: [Arrival], _ connection: Connection, token: UInt64) {
        guard let name = requests.first?.registration.domain else { return }
        var answers: [RegistrationAnswer] = []
        answers.reserveCapacity(requests.count)
        if requests.allSatisfy({ $0.registration.domain == name }) {
            answer(requests, of: name, from: token, &answers)
        } else {
            for (name, own) in Dictionary(grouping: requests, by: \.registration.domain) {
                answer(own, of: name, from: token, &answers)
            }
        }
        send(answers, connection)
    }

    private mutating func send(_ answers: [RegistrationAnswer], _ connection: Connection) {
        for start in stride(from: 0, to: answers.count, by: ChannelLimit.records) {
            RegistrationFrame.encode(answers[start...].prefix(ChannelLimit.records), into: &packet)
            connection.packets.enqueue(packet)
        }
    }

    private mutating func answer(
        _ requests: [Arrival],
        of name: DomainName,
        from token: UInt64,
        until deadline: MonotonicTime? = nil,
        _ answers: inout [RegistrationAnswer]
    ) {
        context.pulse.beat()
        guard let index = timetable.index(of: name) else {
            answers += requests.map { RegistrationAnswer(id: $0.id, refusal: .invalidDomain) }
            return
        }
        // A key that comes several times is registered once, and all of its requests get the same answer.
        var keys: [(key: PublicKey, origin: Origin)] = []
        var positions: [PublicKey: Int] = [:]
        let questions = requests.map { request in
            let key = request.registration.key
            if requests.count > 1 {
                if let position = positions[key] { return position }
                positions[key] = keys.count
            }
            keys.append((key, request.origin))
            return keys.count - 1
        }
        let said = touch(index) { $0.register(keys, mayWait: deadline.map { .now < $0 } ?? true) }
        for (request, question) in zip(requests, questions) {
            switch said[question] {
            case .said(let refusal): answers.append(RegistrationAnswer(id: request.id, refusal: refusal))
            case .later where parked.park(request, from: token, until: deadline): break
            case .later: answers.append(RegistrationAnswer(id: request.id, refusal: .unavailable))
            }
        }
    }

    /// Asks again for parked registrations whose domain is ready, and for those whose deadline has come.
    mutating func askParkedAgain() {
        for name in parked.domains {
            guard let index = timetable.index(of: name), domains[index].isWaiting, !parked.isOverdue(name) else {
                for (token, requests) in Dictionary(grouping: parked.take(name), by: \.token) {
                    guard let connection = connections[token] else { continue }
                    var answers: [RegistrationAnswer] = []
                    for (deadline, own) in Dictionary(grouping: requests, by: \.deadline) {
                        answer(own.map(\.request), of: name, from: token, until: deadline, &answers)
                    }
                    send(answers, connection)
                    do throws(Disconnect) {
                        try flush(connection, token)
                    } catch {
                        disconnect(token, error)
                    }
                }
                continue
            }
        }
    }

    mutating func reportStatus(of names: [DomainName], _ connection: Connection) {
        let statuses = names.map { name in
            context.pulse.beat()
            let status = timetable.index(of: name).map { index in touch(index) { $0.status } }
            return status ?? DomainStatus(domain: name, isInService: false)
        }
        for start in stride(from: 0, to: statuses.count, by: ChannelLimit.records) {
            RegistrationFrame.encode(statuses[start...].prefix(ChannelLimit.records), into: &packet)
            connection.packets.enqueue(packet)
        }
    }

    /// Takes in what other gateways report, and answers it as registrations are answered.
    private mutating func answer(_ news: [RouterNews], _ connection: Connection) {
        var answers: [RegistrationAnswer] = []
        for (name, own) in Dictionary(grouping: news, by: \.registration.domain) {
            context.pulse.beat()
            guard let index = timetable.index(of: name) else {
                answers += own.map { RegistrationAnswer(id: $0.id, refusal: .invalidDomain) }
                continue
            }
            let refusals = touch(index) { $0.take(own) }
            answers += zip(own, refusals).map { RegistrationAnswer(id: $0.id, refusal: $1) }
        }
        FleetFrame.encode(toNews: answers, into: &packet)
        connection.packets.enqueue(packet)
    }

    private mutating func reportRouters(_ request: RouterListRequest, _ connection: Connection) {
        let list = timetable.index(of: request.domain).flatMap { index in
            touch(index) { $0.list(after: request.lastRemoval) }
        }
        for start in stride(from: 0, to: list?.routers.count ?? 0, by: ChannelLimit.records) {
            FleetFrame.encode((list?.routers ?? [])[start...].prefix(ChannelLimit.records), into: &packet)
            connection.packets.enqueue(packet)
        }
        for start in stride(from: 0, to: list?.removals.count ?? 0, by: ChannelLimit.records) {
            FleetFrame.encode((list?.removals ?? [])[start...].prefix(ChannelLimit.records), into: &packet)
            connection.packets.enqueue(packet)
        }
        let last = list?.lastRemoval ?? request.lastRemoval
        FleetFrame.encode(
            RouterListEnd(domain: request.domain, isWhole: list != nil, lastRemoval: last),
            into: &packet
        )
        connection.packets.enqueue(packet)
    }
}
