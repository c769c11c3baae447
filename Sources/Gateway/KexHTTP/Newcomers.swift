internal import KexProtocol
internal import NetworkAddresses
internal import SourceLimits
internal import Synchronization
internal import SystemCalls

/// Limits the new keys of each source where no handler does. New is what was not passed on lately.
final class Newcomers: Sendable {
    private struct State {
        var sources: SourceLimits
        /// The keys that were passed on last, in two sets that take turns: the young one becomes the old one when it is full.
        var young: Set<Registration> = []
        var old: Set<Registration> = []
    }

    /// At least so many keys are remembered, and twice as many at most. A key that is forgotten costs its source a token.
    static let remembered = 16_384

    private let state: Mutex<State>

    init(unlimitedSources: [IPPrefix]) {
        state = Mutex(State(sources: SourceLimits(of: .newKeys, unlimited: unlimitedSources)))
    }

    func setUnlimited(_ sources: [IPPrefix]) { state.withLock { $0.sources.unlimited = sources } }

    /// Whether the key may be passed on; then it is known.
    func mayPass(_ registration: Registration, from source: IPv6Address, at now: MonotonicTime) -> Bool {
        state.withLock { state in
            if state.young.contains(registration) { return true }
            let isKnown = state.old.contains(registration)
            guard isKnown || state.sources.take(from: source, at: .nanoseconds(Int64(now.nanoseconds))) else {
                return false
            }
            if state.young.count >= Self.remembered {
                swap(&state.young, &state.old)
                state.young.removeAll(keepingCapacity: true)
            }
            state.young.insert(registration)
            return true
        }
    }
}
