internal import ConfigurationFiles
internal import EventLoop
internal import Keys
internal import LinkChannel
internal import LinkConfiguration
internal import LinkControl
internal import LinkKeeper
internal import LinkMember
internal import Logging
internal import Netlink
internal import NetworkAddresses
internal import PacketHold
internal import SystemCalls
internal import Systemd
internal import SystemPackage
internal import Time
internal import WireGuardControl
internal import WireGuardTypes

/// The keeper of one interface: the process with rights. It reads no byte from the network. What it does is in the
/// files of its parts: the interface (``KeeperDevice``), the member (``KeeperMember``), and what the member may change
/// (``KeeperChanges``).
struct KeeperService: ~Copyable {
    let name: InterfaceName
    let files: RuntimeFiles
    let settings: KeeperSettings
    let log: Logger
    var budget = LineBudget()
    var loop: EventLoop
    private let signals: SignalReceiver
    private let news: NetworkWatch
    private let lock: OwnedDescriptor
    var links: LinkControl
    let buffer = DatagramBuffer()
    var marks: PeerMarks

    /// What the operator wants, as text and as read.
    var orders: [UInt8] = []
    var configuration = LinkConfiguration()

    /// The interface while it is served.
    var device: KeeperDevice?
    /// Why it is not.
    var loss = LossNotice(interval: .seconds(1))
    var member: MemberProcess?
    /// Of the last member.
    var lastToken = Self.firstMemberToken
    var memberBackoff = Backoff(first: .milliseconds(200), longest: .seconds(30))
    var nextMember = MonotonicTime.start
    var socketLoss = LossNotice(interval: .seconds(30))
    var addressLoss = LossNotice(interval: .seconds(30))
    var secretBudget = SecretBudget()

    /// What goes to peers whose allowed IPs move; `nil` while none do.
    var hold: PacketHold?
    /// When something is due for it.
    var holdDue: MonotonicTime?
    var holdBudget = HoldBudget()
    var holdLoss = LossNotice(interval: .seconds(30))
    /// Why this machine cannot hold packets, and until when that is not tried again.
    var noHold: (reason: String, until: MonotonicTime)?

    /// How often the interface is read.
    var interval = Self.usualInterval
    /// When it is read next.
    var nextReading = MonotonicTime.start
    private var watchdog = Watchdog()
    private var status = ""

    static let usualInterval = Duration.seconds(5)
    static let intervals = Duration.milliseconds(100)...Duration.seconds(60)
    /// One cause has many events, which come within this time (measured).
    static let eventPause = Duration.milliseconds(150)
    /// What changed through the keeper itself is told soon.
    static let changePause = Duration.milliseconds(30)

    private static let signalToken: UInt64 = 0
    private static let newsToken: UInt64 = 1
    static let holdToken: UInt64 = 2
    static let firstMemberToken: UInt64 = 16

    /// - Throws: if another keeper serves the interface, and for what the system refuses.
    init(_ name: InterfaceName, files: RuntimeFiles, settings: KeeperSettings, log: Logger) throws {
        // Everything that can fail comes before the first property is set.
        try File.makeDirectory(files.folder, mode: 0o755)
        guard let lock = try File.lock(files.lock(of: name)) else {
            throw Invocation.Failure(.unavailable, "another kex-link serves \(name)")
        }
        let (orders, configuration) = try settings.read()
        let marks = try PeerMarks.read(path: files.marks(of: name))
        let signals = try SignalReceiver(for: [.terminate, .interrupt, .hangup])
        let news = try NetworkWatch()
        let links = try LinkControl(buffer: buffer)
        let loop = try EventLoop()
        self.name = name
        self.files = files
        self.settings = settings
        self.log = log
        self.lock = lock
        self.signals = signals
        self.news = news
        self.links = links
        self.loop = loop
        self.marks = marks
        self.orders = orders
        self.configuration = configuration
    }

    /// Serves until SIGTERM or SIGINT.
    mutating func run() throws(SystemCallError) {
        try loop.watch(signals.descriptor, for: .readable, token: Self.signalToken)
        try loop.watch(news.descriptor, for: .readable, token: Self.newsToken)
        log.log(ServiceEvent.ready, .notice, name, "ready for \(name)")
        ServiceState.ready(status: "looks for \(name)")
        while true {
            let now = MonotonicTime.now
            watchdog.feed(now: now)
            if nextReading <= now { readDevice() }
            keepMember(now: now)
            advanceHold(now: now)
            reportStatus()
            let count = try loop.wait(until: nextDeadline)
            for index in 0..<count {
                let event = loop[index]
                switch event.token {
                case Self.signalToken:
                    guard let signal = try signals.next() else { continue }
                    if signal == .hangup {
                        reload()
                    } else {
                        log.log(ServiceEvent.ending, .notice, name, "ending on signal \(signal)")
                        ServiceState.stopping()
                        try endMemberInOrder()
                        return
                    }
                case Self.newsToken: noticeNews()
                case Self.holdToken: takeHeldPackets()
                default: serveMember(event.token)
                }
            }
        }
    }

    private var nextDeadline: MonotonicTime {
        var next = nextReading
        if let feed = watchdog.nextFeed { next = min(next, feed) }
        if member == nil, device != nil { next = min(next, nextMember) }
        if let stuck = member?.stuckDeadline { next = min(next, stuck) }
        if let holdDue { next = min(next, holdDue) }
        return next
    }

    /// Something happened by which the interface, its addresses, or those of others may be different.
    private mutating func noticeNews() {
        do throws(NetlinkError) {
            guard try news.hasChanged() else { return }
        } catch {
            budget.log(ServiceEvent.cannotServe, .warning, name, "\(error)", to: log)
        }
        read(within: Self.eventPause)
    }

    /// Has the interface read soon, also if it is to be read later.
    mutating func read(within pause: Duration) { nextReading = min(nextReading, .now + pause) }

    private mutating func reportStatus() {
        let new =
            device.map { "serves \(name): \($0.snapshot.peers.count) peers, \(marks.keys.count) made here" }
            ?? "looks for \(name)"
        guard new != status else { return }
        status = new
        ServiceState.status(new)
    }

    /// Reads the configuration again. If it has a mistake, everything stays as it was.
    private mutating func reload() {
        ServiceState.reloading()
        defer { ServiceState.ready(status: status) }
        do throws(ConfigurationError) {
            let (orders, configuration) = try settings.read()
            guard orders != self.orders else { return }
            (self.orders, self.configuration) = (orders, configuration)
            endMember()
            nextMember = .now
            log.log(ServiceEvent.reloaded, .notice, name, "reloaded, and begins anew")
        } catch {
            for mistake in error.mistakes { log.log(ServiceEvent.mistake, .error, name, "\(mistake)") }
            log.log(ServiceEvent.reloadFailed, .error, name, "the configuration before stays")
        }
    }
}
