internal import EUI64
public import NetworkAddresses
public import Time
public import WireGuardTypes

// A domain whose routers migrate from one address profile to another has both for that time. Each router's peer has the
// addresses of all profiles, and the router uses one of them: another one after an update of its firmware. Its frames
// show which: the VXLAN interface learns the address that they come from, and the kernel reports it.
// See docs/decisions/0014-two-addresses.md.

extension DomainRules {
    /// Whether there are several profiles.
    var isMigration: Bool { profiles.count > 1 }

    /// The addresses of the preferred profile.
    func addresses(of key: PublicKey) -> RouterAddresses { derive(key, profiles[0]) }

    /// Those of all profiles, in their order.
    func allAddresses(of key: PublicKey) -> [RouterAddresses] { profiles.map { derive(key, $0) } }

    /// What the key would have by the profiles that are not the domain's, but may have been.
    func formerAddresses(of key: PublicKey) -> [RouterAddresses] {
        AddressProfile.allCases.filter { !profiles.contains($0) }.map { derive(key, $0) }
    }

    /// The entries that a registered router gets.
    ///
    /// With several profiles the unicast entry is left to the kernel, which learns it. A permanent one that leads to
    /// another address than the router's makes the kernel drop all that the router sends, without a word; one that
    /// leads to the right address keeps the kernel from telling where the frames come from (both measured on 6.1 and
    /// 6.18).
    var entries: FdbEntries { isMigration ? fdbEntries.subtracting(.mac) : fdbEntries }
}

extension DomainTable {
    /// A router that is here with other allowed IPs than those of the domain's profiles.
    public struct Readdressing: Hashable, Sendable {
        public var key: PublicKey
        /// All that its peer is to have. Never empty.
        public var linkLocals: [IPv6Address]
        /// What its peer has besides. Whatever leads there is to go first.
        public var surplus: [IPv6Address]
    }

    /// Entries that lead to a router, and not to where it is.
    public struct Stray: Hashable, Sendable {
        public var addresses: RouterAddresses
        public var entries: FdbEntries
    }

    /// What a frame shows of its router.
    public struct Sighting: Hashable, Sendable {
        public var key: PublicKey
        /// Whether it is the first sign of life in this device.
        public var isFirst: Bool
        /// Where the router is, if that is another place than before.
        public var place: IPv6Address?
    }

    /// Which of its addresses the router uses. What the kernel has learned is newer than the flood list, and what was
    /// heard since the snapshot before is newer than both, unless they say otherwise.
    func place(among all: [RouterAddresses], _ known: RouterAddresses?, _ snapshot: Snapshot) -> RouterAddresses {
        if !snapshot.hasEntries, let known, all.contains(known) { return known }
        let learned = all.filter { snapshot.learned.contains($0.linkLocal) }
        let flooded = all.filter { snapshot.floodList.contains($0.linkLocal) }
        let candidates = [learned, flooded].first { !$0.isEmpty } ?? all
        return candidates.first { $0 == known } ?? candidates.first(where: flooded.contains) ?? candidates[0]
    }

    mutating func noteStrays(of all: [RouterAddresses], at place: RouterAddresses, _ snapshot: Snapshot) {
        for addresses in all {
            var entries: FdbEntries = []
            if snapshot.unicastEntries.contains(addresses) { entries.insert(.mac) }
            if addresses != place, snapshot.floodList.contains(addresses.linkLocal) { entries.insert(.flood) }
            if !entries.isEmpty { strays.append(Stray(addresses: addresses, entries: entries)) }
        }
    }

    /// Makes the missing addresses the routers' own, when it is known whose every address is. One that is another
    /// peer's stays there, because WireGuard would take it away from that peer without a word.
    mutating func claimAddresses() {
        readdressings = readdressings.compactMap { item in
            var item = item
            item.linkLocals.removeAll { owners[$0, default: item.key] != item.key }
            let isMissingSome = item.linkLocals.contains { owners[$0] == nil }
            guard !item.linkLocals.isEmpty, isMissingSome || !item.surplus.isEmpty else { return nil }
            for address in item.linkLocals { owners[address] = item.key }
            return item
        }
    }

    /// All addresses of a router that is at `place`.
    public func allAddresses(of key: PublicKey, at place: RouterAddresses) -> [RouterAddresses] {
        rules.isMigration ? rules.allAddresses(of: key) : [place]
    }

    /// What a router has by profiles that are not the domain's, but may have been.
    public func formerAddresses(of key: PublicKey) -> [RouterAddresses] { rules.formerAddresses(of: key) }

    /// What the router has besides `place`.
    func furtherLinkLocals(of key: PublicKey, at place: RouterAddresses) -> [IPv6Address] {
        guard rules.isMigration else { return [] }
        return rules.allAddresses(of: key).map(\.linkLocal).filter { $0 != place.linkLocal }
    }

    // MARK: - What is to be done

    /// Routers whose peers need other allowed IPs, as of the last snapshot. Until the next snapshot they count as done.
    mutating func takeReaddressings() -> [Readdressing] {
        defer { readdressings = [] }
        return readdressings
    }

    /// Entries that lead to where routers are not. They go after the ``repairs(atMost:)``, so that no broadcast is
    /// lost.
    mutating func takeStrays() -> [Stray] {
        defer { strays = [] }
        return strays
    }

    /// Goes on with other rules. With other profiles the next snapshot shows what has to be done.
    public mutating func change(rules: DomainRules) {
        let profiles = self.rules.profiles
        self.rules = rules
        routers.change(wanted: rules.entries)
        guard rules.profiles != profiles else { return }
        for (key, router) in routers {
            let all = rules.allAddresses(of: key)
            guard !all.contains(router.addresses) else { continue }
            routers[key]?.addresses = all[0]
            routers[key]?.entries = []
        }
    }

    /// Takes in that the VXLAN interface has a permanent entry that leads through WireGuard, or has it no more.
    ///
    /// - Parameters:
    ///   - mac: zero for the flood list.
    ///   - isGone: somebody took it out.
    /// - Returns: whether ``repairs()`` or ``takeStrays()`` may have something to do that they did not have before.
    public mutating func noteEntry(mac: MACAddress, to destination: IPv6Address, isGone: Bool) -> Bool {
        guard let key = owners[destination], let router = routers[key] else { return false }
        let addresses = RouterAddresses(mac: mac, linkLocal: destination)
        let kind: FdbEntries
        if mac == .zero {
            guard router.addresses.linkLocal == destination else { return noteStray(addresses, .flood, isGone) }
            kind = .flood
        } else {
            guard !rules.isMigration else { return noteStray(addresses, .mac, isGone) }
            guard router.addresses == addresses else { return false }
            kind = .mac
        }
        guard router.entries.contains(kind) == isGone else { return false }
        if isGone { routers[key]?.entries.remove(kind) } else { routers[key]?.entries.insert(kind) }
        return isGone
    }

    /// As in a snapshot: an entry that leads to where its router is not, or that keeps the kernel from learning where
    /// it is.
    private mutating func noteStray(_ addresses: RouterAddresses, _ kind: FdbEntries, _ isGone: Bool) -> Bool {
        guard !isGone else { return false }
        strays.append(Stray(addresses: addresses, entries: kind))
        return true
    }

    /// Whose peer has this address; `nil` if nobody's.
    public func owner(of address: IPv6Address) -> PublicKey? { owners[address] }

    // MARK: - Where routers are

    /// Takes in that a frame has come from this address through WireGuard, which lets through only what the address's
    /// peer has sent in a session.
    ///
    /// - Returns: `nil` if it is no news.
    public mutating func hear(from address: IPv6Address, at now: Moment) -> Sighting? {
        guard let key = owners[address] else { return nil }
        let hasMoved = follow(key, to: address, at: now.sinceStart)
        let isFirst = hear(key, at: now.seconds)
        guard isFirst || hasMoved else { return nil }
        return Sighting(key: key, isFirst: isFirst, place: hasMoved ? address : nil)
    }

    /// - Returns: whether the router is somewhere else from now on.
    private mutating func follow(_ key: PublicKey, to address: IPv6Address, at now: Duration) -> Bool {
        guard rules.isMigration, let router = routers[key], router.addresses.linkLocal != address,
            let place = rules.allAddresses(of: key).first(where: { $0.linkLocal == address })
        else { return false }
        if let last = moves[key], now - last < DomainLimit.movePause { return false }
        moves[key] = now
        if !router.entries.isEmpty { strays.append(Stray(addresses: router.addresses, entries: router.entries)) }
        routers[key]?.addresses = place
        routers[key]?.entries = []
        return true
    }
}
