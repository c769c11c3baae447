internal import NetworkAddresses
public import WireGuardTypes

/// A table is compared with the kernel beside the loop that goes on with it: a copy takes in the snapshot, and then takes the
/// table's place. Going through all routers takes tens of milliseconds when there are 50,000. What was done with the table since
/// the copy was made is newer than the snapshot, which may have been begun before it or after: so the keys that were touched
/// meanwhile are left out of the comparison, and stay as they are. The next one covers them.
///
/// A copy costs nothing until one of both changes; then the dictionary that changes is copied, in some milliseconds.
extension DomainTable {
    /// A copy to compare with the kernel. From now on the table notes what is done with it.
    public mutating func beginComparison() -> DomainTable {
        routers.beginNoting()
        marks.beginNoting()
        resets.beginNoting()
        moves.beginNoting()
        heardInFleet.beginNoting()
        var copy = self
        copy.endComparison()
        copy.displaced = []
        return copy
    }

    /// The comparison came to nothing.
    public mutating func endComparison() {
        routers.endNoting()
        marks.endNoting()
        resets.endNoting()
        moves.endNoting()
        heardInFleet.endNoting()
    }

    /// Takes over what a copy of this table found, but not about the keys that were touched since it was made.
    ///
    /// - Parameters:
    ///   - copy: from ``beginComparison()``, after ``reset(to:isNewDevice:sinceStart:)``, and a sweep if there was one.
    ///   - original: ``changeCount`` and the number of the last removal, as they were when the copy was made.
    /// - Returns: whose state here is newer than the copy's: nothing is to be concluded about them.
    public mutating func adopt(_ copy: DomainTable, since original: ComparisonStart) -> Set<PublicKey> {
        let touched = routers.touched ?? []
        let current = self
        routers = copy.routers
        routers.take(touchedIn: current.routers)
        routers.change(wanted: rules.entries)
        marks = copy.marks
        marks.take(touchedIn: current.marks)
        resets = copy.resets
        resets.take(touchedIn: current.resets)
        moves = copy.moves
        moves.take(touchedIn: current.moves)
        heardInFleet = copy.heardInFleet
        heardInFleet.take(touchedIn: current.heardInFleet)
        takePeers(of: copy, touched, current)
        takePending(of: copy, touched)
        for key in copy.removals.keys(after: original.lastRemoval) where !touched.contains(key) {
            removals.note(key, lastHeard: copy.removals.lastHeard(of: key) ?? 0)
        }
        // Those who were displaced in the copy are gone from its routers; who did something here since is not.
        displaced += copy.displaced.filter { !touched.contains($0.key) }
        // It may be wrong by those who were touched, until the next snapshot.
        holdings = copy.holdings
        lastNumber = max(lastNumber, copy.lastNumber)
        changeCount += copy.changeCount - original.changeCount
        clocks = copy.clocks
        suspicion = copy.suspicion
        return touched
    }

    /// What ``adopt(_:since:)`` needs to know of the moment of the copy.
    public struct ComparisonStart: Sendable {
        let changeCount: Int
        let lastRemoval: UInt64
    }

    public var comparisonStart: ComparisonStart {
        ComparisonStart(changeCount: changeCount, lastRemoval: removals.lastNumber)
    }

    private mutating func takePeers(of copy: DomainTable, _ touched: Set<PublicKey>, _ current: DomainTable) {
        ownKey = copy.ownKey
        staticPeers = copy.staticPeers
        owners = copy.owners
        for key in touched {
            let places = [current.routers[key], copy.routers[key]].compactMap { $0?.addresses }
            for place in places {
                for addresses in allAddresses(of: key, at: place) where owners[addresses.linkLocal] == key {
                    owners[addresses.linkLocal] = nil
                }
            }
            guard let router = routers[key] else { continue }
            // It registered before a snapshot showed it as the operator's. The next one says so again.
            staticPeers.remove(key)
            own(key, router.addresses)
        }
        readdressings = copy.readdressings.filter { !touched.contains($0.key) }
        operatorsPeers = copy.operatorsPeers
        massLoss = copy.massLoss
        forgottenInSnapshot = copy.forgottenInSnapshot.filter { !touched.contains($0) }
        strays += copy.strays.filter { stray in
            owners[stray.addresses.linkLocal].map { !touched.contains($0) } ?? true
        }
        heardInSnapshot = copy.heardInSnapshot.filter { !touched.contains($0) }
        restoredAt = copy.restoredAt
        banned = copy.banned.filter { !touched.contains($0.key) }
    }

    private mutating func takePending(of copy: DomainTable, _ touched: Set<PublicKey>) {
        for key in pending.keys where !touched.contains(key) && !copy.pending.contains(key) { pending.remove(key) }
        for key in copy.pending.keys where !touched.contains(key) && !pending.contains(key) {
            pending.insert(key, home: nil, at: copy.pending.registration(of: key) ?? .zero)
        }
    }

    /// Completes a snapshot that may lack peers, because the list was interrupted by changes: who is missing for the first time
    /// is taken for present.
    ///
    /// - Parameters:
    ///   - snapshot: what was listed.
    ///   - absentBefore: who was missing in the list before; `nil` if absence means nothing at all.
    /// - Returns: who is missing now.
    public func complete(_ snapshot: inout Snapshot, absentBefore: Set<PublicKey>?) -> Set<PublicKey> {
        let present = Set(snapshot.peers.map(\.publicKey))
        var absent: Set<PublicKey> = []
        for (key, router) in routers where !present.contains(key) {
            absent.insert(key)
            if let absentBefore, absentBefore.contains(key) { continue }
            var peer = Peer(
                publicKey: key,
                allowedIPs: allAddresses(of: key, at: router.addresses).map { IPPrefix(host: $0.linkLocal) }
            )
            peer.hasPresharedKey = operatorsPeers[key]?.sign == .presharedKey
            if router.isHeld, !peer.hasPresharedKey { peer.persistentKeepalive = 1 }
            peer.lastHandshake = router.hasSession ? router.lastHeard : nil
            peer.receivedBytes = router.receivedBytes
            snapshot.peers.append(peer)
        }
        var addresses: [PublicKey: [IPv6Address]] = [:]
        for (address, key) in owners where staticPeers.contains(key) && !present.contains(key) {
            addresses[key, default: []].append(address)
        }
        for key in staticPeers where !present.contains(key) {
            absent.insert(key)
            if let absentBefore, absentBefore.contains(key) { continue }
            // Whatever else it has, it is no router's.
            let own = addresses[key, default: []].map(IPPrefix.init(host:))
            snapshot.peers.append(Peer(publicKey: key, allowedIPs: own, hasPresharedKey: true))
        }
        return absent
    }
}
