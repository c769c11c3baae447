public import NetworkAddresses
public import TenantModel

/// Why a ledger gives nothing. Each says which line is in the way, and what would help.
public enum LedgerRefusal: Error, Hashable, Sendable {
    /// Every prefix is somebody's, in quarantine, or of no use to this network.
    case hasNoPrefixLeft(MemberID, [Shortage])
    case hasNoPortLeft(NodeName, quarantined: Int)
    /// No leg of the node may have another WireGuard interface.
    case hasNoLegLeft(NodeName, limit: UInt16, legs: Int)
    /// The member has one already, of another allocation than those that its document names.
    case isOutside(MemberID, Segment, line: Int, [IPv6Prefix])
    /// The member has one already, and its document wants another.
    case hasAnother(MemberID, Segment, line: Int, wanted: Segment)
    case isTaken(MemberID, Holding, [Obstacle])
    /// All of the network was given back, and is in quarantine.
    case hasEnded(NetworkName, line: Int, until: LedgerTime)
    case overlaps(MemberID, IPv6Prefix, IPv6Prefix, line: Int)
    /// Clones of a repository have allocated the same.
    case isContested([LedgerConflict])
    /// All that a document was refused.
    case several([LedgerRefusal])

    /// One by one.
    public var each: [LedgerRefusal] {
        if case .several(let refusals) = self { refusals } else { [self] }
    }
}

/// What is left of an allocation.
public struct Shortage: Hashable, Sendable {
    public let prefix: IPv6Prefix
    /// How many can be handed out, all in all.
    public let usable: UInt64
    public internal(set) var taken: UInt64 = 0
    public internal(set) var quarantined: UInt64 = 0
    /// When the first quarantine ends.
    public internal(set) var nextFree: LedgerTime?
}

extension Shortage: CustomStringConvertible {
    public var description: String {
        if usable == 0 { return "all of \(prefix) is reserved" }
        let until = nextFree.map { ", the first until \($0)" } ?? ""
        let left = usable - min(usable, taken + quarantined)
        let useless = left == 0 ? "" : ", \(left) end like one that this network has"
        return "of \(usable) in \(prefix) \(taken) are taken, \(quarantined) in quarantine\(until)\(useless)"
    }
}

/// A line that is in the way.
public struct Obstacle: Hashable, Sendable {
    public let holding: Holding
    public let line: Int
    /// The end of its quarantine; `nil` if it is held.
    public let until: LedgerTime?
}

extension Obstacle: CustomStringConvertible {
    public var description: String {
        "line \(line) is in the way: \(holding)" + (until.map { ", in quarantine until \($0)" } ?? "")
    }
}

extension LedgerRefusal: CustomStringConvertible {
    public var description: String {
        switch self {
        case .hasNoPrefixLeft(let member, let shortages):
            "\(member): no prefix is left: " + shortages.map(\.description).joined(separator: "; ")
        case .hasNoPortLeft(let node, let quarantined):
            "\(node): no UDP port is left: of \(PortBook.range.count) \(quarantined) are in quarantine"
        case .hasNoLegLeft(let node, let limit, let legs):
            "\(node): no room for another WireGuard interface: \(legs) of \(limit) each are full; "
                + "another leg with an address of its own would help"
        case .isOutside(let member, let segment, let line, let allocations):
            "\(member) has \(segment) (line \(line)), which is in none of its network's allocations"
                + " (\(allocations.map(\.description).joined(separator: ", "))); release it first"
        case .hasAnother(let member, let segment, let line, let wanted):
            "\(member) has \(segment) (line \(line)) and not \(wanted); release it first"
        case .isTaken(let member, let holding, let obstacles):
            "\(member) cannot have \(holding): " + obstacles.map(\.description).joined(separator: "; ")
        case .hasEnded(let network, let line, let until):
            "\(network) was given back (line \(line)), and its prefixes are in quarantine until \(until): "
                + "take another name, or release it with --now"
        case .overlaps(let member, let prefix, let other, let line):
            "\(member): allocation \(prefix) overlaps with \(other), of which line \(line) has a prefix"
        case .isContested(let conflicts):
            conflicts.map(\.description).joined(separator: "; ") + "; kex-net allocate --rebase resolves it"
        case .several(let refusals): refusals.map(\.description).joined(separator: "\n")
        }
    }
}
