internal import GatewayEvents
internal import KexConfiguration
internal import KexGateway
internal import KexProtocol
internal import LinkControl
internal import Logging
internal import Netlink
internal import NetworkAddresses
internal import SystemCalls
internal import Systemd
internal import Time
internal import VXLANFdb
internal import WireGuardTypes

/// What the VXLAN interface of a domain learns from frames. A router can make any number of these entries, so the loop
/// never lists them. The kernel reports a few (``LearningWatch``), and work with many of them runs beside the loop,
/// with a limit. See docs/decisions/0017-snapshots-beside-the-loop.md.
struct LearnedEntries {
    /// Most entries that are read of a list. A longer list takes the kernel seconds, and it holds the lock of all
    /// network configuration meanwhile (measured: 131,072 in 1.5 s, 200,000 in 4 s, 1,000,000 in two minutes).
    static let listLimit = 131_072
    /// Destinations that wait for the removal of their learned entries. Further ones are left to the kernel, which
    /// removes old entries.
    static let departedLimit = 1024
    /// Destinations in one round. The kernel walks its whole table for each.
    static let departedPerRound = 16
    /// Removals take one part in so many of the time at most, because they keep all network configuration waiting.
    static let share = 10
    /// Shortest pause between two rounds, and how long nobody waits for room after none could be made.
    static let shortestPause = Duration.milliseconds(100)
    /// Longest pause before room is made again. It is well within the two seconds for which the handler parks a
    /// registration.
    static let longestRoomPause = Duration.milliseconds(300)
    /// How often a probe tries whether the table is full, while the interface learns.
    static let probePause = Duration.seconds(5)
    /// How long after the last report. A router that sends from too many MACs is not reported for
    /// ``LearningWatch/silence``.
    static let probeTime = LearningWatch.silence + .seconds(15)
    /// Room is made until one part in so many of the table is free.
    static let freeShare = 4
    /// Room that a table should have at least beyond ``Configuration/Domain/maximumPeers``.
    static let spareRoom = 2048

    /// What `maxaddress` should say.
    static func usualLimit(for settings: Configuration.Domain) -> Int {
        max(16384, (settings.maximumPeers + spareRoom) * 2)
    }

    /// What `maxaddress` says; `nil` if the interface has no limit.
    var limit: UInt32?
    /// What the log said of it last.
    var reportedLimit: (device: InterfaceIndex, limit: UInt32?)?
    /// Destinations whose learned entries are to be removed.
    var departed: [IPv6Address] = []
    /// Whether the table was full, and room is to be made.
    var isFull = false
    /// New routers whose entries wait for room.
    var unfinished: [PublicKey: RouterAddresses] = [:]
    /// Until then nobody waits for room: there was nothing that could go.
    var hopelessUntil = MonotonicTime.start
    /// Whether a round is running beside the loop.
    var isAtWork = false
    /// Nothing is begun before this.
    var earliest = MonotonicTime.start
    var nextProbe: MonotonicTime?
    var probeEnd = MonotonicTime.start

    /// When the next round or probe is due.
    var nextWork: MonotonicTime? {
        let isWanted = !isAtWork && (isFull || !departed.isEmpty)
        return KexDomain.earliest(isWanted ? earliest : nil, nextProbe)
    }

    /// What a round did.
    struct Outcome: Sendable {
        /// Whether it was to make room.
        var isForRoom = false
        var evicted: [(destination: IPv6Address, count: Int)] = []
        var failure: String?
        var duration: Duration
    }
}

extension MeshDomain {
    /// Warns once of an interface without a limit, or with too low a one.
    func noteLimit(of vxlan: Link) {
        learned.limit = vxlan.addressLimit
        // Only a table with a limit can be full.
        if learned.limit == nil { learned.isFull = false }
        guard learned.reportedLimit.map({ $0.device != vxlan.index || $0.limit != vxlan.addressLimit }) ?? true else {
            return
        }
        learned.reportedLimit = (vxlan.index, vxlan.addressLimit)
        guard vxlan.learns else { return }
        let needed = settings.maximumPeers + LearnedEntries.spareRoom
        let advice = "make it again, and add it to its bridge or mesh: \(remake(vxlan))"
        if let limit = vxlan.addressLimit {
            guard limit < needed else { return }
            log(.failed, .warning, "\(vxlan.name) takes \(limit) MAC addresses, too few for its routers; \(advice)")
        } else {
            log(.failed, .warning, "\(vxlan.name) learns any number of MAC addresses from its routers; \(advice)")
        }
    }

    /// The commands that make the interface anew with a limit. The kernel accepts a limit only for a new interface.
    private func remake(_ vxlan: Link) -> String {
        let numbers = "id \(vxlan.identifier) dstport \(vxlan.port)"
        // A domain whose interface has an IPv4 address is not in service.
        let local = if case .v6(let address) = vxlan.local { " local \(address)" } else { "" }
        let new = "ip link add \(vxlan.name) type vxlan \(numbers)\(local) dev \(settings.wireGuard)"
        let limit = "maxaddress \(LearnedEntries.usualLimit(for: settings))"
        return "ip link delete \(vxlan.name) && \(new) \(limit) && ip link set \(vxlan.name) mtu \(vxlan.mtu) up"
    }

    /// Has the entries removed that were learned of these destinations, which are gone. If one comes back, the kernel
    /// reports its first frame only if no such entry is left.
    func forgetLearned(of destinations: some Sequence<IPv6Address>) {
        learned.departed += destinations.prefix(LearnedEntries.departedLimit - learned.departed.count)
    }

    /// The interface learned something.
    func noteLearning() {
        guard learned.limit != nil else { return }
        let now = context.now
        learned.probeEnd = now + LearnedEntries.probeTime
        learned.nextProbe = learned.nextProbe ?? now + LearnedEntries.probePause
    }

    /// Begins what is due.
    func careForLearned(at now: MonotonicTime) {
        guard let device = state.interfaces?.vxlan else { return }
        if let next = learned.nextProbe, next <= now {
            learned.nextProbe = now < learned.probeEnd ? now + LearnedEntries.probePause : nil
            probe()
        }
        guard !learned.isAtWork, learned.earliest <= now else { return }
        if learned.isFull, let limit = learned.limit {
            work(on: device) { $0.makeRoom(limit: Int(limit)) }
        } else if !learned.departed.isEmpty {
            let departed = Array(learned.departed.prefix(LearnedEntries.departedPerRound))
            learned.departed.removeFirst(departed.count)
            work(on: device) { $0.deleteLearned(of: departed) }
        }
    }

    /// Tries whether one more address finds room: one that nobody has is added and deleted again. The kernel does not
    /// say how many it has.
    private func probe() {
        guard let via = state.interfaces?.wireGuard else { return }
        // "kex" with the bit of addresses that nobody has bought, and a destination that is nobody's.
        let mac = MACAddress(0x02, 0x6b, 0x65, 0x78, 0, 0)
        let entry = FdbEntry(mac: mac, destination: IPv6Address(high: 0xfe80 << 48, low: 0), via: via)
        if append([entry]).contains(where: { $0?.isTableFull == true }) { return }
        _ = delete([entry])
    }

    private func work(
        on device: InterfaceIndex,
        _ body: @escaping @Sendable (LearnedEntriesWork) -> LearnedEntries.Outcome
    ) {
        learned.isAtWork = true
        let (name, access, clock) = (settings.wireGuard, context.access, context.clock)
        context.run(of: self) {
            body(LearnedEntriesWork(kernel: access(name, DatagramBuffer()), device: device, clock: clock))
        } then: { domain, result in
            domain.finishWork(result)
        }
    }

    private func finishWork(_ result: Result<LearnedEntries.Outcome, SystemCallError>) {
        learned.isAtWork = false
        let now = context.now
        let outcome: LearnedEntries.Outcome
        switch result {
        case .success(let success): outcome = success
        case .failure(let error): outcome = LearnedEntries.Outcome(failure: "\(error)", duration: .zero)
        }
        let pause = max(outcome.duration * LearnedEntries.share, LearnedEntries.shortestPause)
        // A registration that waits for room does not wait for the share.
        learned.earliest = now + (learned.isFull ? min(pause, LearnedEntries.longestRoomPause) : pause)
        if let failure = outcome.failure {
            context.budget.log(
                .failed,
                .error,
                domain: settings.name.text,
                "\(settings.name): \(failure)",
                to: context.log
            )
        }
        for (destination, count) in outcome.evicted {
            let owner = table.owner(of: destination)
            let name = owner.map { "\($0)" } ?? "\(destination)"
            let line =
                "the table of \(settings.vxlan) was full: removed \(count) MAC addresses learned from \(name), which had most"
            context.budget.log(
                .evicted,
                .warning,
                domain: settings.name.text,
                key: owner?.description,
                "\(settings.name): \(line)",
                to: context.log
            )
        }
        // The end of another round says nothing of the room.
        guard learned.isFull, outcome.isForRoom else { return }
        learned.isFull = false
        if outcome.evicted.isEmpty {
            learned.hopelessUntil = now + LearnedEntries.probePause
            learned.earliest = learned.hopelessUntil
        }
        // Entries that found no room are tried again. If there is none, this begins anew.
        backlog.isStuck = false
    }
}

// MARK: - Beside the loop

/// What is done with learned entries, on a thread of its own.
private struct LearnedEntriesWork {
    let kernel: any DomainKernel
    /// The VXLAN interface.
    let device: InterfaceIndex
    let clock: DomainClock

    /// Takes out what was learned of those who have most, until there is room.
    func makeRoom(limit: Int) -> LearnedEntries.Outcome {
        measured { outcome throws(DomainFailure) in
            outcome.isForRoom = true
            var counts: [IPv6Address: Int] = [:]
            // If the list is too long, a part of it shows as well who has most.
            _ = try kernel.list(device, atMost: LearnedEntries.listLimit) { record in
                if record.isLearned { counts[record.entry.destination, default: 0] += 1 }
            }
            var evicted: [(destination: IPv6Address, count: Int)] = []
            var missing = max(limit / LearnedEntries.freeShare, 1)
            for (destination, count) in counts.sorted(by: { $0.value > $1.value }) {
                guard missing > 0 else { break }
                evicted.append((destination, count))
                missing -= count
            }
            try kernel.deleteLearned(of: evicted.map(\.destination), from: device, atMost: LearnedEntries.listLimit)
            outcome.evicted = evicted
        }
    }

    func deleteLearned(of destinations: [IPv6Address]) -> LearnedEntries.Outcome {
        measured { _ throws(DomainFailure) in
            do throws(DomainFailure) {
                try kernel.deleteLearned(of: destinations, from: device, atMost: LearnedEntries.listLimit)
            } catch {
                // The entries went with their interface.
                if error.kind != .interfaceGone { throw error }
            }
        }
    }

    private func measured(
        _ body: (inout LearnedEntries.Outcome) throws(DomainFailure) -> Void
    ) -> LearnedEntries.Outcome {
        let start = clock.now()
        var outcome = LearnedEntries.Outcome(duration: .zero)
        do throws(DomainFailure) {
            try body(&outcome)
        } catch {
            outcome.failure = "\(error)"
        }
        outcome.duration = clock.now() - start
        return outcome
    }
}
