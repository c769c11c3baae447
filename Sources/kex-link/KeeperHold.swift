internal import EventLoop
internal import LinkChannel
internal import LinkKeeper
internal import Logging
internal import NetworkAddresses
internal import PacketHold
internal import SourceLimits
internal import SystemCalls
internal import Systemd
internal import SystemPackage
internal import Time
internal import WireGuardControl
internal import WireGuardTypes

/// How often a member may have packets held: more than it can have use for is a sign that it was taken over.
struct HoldBudget {
    /// All members of a mesh at once, and then newcomers.
    static let size = TokenBucket.Size(burst: 512, interval: .milliseconds(100))
    private var bucket = TokenBucket()

    mutating func permits(now: MonotonicTime) -> Bool { bucket.take(Self.size, at: now.sinceStart) }
}

// What goes to a peer while its allowed IPs move is held. Of these packets, which may come from anywhere, nothing is
// read but the destination.
extension KeeperService {
    /// After which it is tried again, where it could not be done at all.
    private static let holdRetry = Duration.seconds(600)

    /// Why packets are not held.
    private struct NotHeld: Error { let reason: String }

    /// Holds what goes to a peer that was made, and tells the member whether it is held.
    mutating func holdPackets(to key: PublicKey, _ prefixes: [IPPrefix]) throws(ChannelFailure) {
        do throws(NotHeld) {
            try beginHold(of: key, prefixes)
            if holdLoss.permitsReturn(now: .now) {
                log.log(KeeperEvent.interfaceServed, .notice, name, "packets of \(name) can be held")
            }
        } catch {
            if holdLoss.permits(loss: error.reason, now: .now) {
                let words = "\(error.reason); packets on their way are lost when a link is made"
                log.log(KeeperEvent.notHeld, .warning, name, words)
            }
            try send(.notHeld(key, reason: error.reason))
            return
        }
        try send(.held(key))
    }

    private mutating func beginHold(of key: PublicKey, _ prefixes: [IPPrefix]) throws(NotHeld) {
        guard let device else { throw NotHeld(reason: "there is no interface") }
        let now = MonotonicTime.now
        guard holdBudget.permits(now: now) else { throw NotHeld(reason: "the member has packets held too often") }
        let review: ChangeReview
        do throws(ChangesRefused) {
            review = try self.review(of: device)
        } catch {
            throw NotHeld(reason: error.reason)
        }
        if let objection = review.objection(toHolding: prefixes, of: key) { throw NotHeld(reason: objection) }
        prepareHold(at: now)
        if let noHold { throw NotHeld(reason: noHold.reason) }
        do throws(HoldError) {
            try hold?.begin(key, prefixes, at: now)
        } catch {
            throw NotHeld(reason: "\(error)")
        }
    }

    /// Makes what a hold needs, which takes up to 8 ms (measured), before the first one is asked for.
    mutating func prepareHold(at now: MonotonicTime) {
        if let noHold, noHold.until > now { return }
        guard hold == nil, let device else { return }
        do throws(HoldError) {
            try openHold(device, at: now)
            noHold = nil
        } catch {
            // To try it takes time, and the kernel stays as it is.
            noHold = ("\(error)", now + Self.holdRetry)
        }
    }

    private mutating func openHold(_ device: KeeperDevice, at now: MonotonicTime) throws(HoldError) {
        let new = try PacketHold(name, index: device.index, at: now)
        do throws(SystemCallError) {
            try loop.watch(new.descriptor, for: .readable, token: Self.holdToken)
        } catch {
            throw .system(error)
        }
        hold = consume new
    }

    /// What is held for a peer leaves.
    mutating func releasePackets(to key: PublicKey) { hold?.release(key, at: .now) }

    /// Takes in packets that are to be held.
    mutating func takeHeldPackets() {
        do throws(HoldError) {
            try hold?.receive(at: .now)
        } catch {
            noteHoldFailure(error)
        }
    }

    /// Does what is due for holds.
    mutating func advanceHold(now: MonotonicTime) {
        do throws(HoldError) {
            for end in try hold?.advance(at: now) ?? [] { note(end) }
        } catch {
            noteHoldFailure(error)
        }
        if hold?.isIdle(at: now) == true { hold = nil }
        holdDue = hold?.nextDeadline
    }

    private mutating func note(_ end: PacketHold.End) {
        let time = "\(Int64(end.time / .milliseconds(1))) ms"
        let words = "held \(end.packets) packets for \(time)"
        switch end.reason {
        case .released where end.lost == 0: log.log(KeeperEvent.held, .debug, name, key: end.key, words)
        case .released: report("\(words), and lost \(end.lost) of them", end.key)
        case .time: report("\(words), which is as long as may be; \(end.lost) lost", end.key)
        case .full: report("\(words), which is as much as may be; \(end.lost) lost", end.key)
        }
    }

    private mutating func report(_ words: String, _ key: PublicKey) {
        budget.log(KeeperEvent.held, .warning, name, "\(key): \(words)", to: log)
    }

    /// A hold is not worth more than what it holds: packets go their way again.
    private mutating func noteHoldFailure(_ error: HoldError) {
        budget.log(KeeperEvent.notHeld, .warning, name, "\(error)", to: log)
    }

    /// All that is held leaves, and nobody holds any more.
    mutating func endHolds() {
        let now = MonotonicTime.now
        for key in hold?.peers ?? [] { hold?.release(key, at: now) }
        // What does not leave in its time is lost, and said to be.
        while hold?.peers.isEmpty == false, MonotonicTime.now < now + .milliseconds(600) {
            advanceHold(now: .now)
            (MonotonicTime.now + .milliseconds(1)).sleep()
        }
        hold = nil
    }
}
