internal import GatewayEvents
public import HandlerChannel
internal import KexConfiguration
internal import KexGateway
public import KexProtocol
internal import Logging
internal import SystemCalls
internal import Systemd

/// What other gateways report of routers, and what this one reports to them.
extension MeshDomain {
    /// Takes in reports of other gateways, and of this one from before it lost a router.
    ///
    /// - Returns: for each `nil`, or why it could not be taken in.
    public func take(_ news: [RouterNews]) -> [Refusal?] {
        guard isInService, !schedule.isOutdated else { return news.map { _ in .unavailable } }
        noteDemand()
        let now = context.clocks
        var refusals = [Refusal?](repeating: nil, count: news.count)
        var admissions: [(index: Int, admission: DomainTable.Admission)] = []
        for (index, item) in news.enumerated() {
            let key = item.registration.key
            switch item.kind {
            case .removed:
                if let departure = table.forget(inFleet: key, at: item.time, now: now) { backlog.add([departure]) }
            case .heard:
                switch table.hear(inFleet: key, at: item.time, now: now) {
                case .present: break
                case .admit(let admission): admissions.append((index, admission))
                case .refuse(let refusal, let reason):
                    refusals[index] = refusal
                    guard context.refusalNotices.permits(refusal, key, settings.name) else { continue }
                    noteStranger(.refused, .info, key, "refused \(key), heard of on the bus: \(reason)")
                }
            }
        }
        for ((index, admission), failure) in zip(admissions, admit(admissions.map(\.admission), mayWait: true)) {
            // Its entries come when there is room: see `repair()`.
            if let failure, !failure.isTableFull {
                refusals[index] = .unavailable
                noteStranger(.failed, .error, admission.key, "could not let in \(admission.key): \(failure)")
            } else {
                noteStranger(.registered, .info, admission.key, "let in \(admission.key), heard of on the bus")
            }
        }
        return refusals
    }

    /// All routers, and the keys removed on purpose after the removal of this number. `nil` if the domain is out of
    /// service: then it does not know its routers.
    public func list(after number: UInt64) -> (routers: [RouterRecord], removals: [RouterRemoval], lastRemoval: UInt64)?
    {
        guard isInService else { return nil }
        noteDemand()
        return (
            table.handshakes.map { RouterRecord(key: $0.key, lastHandshake: $0.time) },
            table.removals.keys(after: number).map { RouterRemoval(key: $0) },
            table.removals.lastNumber
        )
    }
}
