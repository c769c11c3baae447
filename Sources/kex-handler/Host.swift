internal import GatewayState
internal import KexConfiguration
internal import KexGateway
internal import KexProtocol
internal import Logging
internal import Netlink
internal import NetworkAddresses
internal import SourceLimits
internal import SystemCalls
internal import Systemd

/// What all domains of this process share: the log, the watchdog, and how to tell one life of the machine from the next.
final class Host {
    let log: Logger
    let pulse: Pulse
    /// For lines that strangers cause.
    var budget = LineBudget()
    var refusalNotices = RefusalNotices()
    /// What each source has left of new keys, in all domains together.
    var newKeys: SourceLimits
    /// How many share this process. What each of them does without being asked, it does that much more rarely.
    var domainCount = 1
    /// For what would keep the loop waiting.
    let crew: SideCrew
    /// The domains that something was done with beside the loop, until ``takeTouched()``.
    private var touched: [DomainName] = []
    /// For what the kernel tells one domain or another.
    let buffer = DatagramBuffer()
    /// Where the domains' saved states are.
    let stateDirectory: String
    let machine: Machine

    /// - Parameter bootID: as the unit's `%b` says; otherwise the kernel is asked.
    init(
        log: Logger,
        stateDirectory: String,
        unlimitedSources: [IPPrefix],
        bootID: String?
    ) throws(SystemCallError) {
        self.log = log
        newKeys = SourceLimits(of: DomainLimit.newKeysOfSource, unlimited: unlimitedSources)
        self.stateDirectory = stateDirectory
        // A name of its own where it cannot be known: then nothing that was written down belongs to this run.
        let bootID = bootID ?? readBootID() ?? "unknown-\(MonotonicTime.now.nanoseconds)"
        machine = Machine(bootID: bootID, networkNamespace: try networkNamespaceCookie())
        crew = try SideCrew(size: Self.crewSize)
        pulse = Pulse()
        // Under systemd it is there (StateDirectory=). If it cannot be made, the first write says so.
        try? File.makeDirectory(stateDirectory)
    }

    /// Threads at a time. A domain whose WireGuard does not answer keeps one for some seconds.
    private static let crewSize = 6

    /// Has something done beside the loop for a domain, which may be gone by the time.
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

    /// Whose works were handed over since the last call.
    func takeTouched() -> [DomainName] {
        defer { touched = [] }
        return touched
    }

    /// The pause before a domain asks the kernel again for everything: so long that all domains together ask for one part
    /// in `share` of the time, but not longer than `limit` and a tenth of a second for each domain.
    func pause(after cost: Duration, share: Int, limit: Duration) -> Duration {
        min(cost * share * domainCount, limit + .milliseconds(100) * domainCount)
    }

    var clocks: Clocks { .now }
}

extension Clocks {
    /// Both as they stand.
    static var now: Clocks {
        Clocks(wallClock: wallClockSeconds(), sinceStart: .nanoseconds(Int64(MonotonicTime.now.nanoseconds)))
    }
}

/// One life of the machine, or of the container.
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

/// Tells systemd that work is going on. Whatever takes long must let it beat, so that a handler which hangs is told from
/// one that is busy.
final class Pulse {
    private var watchdog = Watchdog()
    /// Once the service is ready, its watchdog is what counts; before, it is the time that systemd gives a start.
    var isReady = false
    private var nextExtension = MonotonicTime(nanoseconds: 0)

    /// What a start may take from one beat to the next.
    static let startExtension = Duration.seconds(30)

    var nextBeat: MonotonicTime? { isReady ? watchdog.nextFeed : nil }

    func beat() {
        let now = MonotonicTime.now
        if isReady {
            watchdog.feed(now: now)
        } else if nextExtension <= now {
            ServiceState.extendStart(by: Self.startExtension)
            nextExtension = now + .seconds(1)
        }
    }
}
