internal import LinkChannel
internal import LinkConfiguration
internal import LinkKeeper
internal import LinkMember
internal import Logging
internal import NetworkAddresses
internal import SystemCalls
internal import Time
internal import WireGuardControl
internal import WireGuardTypes

/// None of the changes is made.
struct ChangesRefused: Error { let reason: String }

extension KeeperService {
    /// Makes those of the changes that may be made, and tells the member what came of each.
    mutating func make(_ changes: [PeerChange]) throws(ChannelFailure) {
        guard let device, !changes.isEmpty else { return }
        var answers: [KeeperFrame] = []
        var hasMade = false
        do throws(ChangesRefused) {
            let outcome = try carryOut(changes, device)
            for refusal in outcome.refused {
                let words = "refused a change of \(refusal.key): \(refusal.reason)"
                budget.log(KeeperEvent.changeRefused, .warning, name, words, to: log)
                answers.append(.refused(refusal.key, reason: refusal.reason))
            }
            if !outcome.changed.isEmpty { answers.append(.changed(outcome.changed)) }
            hasMade = !outcome.made.isEmpty
        } catch {
            budget.log(KeeperEvent.changeRefused, .warning, name, error.reason, to: log)
            var seen: Set<PublicKey> = []
            let keys = changes.map(\.publicKey).filter { seen.insert($0).inserted }
            answers = keys.map { .refused($0, reason: error.reason) }
        }
        for answer in answers { try send(answer) }
        if hasMade {
            // Traffic will move to it soon.
            try member?.channel.flush(on: loop, now: .now)
            prepareHold(at: .now)
        }
        read(within: Self.changePause)
    }

    private mutating func carryOut(
        _ changes: [PeerChange],
        _ device: KeeperDevice
    ) throws(ChangesRefused) -> ChangeReview.Outcome {
        var review = try review(of: device)
        let outcome = review.review(changes)
        // A peer that is there must be marked, so the mark comes first.
        try mark(marks.keys.union(outcome.made), device)
        try apply(outcome.permitted, device)
        try mark(marks.keys.subtracting(outcome.removed), device)
        return outcome
    }

    /// What the member may do, as WireGuard is now.
    func review(of device: KeeperDevice) throws(ChangesRefused) -> ChangeReview {
        let state: DeviceState
        do throws(WireGuardError) {
            state = try device.wireGuard.state()
        } catch {
            throw ChangesRefused(reason: "\(error)")
        }
        // The operator's peers must not be taken for ones that are not there.
        guard state.isWhole else { throw ChangesRefused(reason: "other peers are changed at this moment") }
        guard state.publicKey == device.publicKey else { throw ChangesRefused(reason: "the private key was changed") }
        return ChangeReview(
            ownKey: device.publicKey,
            peers: state.peers,
            made: marks.keys,
            wallClock: wallClockSeconds(),
            configuredEndpoints: configuredEndpoints
        )
    }

    private mutating func mark(_ keys: Set<PublicKey>, _ device: KeeperDevice) throws(ChangesRefused) {
        do throws(SystemCallError) {
            try marks.set(keys, interface: device.index)
        } catch {
            throw ChangesRefused(reason: "\(error)")
        }
    }

    private func apply(_ changes: [PeerChange], _ device: KeeperDevice) throws(ChangesRefused) {
        do throws(WireGuardError) {
            try device.wireGuard.apply(changes)
        } catch {
            throw ChangesRefused(reason: "\(error)")
        }
    }

    /// Where the operator says that his peers may be found. Names are not looked up here: answers come from the network.
    private var configuredEndpoints: [PublicKey: Set<Endpoint>] {
        var endpoints: [PublicKey: Set<Endpoint>] = [:]
        for member in configuration.settings.members {
            endpoints[member.publicKey] = Set(member.endpoints.compactMap { Endpoint($0.description) })
        }
        return endpoints
    }
}
