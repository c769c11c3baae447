internal import NetworkAddresses
internal import WireGuardTypes

/// The views of all machines, and what two of them cannot both have.
struct MemberBook: Sendable {
    private(set) var views: [PublicKey: MemberView] = [:]
    /// The keys in order.
    private(set) var keys: [PublicKey] = []
    private var addresses: [IPv6Address: PublicKey] = [:]
    /// Those whose address is somebody else's.
    private(set) var displaced: Set<PublicKey> = []
    /// Those that were written or removed since somebody took note of it.
    var changed: Set<PublicKey> = []
    /// What each member may have of what it was given.
    var allowedIPs = AllowedIPs()

    subscript(key: PublicKey) -> MemberView? { views[key] }

    /// Who has an address: the machine that was there first.
    func owner(of address: IPv6Address) -> PublicKey? { addresses[address] }

    /// Claims an address.
    ///
    /// - Returns: `false` if somebody else has it.
    mutating func claim(_ address: IPv6Address, for key: PublicKey) -> Bool {
        if let owner = addresses[address] {
            if owner != key { displaced.insert(key) }
            return owner == key
        }
        addresses[address] = key
        displaced.remove(key)
        return true
    }

    mutating func write(_ view: MemberView) {
        changed.insert(view.key)
        if views.updateValue(view, forKey: view.key) == nil { keys.insert(view.key, at: place(of: view.key)) }
    }

    mutating func remove(_ key: PublicKey) {
        guard let view = views.removeValue(forKey: key) else { return }
        changed.insert(key)
        let place = place(of: key)
        if place < keys.count, keys[place] == key { keys.remove(at: place) }
        if addresses[view.address] == key { addresses[view.address] = nil }
        displaced.remove(key)
    }

    private func place(of key: PublicKey) -> Int {
        var first = 0
        var end = keys.count
        while first < end {
            let middle = (first + end) / 2
            if keys[middle] < key { first = middle + 1 } else { end = middle }
        }
        return first
    }
}
