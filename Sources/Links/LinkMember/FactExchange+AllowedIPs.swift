internal import LinkFacts
internal import NetworkAddresses
internal import Time
internal import WireGuardTypes

extension FactExchange {
    /// Finds out what each member may have of what it was given.
    mutating func grantAllowedIPs(at now: MonotonicTime) {
        var networks: [AllowedIPs.Item] = []
        var fixed: [AllowedIPs.Item] = []
        var held: Set<AllowedIPs.Item> = []
        for (key, peer) in peers where peer.goneAt == nil {
            for prefix in peer.peer.allowedIPs where !prefix.isLinkLocal {
                if peer.isMade {
                    held.insert(AllowedIPs.Item(prefix, key))
                } else if !prefix.isHost {
                    networks.append(AllowedIPs.Item(prefix, key))
                } else {
                    fixed.append(AllowedIPs.Item(prefix, key))
                }
            }
        }
        if let device {
            for prefix in device.tunnelAddresses where !prefix.isLinkLocal {
                fixed.append(AllowedIPs.Item(IPPrefix(hostOf: prefix), device.publicKey))
            }
        }
        var wanted: [(rank: Int, item: AllowedIPs.Item)] = []
        func want(_ prefix: IPPrefix, _ key: PublicKey) {
            guard !prefix.isLinkLocal else { return }
            let item = AllowedIPs.Item(prefix, key)
            wanted.append((held.contains(item) ? 0 : configured[key] != nil ? 1 : 2, item))
        }
        for member in settings.members where isWanted(member.publicKey) {
            for prefix in member.allowedIPs { want(prefix, member.publicKey) }
        }
        for (subject, said) in claims.subjects where isWanted(subject) && isValid(subject) {
            for claim in said {
                guard case .allowedIP(let prefix) = claim.statement, accepts(claim, of: subject) else { continue }
                want(prefix, subject)
            }
        }
        wanted.sort { left, right in
            guard left.rank == right.rank else { return left.rank < right.rank }
            guard left.item.owner == right.item.owner else { return left.item.owner < right.item.owner }
            return left.item.prefix.description < right.item.prefix.description
        }
        var seen: Set<AllowedIPs.Item> = []
        let items = wanted.map(\.item).filter { seen.insert($0).inserted }
        let before = book.allowedIPs
        book.allowedIPs = AllowedIPs(networks: networks, fixed: fixed, wanted: items)
        for refusal in book.allowedIPs.refusals.subtracting(before.refusals) {
            let text = "allowed IP belongs to another peer, prefix = \(refusal.prefix), the other = \(refusal.owner)"
            log.add(LinkNotice(.conflict, .warning, refusal.claimant, text), at: now)
        }
        for (key, prefixes) in book.allowedIPs.granted where before.granted[key] != prefixes { stale.insert(key) }
        stale.formUnion(before.granted.keys.filter { book.allowedIPs.granted[$0] == nil })
    }

    /// Whether it matters what a machine may send from: nobody changes that of the operator's peers.
    private func isWanted(_ key: PublicKey) -> Bool {
        guard key != device?.publicKey, !book.displaced.contains(key) else { return false }
        return peers[key].map { $0.goneAt != nil || $0.isMade } ?? true
    }
}

extension IPPrefix {
    /// The one address of an interface's address.
    init(hostOf prefix: IPPrefix) {
        switch prefix.address {
        case .v4: self = IPPrefix(prefix.address, length: 32) ?? prefix
        case .v6: self = IPPrefix(prefix.address, length: 128) ?? prefix
        }
    }
}
