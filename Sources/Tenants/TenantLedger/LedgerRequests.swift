internal import Keys
internal import NetworkAddresses
public import TenantModel

// Whoever asks again gets the same again, and nothing is written.

extension Ledger {
    /// The prefix of a member: the one that it has, or the next free one of the allocations, in their order.
    ///
    /// The place in an allocation where the search begins is made of the names, so equal documents give equal prefixes
    /// where nothing is in the way. What the member gave back it gets again while nobody else can have it.
    ///
    /// - Parameter avoiding: ends of prefixes in the network that the ledger does not know: those of static ones.
    public mutating func prefix(
        for member: MemberID,
        from allocations: [Allocation],
        avoiding: Set<UInt16> = [],
        at now: LedgerTime
    ) throws(LedgerRefusal) -> Segment {
        try refuseContest(of: member.network)
        if let holding = held(.prefixOf(member)), case .prefix(let segment, _) = holding {
            guard allocations.contains(where: { $0.index(of: segment) != nil }) else {
                throw .isOutside(member, segment, line: line(of: holding), allocations.map(\.prefix))
            }
            return segment
        }
        try refuseEnded(member.network, at: now)
        for allocation in allocations { try refuseOverlap(of: allocation, for: member, at: now) }
        let pools = allocations.map(PrefixPool.init)
        if case .prefix(let segment, _) = given(.prefixOf(member), at: now), !avoiding.contains(segment.low16),
            let pool = pools.first(where: { $0.offers(segment) })
        {
            return take(segment, for: member, of: pool.allocation, at: now)
        }
        for pool in pools where pool.usable > 0 {
            let start = Self.number(of: member) % pool.usable
            for step in 0..<pool.usable {
                // Those of one /48 end in all ways that there are: if none will do, no other /48 has any.
                if step == pool.usableInBlock, hasAllTags(of: pool, member, avoiding, at: now) { break }
                let segment = pool.segment(at: (start + step) % pool.usable)
                if !avoiding.contains(segment.low16), isFree(.prefix(segment, member), at: now) {
                    return take(segment, for: member, of: pool.allocation, at: now)
                }
            }
        }
        throw .hasNoPrefixLeft(member, pools.map { shortage(of: $0, at: now) })
    }

    /// Writes down a prefix that the document names.
    public mutating func fix(
        _ segment: Segment,
        for member: MemberID,
        of allocation: Allocation,
        at now: LedgerTime
    ) throws(LedgerRefusal) {
        try refuseContest(of: member.network)
        if let holding = held(.prefixOf(member)), case .prefix(let other, _) = holding {
            if other == segment { return }
            throw .hasAnother(member, other, line: line(of: holding), wanted: segment)
        }
        try refuseEnded(member.network, at: now)
        try refuseOverlap(of: allocation, for: member, at: now)
        try refuseObstacles(of: .prefix(segment, member), at: now)
        _ = take(segment, for: member, of: allocation, at: now)
    }

    private mutating func take(
        _ segment: Segment,
        for member: MemberID,
        of allocation: Allocation,
        at now: LedgerTime
    ) -> Segment {
        write(.take(.prefix(segment, member), of: allocation.prefix), at: now)
        return segment
    }

    /// The port of a member's WireGuard interface: the one that it has, or the one that its tag wants, or the next free
    /// one upward. A port is free if no interface and no relay of the node has it, whatever leg they are on. The leg is
    /// the first that has room, and another one when the node has that no longer.
    ///
    /// - Parameters:
    ///   - wanted: ``Tag/wantedPort``.
    ///   - fixed: the port that the document names: what the member had otherwise is given back.
    public mutating func port(
        for member: MemberID,
        at node: Node,
        wanted: UInt16,
        fixed: UInt16? = nil,
        at now: LedgerTime
    ) throws(LedgerRefusal) -> (port: UInt16, leg: UInt8) {
        try refuseContest(of: member.network)
        let current = port(of: member)
        let isLegThere = current.map { Int($0.leg) < max(node.legs.count, 1) } ?? false
        if let current, isLegThere, fixed == nil || fixed == current.port { return current }
        if current == nil, fixed == nil, case .port(let port, let leg, _) = given(.portOf(member), at: now),
            Int(leg) < max(node.legs.count, 1)
        {
            write(.take(.port(port, leg: leg, member), of: nil), at: now)
            return (port, leg)
        }
        let leg: UInt8
        if let current, isLegThere { leg = current.leg } else { leg = try freeLeg(of: node) }
        let port: UInt16
        if let chosen = fixed ?? current?.port {
            port = chosen
        } else {
            port = try freePort(at: node.name, from: wanted, now) { .port($0, leg: leg, member) }
        }
        let old = current.map { Holding.port($0.port, leg: $0.leg, member) }
        try refuseObstacles(of: .port(port, leg: leg, member), but: old, at: now)
        if let old { write(.give(old, until: now + Self.quarantine), at: now) }
        write(.take(.port(port, leg: leg, member), of: nil), at: now)
        return (port, leg)
    }

    private func freeLeg(of node: Node) throws(LedgerRefusal) -> UInt8 {
        let count = max(node.legs.count, 1)
        for number in 0..<count {
            guard let number = UInt8(exactly: number), number < DocumentLimit.legs else { break }
            let leg = Leg(node: node.name, number: number)
            if interfaces[leg, default: 0] < Int(node.wireGuardLimit) { return number }
        }
        throw .hasNoLegLeft(node.name, limit: node.wireGuardLimit, legs: count)
    }

    /// The port of `exit` by which others reach a member: the one that it has, or found in the same way.
    public mutating func relay(
        to member: MemberID,
        at exit: NodeName,
        wanted: UInt16,
        at now: LedgerTime
    ) throws(LedgerRefusal) -> UInt16 {
        try refuseContest(of: member.network)
        if let port = relay(to: member, at: exit) { return port }
        let port: UInt16
        if case .relay(let old, _, _) = given(.relayOf(member, exit: exit), at: now) {
            port = old
        } else {
            port = try freePort(at: exit, from: wanted, now) { .relay($0, exit: exit, member) }
        }
        write(.take(.relay(port, exit: exit, member), of: nil), at: now)
        return port
    }

    private func freePort(
        at node: NodeName,
        from wanted: UInt16,
        _ now: LedgerTime,
        _ holding: (UInt16) -> Holding
    ) throws(LedgerRefusal) -> UInt16 {
        let range = PortBook.range
        let start = range.contains(wanted) ? wanted - range.lowerBound : 0
        let count = UInt16(range.count)
        for step in 0..<count {
            let port = range.lowerBound + (start + step) % count
            if isFree(holding(port), at: now) { return port }
        }
        let quarantined = range.count { port in
            holdings[.portAt(node, port)]?.contains { claims[$0]?.isHeld == true } == false
        }
        throw .hasNoPortLeft(node, quarantined: quarantined)
    }

    /// Where to begin to look: equal names give equal numbers everywhere.
    private static func number(of member: MemberID) -> UInt64 {
        SHA256.digest(of: "\(member.network) \(member.node)".utf8).prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }

    // MARK: What is free

    /// Whether nobody else has it, and nobody else had it so lately that it is in quarantine.
    func isFree(_ holding: Holding, at now: LedgerTime) -> Bool { obstacles(of: holding, at: now).isEmpty }

    private func obstacles(of holding: Holding, at now: LedgerTime) -> [Obstacle] {
        holding.keys.flatMap { key in
            holdings[key, default: []].compactMap { other -> Obstacle? in
                guard other != holding, let claim = claims[other] else { return nil }
                if claim.isHeld { return Obstacle(holding: other, line: claim.line, until: nil) }
                guard key.isThing, other.holder != holding.holder, let given = claim.given, now < given.until
                else { return nil }
                return Obstacle(holding: other, line: given.line, until: given.until)
            }
        }
    }

    private func refuseObstacles(
        of holding: Holding,
        but own: Holding? = nil,
        at now: LedgerTime
    ) throws(LedgerRefusal) {
        let obstacles = obstacles(of: holding, at: now).filter { $0.holding != own }
        if !obstacles.isEmpty { throw .isTaken(holding.member, holding, obstacles) }
    }

    /// What a holder gave back and can have again, the latest first.
    private func given(_ holder: Holding.Key, at now: LedgerTime) -> Holding? {
        holdings[holder, default: []].reversed().first {
            claims[$0]?.isQuarantined(at: now) == true && isFree($0, at: now)
        }
    }

    /// Whether a member could have no prefix of the pool even if nobody else had one.
    private func hasAllTags(
        of pool: PrefixPool,
        _ member: MemberID,
        _ avoiding: Set<UInt16>,
        at now: LedgerTime
    ) -> Bool {
        (0..<pool.usableInBlock).allSatisfy { place in
            let tag = pool.segment(at: place).low16
            if avoiding.contains(tag) { return true }
            return holdings[.tag(member.network, tag), default: []].contains { other in
                guard let claim = claims[other] else { return false }
                return claim.isHeld || claim.isQuarantined(at: now) && other.holder != .prefixOf(member)
            }
        }
    }

    func line(of holding: Holding) -> Int { claims[holding]?.line ?? 0 }

    // MARK: What is refused

    /// Before a double allocation is resolved, nobody can say what its network has.
    private func refuseContest(of network: NetworkName) throws(LedgerRefusal) {
        guard !contested.isEmpty else { return }
        let conflicts = conflicts.filter { [$0.first, $0.later].contains { $0.member.network == network } }
        if !conflicts.isEmpty { throw .isContested(conflicts) }
    }

    /// A network that was given back is another one when it comes again, so its prefixes must have been free before.
    private func refuseEnded(_ network: NetworkName, at now: LedgerTime) throws(LedgerRefusal) {
        guard heldPrefixes[network, default: 0] == 0 else { return }
        let given = ofNetwork[network, default: []].compactMap { holding -> Claim.Release? in
            guard case .prefix = holding, let given = claims[holding]?.given, now < given.until else { return nil }
            return given
        }
        guard let last = given.max(by: { $0.until < $1.until }) else { return }
        throw .hasEnded(network, line: last.line, until: last.until)
    }

    /// Allocations of one ledger have no /64 in common: two documents would have different reserved parts of it.
    private func refuseOverlap(
        of allocation: Allocation,
        for member: MemberID,
        at now: LedgerTime
    ) throws(LedgerRefusal) {
        let prefix = allocation.prefix
        for (other, holdings) in ofAllocation
        where other != prefix && (other.contains(prefix) || prefix.contains(other)) {
            let claim = holdings.lazy.compactMap { claims[$0] }
                .first { $0.allocation == other && ($0.isHeld || $0.isQuarantined(at: now)) }
            if let claim { throw .overlaps(member, prefix, other, line: claim.line) }
        }
    }

    private func shortage(of pool: PrefixPool, at now: LedgerTime) -> Shortage {
        var shortage = Shortage(prefix: pool.allocation.prefix, usable: pool.usable)
        for (key, holdings) in holdings {
            guard case .segment(let segment) = key, pool.offers(segment) else { continue }
            let claims = holdings.compactMap { self.claims[$0] }
            if claims.contains(where: \.isHeld) {
                shortage.taken += 1
            } else if let until = claims.compactMap({ $0.given?.until }).max(), now < until {
                shortage.quarantined += 1
                shortage.nextFree = min(shortage.nextFree ?? until, until)
            }
        }
        return shortage
    }
}
