internal import WireGuardTypes

/// Changes that are asked for together: the keeper reads the whole interface for each list. A list has those of one
/// piece of work for a peer at most, because each is answered by itself.
struct ChangeBatch {
    /// Most changes of one list.
    static let maximumChanges = 2000

    private var changes: [PeerChange] = []
    private var keys: Set<PublicKey> = []

    /// Adds the changes of one piece of work.
    ///
    /// - Returns: a list that is to be asked for first; `nil` if there is none.
    mutating func add(_ new: [PeerChange]) -> [PeerChange]? {
        let newKeys = Set(new.map(\.publicKey))
        let isFull = changes.count + new.count > Self.maximumChanges
        let full = isFull || !keys.isDisjoint(with: newKeys) ? take() : nil
        changes += new
        keys.formUnion(newKeys)
        return full
    }

    /// What is left; `nil` if nothing is.
    mutating func take() -> [PeerChange]? {
        guard !changes.isEmpty else { return nil }
        defer { (changes, keys) = ([], []) }
        return changes
    }
}
