public import WireGuardTypes

extension DomainTable {
    /// What became of work that the table gave out.
    public enum Outcome: Hashable, Sendable {
        /// The kernel has the whole admission.
        case admitted(Admission)
        /// The kernel has not taken the admission, and what it took was taken back.
        case abandoned(Admission)
        /// The router is no longer in the kernel.
        case left(Departure)
        /// The router's peer was removed and added again, at this time since the start of the machine.
        case reset(PublicKey, at: Duration)
    }

    /// Takes in what became of an admission, a departure or a reset. Work of which nothing is reported comes again.
    public mutating func take(_ outcome: Outcome) {
        switch outcome {
        case .admitted(let admission): confirm(admission)
        case .abandoned(let admission): abandon(admission)
        case .left(let departure):
            if departure.isOnPurpose { noteRemoval(of: departure.key) }
            remove(departure.key)
        case .reset(let key, let time): noteReset(key, at: time)
        }
    }
}
