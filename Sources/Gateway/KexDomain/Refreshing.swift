internal import KexConfiguration
internal import KexGateway
internal import LinkControl
internal import SystemCalls
public import Time

/// The table is refreshed.
extension MeshDomain {
    /// Somebody asks for something that the table should be fresh for.
    ///
    /// - Returns: whether it is fresh enough to be used now. Otherwise a refresh is on its way.
    @discardableResult
    func noteDemand() -> Bool {
        let now = context.now
        schedule.demandEnd = now + RefreshSchedule.demandTime
        guard isInService, !schedule.isOutdated else { return false }
        if now < schedule.expires { return true }
        scheduleRefresh(at: now)
        // Registrations wait for a short refresh. While a long one is made they use the table as it is, unless there
        // was none for long.
        let isShort = schedule.cost <= RefreshSchedule.shortCost
        return !isShort && schedule.last.map { now - $0 < RefreshSchedule.oldest } ?? false
    }

    /// See ``RefreshSchedule/want(at:isUrgent:)``.
    func scheduleRefresh(at time: MonotonicTime, isUrgent: Bool = false) { schedule.want(at: time, isUrgent: isUrgent) }

    /// When ``wake()`` has something to do.
    public var nextWake: MonotonicTime? {
        // There is one refresh at a time, and none while peers are brought back.
        let refresh = schedule.isRunning || state.restoration != nil ? nil : schedule.next
        guard isInService else { return refresh }
        let due = schedule.isRunning ? nil : dueRefresh
        return earliest(earliest(earliest(refresh, due), hasWork ? context.now : nil), learned.nextWork)
    }

    /// When a refresh is due without being asked for.
    private var dueRefresh: MonotonicTime? {
        let check = table.nextCheck.map(MonotonicTime.init(sinceStart:))
        let expiry = table.nextExpiry.map(MonotonicTime.init(sinceStart:))
        let isKeptFresh = schedule.cost > RefreshSchedule.shortCost && schedule.expires < schedule.demandEnd
        let demand = isKeptFresh ? schedule.expires : nil
        return earliest(earliest(polling.next, demand), earliest(check, expiry)).map { max($0, schedule.earliest) }
    }

    /// Does what is due.
    public func wake() {
        let now = context.now
        if isInService {
            doWork()
            careForLearned(at: now)
        }
        guard !schedule.isRunning, state.restoration == nil else { return }
        let isDue = isInService && dueRefresh.map { $0 <= now } ?? false
        if isDue || schedule.next.map({ $0 <= now }) ?? false { beginRefresh() }
    }

    private func beginRefresh() {
        let interfaces = state.interfaces
        let request = RefreshRequest(
            settings: settings,
            machine: context.machine,
            access: context.access,
            clock: context.clock,
            identity: identity,
            vxlan: interfaces?.vxlan,
            wireGuard: interfaces?.wireGuard,
            needsEntries: schedule.needsEntries,
            comparison: table.beginComparison(),
            mustRestore: mustRestore,
            absent: schedule.absent,
            removals: removals,
            sweep: sweeps.begin()
        )
        schedule.begin()
        let (generation, began) = (schedule.generation, context.now)
        context.run(of: self) {
            request.run()
        } then: { domain, result in
            domain.takeIn(result, generation, began)
        }
    }

    private func takeIn(
        _ result: Result<Result<Refresh, DomainFailure>, SystemCallError>,
        _ generation: Int,
        _ began: MonotonicTime
    ) {
        schedule.end()
        context.pulse.beat()
        guard generation == schedule.generation else {
            // The settings have changed meanwhile.
            table.endComparison()
            schedule.needsEntries = true
            sweeps.retry()
            return scheduleRefresh(at: context.now)
        }
        do throws(DomainFailure) {
            let refresh = try value(of: result)
            takeIn(refresh, try open(refresh))
        } catch {
            table.endComparison()
            sweeps.fail(error)
            schedule.noteRead()
            leaveService(error, since: began)
            if schedule.isOutdated { scheduleRefresh(at: context.now + RefreshSchedule.settlingTime) }
        }
    }

    private func value(
        of result: Result<Result<Refresh, DomainFailure>, SystemCallError>
    ) throws(DomainFailure) -> Refresh {
        switch result {
        case .success(let result): try result.get()
        case .failure(let error): throw DomainFailure("\(error)")
        }
    }

    private func takeIn(_ refresh: Refresh, _ interfaces: Interfaces) {
        let findings = table.finish(refresh.comparison, at: context.clocks.sinceStart)
        schedule.absent = refresh.absent
        schedule.noteRead()
        schedule.noteSuccess(begun: refresh.began, cost: refresh.cost, at: context.now) { [context] cost, limit in
            context.pause(after: cost, share: RefreshSchedule.use, limit: limit)
        }
        standing = refresh.standing
        report(findings)
        enterService(interfaces, in: refresh.identity, missing: findings.missing)
        leave(findings.displaced)
        noteHeard(findings.firstHeard)
        nameOperatorsPeers()
        noteLimit(of: refresh.vxlan)
        readdress(findings.readdressings)
        if let sweep = findings.sweep { takeIn(sweep) }
        backlog.add(findings)
        // It may have left service meanwhile.
        if !isInService { dropBacklog() }
        notePolled()
        backlog.isStuck = false
        doWork()
        Heap.trim()
        if sweeps.isWanted {
            scheduleRefresh(at: context.now, isUrgent: true)
        } else if schedule.isWantedAgain || schedule.needsEntries {
            scheduleRefresh(at: context.now, isUrgent: schedule.isOutdated)
        }
    }

    /// The interfaces that a refresh found: as they are open, if they are the same.
    private func open(_ refresh: Refresh) throws(DomainFailure) -> Interfaces {
        let (wireGuard, vxlan) = (refresh.wireGuard.index, refresh.vxlan.index)
        if let interfaces = state.interfaces, interfaces.wireGuard == wireGuard, interfaces.vxlan == vxlan {
            return interfaces
        }
        let kernel = context.access(settings.wireGuard, context.buffer)
        try kernel.prepare(vxlan)
        return Interfaces(wireGuard: wireGuard, vxlan: vxlan, kernel: kernel)
    }
}
