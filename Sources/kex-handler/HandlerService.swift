internal import ConfigurationFiles
internal import EventLoop
internal import GatewayEvents
internal import GatewayState
internal import HandlerChannel
internal import KexConfiguration
internal import KexDomain
internal import KexGateway
internal import KexProtocol
internal import LinkControl
internal import Logging
internal import Netlink
internal import PacketChannel
internal import ServiceProgram
internal import SourceLimits
internal import SystemCalls
internal import Systemd
internal import SystemPackage
internal import Time
internal import VXLANFdb
internal import WireGuardTypes

/// The whole of `kex-handler`: the only program that changes the kernel. One thread, one request at a time.
struct HandlerService: ~Copyable {
    private var loop: EventLoop
    private let signals: SignalReceiver
    private var listeners: [UInt64: LocalSocketListener] = [:]
    private var connections: [UInt64: Connection] = [:]
    private var places: [HandlerSocket: ConnectionPlaces] = [:]
    private var lastToken = Self.crewToken
    /// In the order of the configuration.
    private var domains: [MeshDomain]
    private var timetable: Timetable
    private let source: ConfigurationSource<Configuration, KeyLists>
    private var configuration: Configuration
    private let context: DomainContext
    private let log: Logger
    private var links: LinkWatch
    private let fdb: FdbWatch
    private var learning: LearningWatch
    /// Whether the loop watches ``learning``.
    private var isLearningWatched = false
    private var parked = ParkedRequests()
    /// Nobody is let in before the first one.
    private var announcement: Announcement? = .ready
    private let writer: StateWriter
    /// The index of the domain whose state is being written.
    private var written: Int?
    /// What `systemctl status` shows.
    private var reportedStatus: (inService: Int, domains: Int)?
    /// When connections are accepted again after the system had no descriptor left.
    private var nextAccept: MonotonicTime?
    private var packet: [UInt8] = []

    private static let signalToken: UInt64 = 0
    private static let linksToken: UInt64 = 1
    private static let writerToken: UInt64 = 2
    private static let fdbToken: UInt64 = 3
    private static let learningToken: UInt64 = 4
    private static let crewToken: UInt64 = 5

    /// - Parameter listeners: the sockets to serve; one kind may have several.
    init(
        _ configuration: Configuration,
        keys: KeyLists,
        source: ConfigurationSource<Configuration, KeyLists>,
        bootID: String?,
        listeners: [LocalSocketListener],
        log: Logger
    ) throws {
        // Everything that can fail comes before the first property is set: the compiler cannot destroy a half-made
        // struct.
        let context = try DomainContext(
            log: log,
            stateDirectory: configuration.stateDirectory,
            unlimitedSources: configuration.unlimitedSources,
            bootID: bootID
        )
        // The watches begin before the domains read the kernel, so no change in between is missed.
        let links = try LinkWatch()
        let fdb = try FdbWatch()
        let learning = try LearningWatch()
        context.domainCount = configuration.domains.count
        let domains = configuration.domains.map { MeshDomain($0, keys: keys, context: context) }
        let signals = try SignalReceiver(for: [.terminate, .interrupt, .hangup])
        let loop = try EventLoop()
        let writer = try StateWriter()
        self.loop = loop
        self.signals = signals
        self.domains = domains
        timetable = Timetable(of: domains)
        self.source = source
        self.configuration = configuration
        self.context = context
        self.log = log
        self.links = links
        self.fdb = fdb
        self.learning = learning
        self.writer = writer
        for listener in listeners { self.listeners[newToken()] = listener }
    }

    /// Refreshes all domains, reports that the service is ready, and serves until SIGTERM or SIGINT.
    mutating func run() throws(SystemCallError) {
        try loop.watch(signals.descriptor, for: .readable, token: Self.signalToken)
        try loop.watch(links.descriptor, for: .readable, token: Self.linksToken)
        try loop.watch(writer.descriptor, for: .readable, token: Self.writerToken)
        try loop.watch(fdb.descriptor, for: .readable, token: Self.fdbToken)
        try loop.watch(context.crew.descriptor, for: .readable, token: Self.crewToken)
        try watchLearning()
        try watchListeners()
        // Without a domain nothing else wakes the loop.
        announce()
        while true {
            let count = try loop.wait(until: nextDeadline)
            context.pulse.beat()
            // A registration must not be answered from a snapshot that is known to be old.
            for index in 0..<count where loop[index].token == Self.linksToken { noticeLinks() }
            for index in 0..<count {
                let event = loop[index]
                switch event.token {
                case Self.signalToken:
                    guard let signal = try signals.next() else { continue }
                    if signal == .hangup {
                        reload()
                    } else {
                        log.log(.ending, .notice, "ending on signal \(signal)")
                        ServiceState.stopping()
                        writeEverything()
                        return
                    }
                case Self.linksToken: continue
                case Self.writerToken: noteWritten()
                case Self.fdbToken: noticeEntries()
                case Self.learningToken: noticeFrames()
                case Self.crewToken: takeWorks()
                default:
                    if let listener = listeners[event.token] {
                        acceptConnections(at: listener)
                    } else if let connection = connections[event.token] {
                        serve(connection, token: event.token)
                    }
                }
            }
            sweepNext()
            timetable.update(from: domains)
            for index in timetable.domainsToWake(at: .now) { touch(index) { $0.wake() } }
            askParkedAgain()
            writeNext()
            timetable.update(from: domains)
            announce()
            reportStatus()
            try watchListeners()
            try watchLearning()
        }
    }

    /// Does something with a domain. Its deadlines are read again afterwards.
    private mutating func touch<Result>(_ index: Int, _ body: (MeshDomain) throws -> Result) rethrows -> Result {
        timetable.noteChange(of: index)
        return try body(domains[index])
    }

    private mutating func touchAll(_ body: (MeshDomain) -> Void) {
        for index in domains.indices { touch(index, body) }
    }

    /// For `systemctl status`.
    private var status: String { "\(timetable.inService) of \(domains.count) domains in service" }

    /// What is reported once every domain is settled. A domain that is out of service is in the log, and does not hold
    /// up the others.
    private enum Announcement {
        case ready
        case reloaded
    }

    private mutating func announce() {
        guard let due = announcement, domains.allSatisfy(\.isSettled) else { return }
        announcement = nil
        timetable.update(from: domains)
        switch due {
        case .ready: log.log(.ready, .notice, "ready: \(status)")
        case .reloaded: log.log(.reloaded, .notice, "reloaded: \(status)")
        }
        ServiceState.ready(status: status)
        context.pulse.isReady = true
    }

    private mutating func reportStatus() {
        guard announcement == nil else { return }
        let now = (timetable.inService, domains.count)
        if reportedStatus.map({ now != $0 }) ?? true { ServiceState.status(status) }
        reportedStatus = now
    }

    /// Now if a sweep can go on, and otherwise the earliest deadline.
    private var nextDeadline: MonotonicTime? {
        if connections.contains(where: { isSweepDue(for: $0.value, token: $0.key) }) { return .now }
        let ours = earliest(
            earliest(nextAccept, context.pulse.nextBeat),
            earliest(learning.resumption, parked.nextDeadline)
        )
        let next = earliest(ours, timetable.nextWake)
        return written == nil ? earliest(next, timetable.nextWrite) : next
    }

    private mutating func noticeLinks() {
        do throws(NetlinkError) {
            let changes = try links.changes()
            touchAll { $0.notice(changes) }
        } catch {
            context.budget.log(.failed, .error, "\(error)", to: log)
            touchAll { $0.notice(LinkChanges.missed) }
        }
    }

    private mutating func noticeEntries() {
        do throws(NetlinkError) {
            let news = try fdb.news()
            touchAll { $0.notice(news) }
        } catch {
            context.budget.log(.failed, .error, "\(error)", to: log)
            touchAll { $0.notice(FdbNews.missed) }
        }
    }

    private mutating func noticeFrames() {
        do throws(NetlinkError) {
            let news = try learning.news()
            guard !news.entries.isEmpty || !news.isWhole else { return }
            touchAll { $0.notice(news) }
        } catch {
            context.budget.log(.failed, .error, "\(error)", to: log)
        }
    }

    /// Reads at a limited rate. The kernel keeps what comes faster, and drops what finds no room.
    private mutating func watchLearning() throws(SystemCallError) {
        let isWanted = learning.resumption.map { $0 <= .now } ?? true
        if isWanted, learning.resumption != nil { noticeFrames() }
        let isToBeWatched = learning.resumption == nil
        guard isToBeWatched != isLearningWatched else { return }
        if isToBeWatched {
            try loop.watch(learning.descriptor, for: .readable, token: Self.learningToken)
        } else {
            try loop.stopWatching(learning.descriptor)
        }
        isLearningWatched = isToBeWatched
    }

    /// Hands out the results of what ran beside the loop.
    private mutating func takeWorks() {
        context.crew.deliver()
        for name in context.takeTouched() {
            if let index = timetable.index(of: name) { timetable.noteChange(of: index) }
        }
    }

    // MARK: - State

    /// Saves the state of the domain whose turn it is, one at a time.
    private mutating func writeNext() {
        guard written == nil, let index = timetable.domainToWrite(at: .now) else { return }
        written = index
        writer.start(writing: touch(index) { $0.takeState() }, to: domains[index].stateFile)
    }

    private mutating func noteWritten() {
        if let result = writer.finished() { finishWriting(result) }
    }

    private mutating func finishWriting(_ result: Result<Duration, SystemCallError>) {
        if let written { touch(written) { $0.noteWritten(result) } }
        written = nil
        Heap.trim()
    }

    /// Saves all states now: the process ends, or a domain does.
    private mutating func writeEverything() {
        if let result = writer.waitUntilFinished() { finishWriting(result) }
        for domain in domains where domain.nextWrite != nil {
            context.pulse.beat()
            let start = MonotonicTime.now
            domain.noteWritten(
                Result { () throws(SystemCallError) in
                    try domain.stateFile.write(domain.takeState())
                    return .now - start
                }
            )
        }
    }

    // MARK: - Reload

    /// Reads the configuration again. If it has a mistake, everything stays as it was.
    private mutating func reload() {
        ServiceState.reloading()
        do {
            let (configuration, keys) = try source.read()
            // A domain that begins anew reads its file.
            writeEverything()
            let old = Dictionary(uniqueKeysWithValues: domains.map { ($0.settings.name, $0) })
            domains = configuration.domains.map { settings in
                if let domain = old[settings.name], domain.change(to: settings, keys: keys) {
                    return domain
                }
                return MeshDomain(settings, keys: keys, context: context)
            }
            timetable = Timetable(of: domains)
            if self.configuration.handlerSocket != configuration.handlerSocket
                || self.configuration.fleetSocket != configuration.fleetSocket
                || self.configuration.controlSocket != configuration.controlSocket
                || self.configuration.stateDirectory != configuration.stateDirectory
            {
                let keys = "HandlerSocket=, FleetSocket=, ControlSocket= and StateDirectory="
                log.log(.restartNeeded, .warning, "\(keys) take effect at the next start")
            }
            self.configuration = configuration
            context.newKeys.unlimited = configuration.unlimitedSources
            context.domainCount = configuration.domains.count
            announcement = announcement ?? .reloaded
        } catch {
            for mistake in error.mistakes {
                log.log(.mistake, .error, "\(mistake)")
            }
            log.log(.reloadFailed, .error, "the configuration stays as it was")
            ServiceState.ready(status: status)
        }
    }

    private mutating func newToken() -> UInt64 {
        lastToken += 1
        return lastToken
    }

    // MARK: - Connections

    /// After the system had no descriptor left, local sockets are not watched for a while. Otherwise the connections
    /// that wait would keep waking the loop.
    private mutating func watchListeners() throws(SystemCallError) {
        guard context.pulse.isReady else { return }
        if let time = nextAccept, time <= .now { nextAccept = nil }
        let isOpen = nextAccept == nil
        for (token, entry) in listeners { try entry.listener.setWatched(isOpen, on: loop, token: token) }
    }

    private mutating func acceptConnections(at entry: LocalSocketListener) {
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

    private mutating func serve(_ connection: Connection, token: UInt64) {
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

    /// Reads what waits, up to a frame's worth of registrations and status requests, so that they go to the kernel
    /// together. A request of another kind is answered at once.
    private mutating func takeRequests(
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

    private func receive(from connection: Connection) throws(Disconnect) -> ArraySlice<UInt8> {
        var received: ArraySlice<UInt8>?
        try io { () throws(SystemCallError) in received = try connection.packets.receive() }
        guard let received else { throw Disconnect(reason: nil) }
        return received
    }

    /// Both sides are part of kex. A program that sends a malformed frame is broken, or under somebody else's control.
    private func wellFormed<Value>(_ body: () throws(MalformedFrame) -> Value) throws(Disconnect) -> Value {
        do throws(MalformedFrame) {
            return try body()
        } catch {
            throw Disconnect(reason: "malformed \(error)")
        }
    }

    private func flush(_ connection: Connection, _ token: UInt64) throws(Disconnect) {
        try io { () throws(SystemCallError) in try connection.packets.flush(on: loop, token: token) }
    }

    private mutating func disconnect(_ token: UInt64, _ cause: Disconnect) {
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
    private struct Disconnect: Error {
        let reason: String?
    }

    private func io(_ call: () throws(SystemCallError) -> Void) throws(Disconnect) {
        do throws(SystemCallError) {
            try call()
        } catch {
            throw Disconnect(reason: error.isPeerGone ? nil : "\(error)")
        }
    }

    // MARK: - Requests

    /// Registers one batch for each domain, however the requests are mixed. The answers come in no order.
    private mutating func answer(_ requests: [Arrival], _ connection: Connection, token: UInt64) {
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
    private mutating func askParkedAgain() {
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

    private mutating func reportStatus(of names: [DomainName], _ connection: Connection) {
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

    /// Notes what is to be swept; ``sweepNext()`` does it, between other requests.
    private func take(_ requests: [SweepRequest], _ connection: Connection) {
        if let first = requests.first, first.domain == nil {
            connection.sweeps =
                domains.map { SweepRequest(domain: $0.settings.name, isDryRun: first.isDryRun) }[...]
        } else {
            connection.sweeps = requests[...]
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

    /// Whether a sweep can be begun or reported.
    private func isSweepDue(for connection: Connection, token: UInt64) -> Bool {
        guard connection.packets.isEmpty, let name = connection.sweeps.first?.domain else { return false }
        guard connection.isSweeping, let index = timetable.index(of: name) else { return true }
        return domains[index].hasSweepReport(for: token)
    }

    /// Goes on with the sweeps of each program: begins the next one, or sends its report.
    private mutating func sweepNext() {
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
