internal import KexProtocol
internal import NetworkAddresses
internal import SourceLimits
internal import Synchronization
internal import SystemCalls
internal import Time

/// Limits the new keys of each source where no handler does. A key is new if it was not passed on lately.
final class Newcomers: Sendable {
    private struct State {
        var sources: SourceLimits
        /// The keys that were passed on last, in two sets. When the young set is full, it becomes the old one.
        var young: Set<Registration> = []
        var old: Set<Registration> = []
    }

    /// At least this many keys are remembered, and at most twice as many. A forgotten key costs its source a token.
    static let remembered = 16_384

    private let state: Mutex<State>

    init(unlimitedSources: [IPPrefix]) {
        state = Mutex(State(sources: SourceLimits(of: .newKeys, unlimited: unlimitedSources)))
    }

    func setUnlimited(_ sources: [IPPrefix]) { state.withLock { $0.sources.unlimited = sources } }

    /// Whether the key may be passed on. If so, it is known from now on.
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
