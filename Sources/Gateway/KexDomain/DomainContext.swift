internal import GatewayEvents
internal import GatewayState
internal import KexConfiguration
internal import KexGateway
public import KexProtocol
public import Logging
internal import Netlink
public import NetworkAddresses
public import SourceLimits
public import SystemCalls
public import Systemd
public import Time

/// What all domains of a process share: the log, the watchdog, the threads beside the loop, the clock, and the way to
/// the kernel.
public final class DomainContext {
    public let log: Logger
    public let pulse: Pulse
    /// For lines that strangers cause.
    public var budget = LineBudget()
    var refusalNotices = RefusalNotices()
    /// What each source has left of new keys, in all domains together.
    public var newKeys: SourceLimits
    /// How many domains share this process. Each refreshes itself that much more rarely.
    public var domainCount = 1
    /// For what would keep the loop waiting.
    public let crew: SideCrew
    /// The domains that got a result from beside the loop, until ``takeTouched()``.
    private var touched: [DomainName] = []
    let access: KernelAccess
    /// For what the loop's sockets receive.
    let buffer = DatagramBuffer()
    let clock: DomainClock
    /// Of the saved states.
    let stateDirectory: String
    let machine: Machine

    /// - Parameters:
    ///   - bootID: as the unit's `%b` says; otherwise the kernel is asked.
    ///   - access: the way to the kernel.
    public init(
        log: Logger,
        stateDirectory: String,
        unlimitedSources: [IPPrefix],
        bootID: String?,
        access: @escaping KernelAccess = LinuxKernel.access,
        clock: DomainClock = .system
    ) throws(SystemCallError) {
        self.log = log
        newKeys = SourceLimits(of: DomainLimit.newKeysOfSource, unlimited: unlimitedSources)
        self.stateDirectory = stateDirectory
        self.access = access
        self.clock = clock
        // A unique name where the ID cannot be read: then no saved state belongs to this run.
        let bootID = bootID ?? readBootID() ?? "unknown-\(MonotonicTime.now.nanoseconds)"
        machine = Machine(bootID: bootID, networkNamespace: try networkNamespaceCookie())
        crew = try SideCrew(size: Self.crewSize)
        pulse = Pulse()
        // systemd makes it (StateDirectory=). If it cannot be made here, the first write reports that.
        try? File.makeDirectory(stateDirectory)
    }

    /// Threads at a time. A domain whose WireGuard does not answer keeps one for some seconds.
    private static let crewSize = 6

    /// Runs `body` beside the loop for a domain. If the domain is gone by then, the outcome is dropped.
    func run<Outcome: Sendable>(
        of domain: MeshDomain,
        _ body: @escaping @Sendable () -> Outcome,
        then continuation: @escaping (MeshDomain, Result<Outcome, SystemCallError>) -> Void
    ) {
        crew.run(body) { [weak self, weak domain] result in
            guard let self, let domain else { return }
            touched.append(domain.settings.name)
            continuation(domain, result)
        }
    }

    /// The domains that got a result since the last call.
    public func takeTouched() -> [DomainName] {
        defer { touched = [] }
        return touched
    }

    /// The pause before a domain's next refresh. All domains together refresh for one part in `share` of the time,
    /// unless that would be longer than `limit` and a tenth of a second for each domain.
    func pause(after cost: Duration, share: Int, limit: Duration) -> Duration {
        min(cost * share * domainCount, limit + .milliseconds(100) * domainCount)
    }

    var now: MonotonicTime { clock.now() }
    var clocks: Moment { clock.both }
}

/// The clocks that the domains read.
public struct DomainClock: Sendable {
    var now: @Sendable () -> MonotonicTime
    /// Seconds since 1970.
    var wallClock: @Sendable () -> Int64

    public init(now: @escaping @Sendable () -> MonotonicTime, wallClock: @escaping @Sendable () -> Int64) {
        self.now = now
        self.wallClock = wallClock
    }

    public static let system = DomainClock(now: { .now }, wallClock: { wallClockSeconds() })

    var both: Moment { Moment(seconds: wallClock(), sinceStart: now().sinceStart) }
}

/// One run of the machine, or of the container.
struct Machine: Sendable {
    let bootID: String
    let networkNamespace: UInt64

    /// Tells this interface from every other one, of this run of the machine or another.
    func identity(of interface: InterfaceIndex) -> DeviceIdentity {
        DeviceIdentity(bootID: bootID, networkNamespace: networkNamespace, interfaceIndex: interface.number)
    }

    /// Whether the machine, or the container, was not started anew since.
    func isSameRun(_ identity: DeviceIdentity) -> Bool {
        identity.bootID == bootID && identity.networkNamespace == networkNamespace
    }
}

/// Reports to systemd that work goes on. Whatever takes long calls ``beat()``, so that a handler that hangs differs
/// from one that is busy.
public final class Pulse {
    private var watchdog = Watchdog()
    /// Once the service is ready, the watchdog is fed. Before, the time that systemd allows for a start is extended.
    public var isReady = false
    private var nextExtension = MonotonicTime.start

    /// Longest time from one beat to the next during the start.
    static let startExtension = Duration.seconds(30)

    public var nextBeat: MonotonicTime? { isReady ? watchdog.nextFeed : nil }

    public func beat() {
        let now = MonotonicTime.now
        if isReady {
            watchdog.feed(now: now)
        } else if nextExtension <= now {
            ServiceState.extendStart(by: Self.startExtension)
            nextExtension = now + .seconds(1)
        }
    }
}
