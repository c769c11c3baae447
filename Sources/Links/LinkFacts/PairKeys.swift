internal import WireGuardTypes

/// The secrets that were used last, in bounded memory. When recent ones fill half of the places, they become the older
/// ones, and the older ones before them are dropped.
struct PairKeys: Sendable {
    private var recent: [PublicKey: PairKey] = [:]
    private var older: [PublicKey: PairKey] = [:]

    var count: Int { recent.count + older.count }

    subscript(member: PublicKey) -> PairKey? {
        get { recent[member] ?? older[member] }
        set {
            older[member] = nil
            if recent[member] == nil, recent.count >= GroupSigner.maximumSecrets / 2 {
                older = recent
                recent = [:]
            }
            recent[member] = newValue
        }
    }
}
