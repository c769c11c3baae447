internal import EventLoop
internal import GatewayState
internal import HandlerChannel
internal import KexConfiguration
internal import KexDomain
internal import LinkControl
internal import Logging
internal import PacketChannel
internal import ServiceProgram
internal import SystemCalls
internal import Systemd
internal import Time
internal import VXLANFdb

/// The whole of `kex-handler`: the only program that changes the kernel. One thread, one request at a time.
struct HandlerService: ~Copyable {
    var loop: EventLoop
    private let signals: SignalReceiver
    var listeners: [UInt64: LocalSocketListener] = [:]
    var connections: [UInt64: Connection] = [:]
    var places: [HandlerSocket: ConnectionPlaces] = [:]
    private var lastToken = Self.crewToken
    /// In the order of the configuration.
    var domains: [MeshDomain]
    var timetable: Timetable
    let source: ConfigurationSource<Configuration, KeyLists>
    var configuration: Configuration
    let context: DomainContext
    let log: Logger
    var links: LinkWatch
    let fdb: FdbWatch
    var learning: LearningWatch
    /// Whether the loop watches ``learning``.
    var isLearningWatched = false
    var parked = ParkedRequests()
    /// Nobody is let in before the first one.
    var announcement: Announcement? = .ready
    let writer: StateWriter
    /// The index of the domain whose state is being written.
    var written: Int?
    /// What `systemctl status` shows.
    private var reportedStatus: (inService: Int, domains: Int)?
    /// When connections are accepted again after the system had no descriptor left.
    var nextAccept: MonotonicTime?
    var packet: [UInt8] = []

    private static let signalToken: UInt64 = 0
    private static let linksToken: UInt64 = 1
    private static let writerToken: UInt64 = 2
    private static let fdbToken: UInt64 = 3
    static let learningToken: UInt64 = 4
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
    mutating func touch<Result>(_ index: Int, _ body: (MeshDomain) throws -> Result) rethrows -> Result {
        timetable.noteChange(of: index)
        return try body(domains[index])
    }

    mutating func touchAll(_ body: (MeshDomain) -> Void) {
        for index in domains.indices { touch(index, body) }
    }

    /// For `systemctl status`.
    var status: String { "\(timetable.inService) of \(domains.count) domains in service" }

    /// What is reported once every domain is settled. A domain that is out of service is in the log, and does not hold
    /// up the others.
    enum Announcement {
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

    mutating func reportStatus() {
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

    mutating func newToken() -> UInt64 {
        lastToken += 1
        return lastToken
    }
}
